package logs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// event is one line of a stream's file.
type event struct {
	At      int64  `json:"t"` // milliseconds since 1970, as its sender stamps it
	Arrived int64  `json:"i"`
	Seq     int64  `json:"s"` // unique, in the order of arrival
	Message string `json:"m"`
}

// stat is what is known of a stream's events without reading them.
type stat struct {
	First, Last, Arrived int64 // timestamps; of no event, 0
	Bytes                int64 // of messages, as AWS counts: 26 extra for each
	size                 int64 // of the file
}

func (t *stat) add(e event) {
	if t.First == 0 || e.At < t.First {
		t.First = e.At
	}
	t.Last, t.Arrived = max(t.Last, e.At), max(t.Arrived, e.Arrived)
	t.Bytes += int64(len(e.Message)) + 26
}

const older = ".old" // suffix of a stream's older half

// recover learns from the files what is not in the document, and removes files that a
// crash left without a stream.
func (s *Service) recover() {
	known := map[string]bool{}
	s.doc.View(func(all *groups) {
		for _, g := range all.ByName {
			for _, x := range g.Streams {
				known[x.File] = true
			}
		}
	})
	entries, _ := os.ReadDir(s.dir)
	for _, entry := range entries {
		if !known[strings.TrimSuffix(entry.Name(), older)] {
			_ = os.Remove(filepath.Join(s.dir, entry.Name()))
		}
	}
	for file := range known {
		t := &stat{}
		_ = s.scan(file, func(e event) {
			t.add(e)
			s.seq = max(s.seq, e.Seq)
		})
		t.size = endLine(filepath.Join(s.dir, file))
		s.stats[file] = t
	}
}

// endLine returns the size of a file after ending the line that a crash cut short.
func endLine(path string) int64 {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	last := []byte{'\n'}
	if err == nil && size > 0 {
		_, err = f.ReadAt(last, size-1)
	}
	if err == nil && last[0] != '\n' {
		if n, err := f.Write([]byte{'\n'}); err == nil {
			size += int64(n)
		}
	}
	return size
}

// append writes events to the end of a stream's file and numbers them.
func (s *Service) append(file string, events []event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.stats[file]
	if t == nil {
		t = &stat{}
		s.stats[file] = t
	}
	var b []byte
	now := s.now().UnixMilli()
	for i := range events {
		s.seq++
		events[i].Seq, events[i].Arrived = s.seq, now
		line, err := json.Marshal(events[i])
		if err != nil {
			return fmt.Errorf("log event: %w", err)
		}
		b = append(append(b, line...), '\n')
	}
	path := filepath.Join(s.dir, file)
	if t.size > 0 && t.size+int64(len(b)) > s.maxFile {
		if os.Rename(path, path+older) == nil { // else a reader is in the way; next time
			t.size = 0
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	n, err := f.Write(b)
	t.size += int64(n)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	for _, e := range events {
		t.add(e)
	}
	return nil
}

// scan calls f with each event of a stream in the order of arrival. A line that a crash
// cut short is skipped.
func (s *Service) scan(file string, f func(event)) error {
	halves, err := s.open(file)
	if err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	for _, half := range halves {
		if err == nil {
			err = scanLines(half, f)
		}
		_ = half.Close() // only read
	}
	return err
}

// open returns the halves of a stream that exist, at one moment between two writes.
func (s *Service) open(file string) (halves []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{file + older, file} {
		half, err := os.Open(filepath.Join(s.dir, name))
		switch {
		case err == nil:
			halves = append(halves, half)
		case !errors.Is(err, fs.ErrNotExist):
			return halves, err
		}
	}
	return halves, nil
}

func scanLines(in io.Reader, f func(event)) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("log events: %w", err)
		}
		var e event
		if json.Unmarshal(line, &e) == nil {
			f(e)
		}
	}
}

// stat returns what is known of a stream's events.
func (s *Service) stat(file string) stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.stats[file]; t != nil {
		return *t
	}
	return stat{}
}

// discard removes streams' files.
func (s *Service) discard(files ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, file := range files {
		delete(s.stats, file)
		path := filepath.Join(s.dir, file)
		_ = os.Remove(path) // at worst the next start removes it
		_ = os.Remove(path + older)
	}
}
