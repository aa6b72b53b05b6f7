package cloudwatch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/store"
)

// line is one minute of a metric in the file. A later one of the same minute replaces it.
type line struct {
	Namespace, Name, Unit string
	Dimensions            []Dimension
	Minute                int64
	Statistics
}

// save appends the minutes before a minute that are not on disk. What a kill costs is
// the minute under way.
func (s *Service) save(before int64) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	for _, k := range slices.Sorted(maps.Keys(s.unsaved)) {
		for _, minute := range slices.Sorted(maps.Keys(s.unsaved[k])) {
			m := s.metrics[k]
			if m == nil || m.minutes[minute] == nil {
				delete(s.unsaved[k], minute)
				continue
			}
			if minute >= before {
				continue
			}
			if err := encoder.Encode(line{m.Namespace, m.Name, m.Unit, m.Dimensions, minute, *m.minutes[minute]}); err != nil {
				return err
			}
			delete(s.unsaved[k], minute)
		}
		if len(s.unsaved[k]) == 0 {
			delete(s.unsaved, k)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	f, err := os.OpenFile(s.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Close())
}

// load reads the file, and writes it anew without what is forgotten, replaced, or was
// cut short by a kill.
func (s *Service) load() error {
	f, err := os.Open(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	oldest := s.oldest()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<24)
	for scanner.Scan() {
		var l line
		if json.Unmarshal(scanner.Bytes(), &l) != nil || l.Minute < oldest {
			continue
		}
		k := key(l.Namespace, l.Name, l.Dimensions)
		m := s.metrics[k]
		if m == nil {
			m = &metric{l.Namespace, l.Name, l.Unit, l.Dimensions, map[int64]*Statistics{}, 0}
			s.metrics[k] = m
		}
		m.minutes[l.Minute] = &l.Statistics
		m.latest = max(m.latest, l.Minute)
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	for _, k := range slices.Sorted(maps.Keys(s.metrics)) {
		m := s.metrics[k]
		for _, minute := range slices.Sorted(maps.Keys(m.minutes)) {
			if err := encoder.Encode(line{m.Namespace, m.Name, m.Unit, m.Dimensions, minute, *m.minutes[minute]}); err != nil {
				return err
			}
		}
	}
	return store.WriteFile(s.file, b.Bytes())
}
