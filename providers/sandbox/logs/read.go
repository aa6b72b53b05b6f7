package logs

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// maxPage is how many bytes of events an answer holds at most.
const maxPage = 1 << 20

// place orders events: by their time, then by their arrival.
type place struct{ at, seq int64 }

func (e event) place() place { return place{e.At, e.Seq} }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.seq, q.seq))
}

func (p place) token(kind byte) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%c/%d/%d", kind, p.at, p.seq))
}

// placeOf reads a token of one of the kinds.
func placeOf(token, kinds string) (p place, kind byte, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%c/%d/%d", &kind, &p.at, &p.seq)
	}
	if err != nil || strings.IndexByte(kinds, kind) < 0 {
		return place{}, 0, invalid("The specified nextToken is invalid.")
	}
	return p, kind, nil
}

// found is an event and the stream it is from.
type found struct {
	event
	stream string
}

// window gathers the first (or last) events of many, and holds about twice as many as
// it is asked for.
type window struct {
	limit  int
	last   bool
	events []found
}

func (w *window) add(f found) {
	w.events = append(w.events, f)
	if len(w.events) >= 2*w.limit+64 {
		w.trim()
	}
}

// trim sorts the events and keeps those asked for.
func (w *window) trim() {
	slices.SortFunc(w.events, func(a, b found) int { return a.place().compare(b.place()) })
	w.keep(w.limit)
}

// keep leaves n events, the first or the last.
func (w *window) keep(n int) {
	over := len(w.events) - n
	switch {
	case over <= 0:
	case w.last:
		w.events = slices.Delete(w.events, 0, over)
	default:
		w.events = w.events[:n]
	}
}

// fit leaves what an answer can hold, at least one event, and tells whether that was
// less than all.
func (w *window) fit() (cut bool) {
	size := 0
	for n := range w.events {
		i := n
		if w.last {
			i = len(w.events) - 1 - n
		}
		if size += len(w.events[i].Message) + perEvent; size > maxPage && n > 0 {
			w.keep(n)
			return true
		}
	}
	return false
}

// span is the time that a read covers, in milliseconds. Whether its end belongs to it
// depends on the operation: not for GetLogEvents, but for FilterLogEvents.
type span struct {
	Start *int64 `json:"startTime"`
	End   *int64 `json:"endTime"`
}

func (s span) has(at int64, end bool) bool {
	return (s.Start == nil || at >= *s.Start) && (s.End == nil || at < *s.End || end && at == *s.End)
}

// kept returns the time before which the group's events have expired.
func (s *Service) kept(g *group) int64 {
	if g.Retention == 0 {
		return 0
	}
	return s.now().Add(-time.Duration(g.Retention) * 24 * time.Hour).UnixMilli()
}

type getEventsIn struct {
	where
	span
	Stream   string `json:"logStreamName"`
	Token    string `json:"nextToken"`
	Limit    *int   `json:"limit"`
	FromHead bool   `json:"startFromHead"`
}

type outputEvent struct {
	At      int64  `json:"timestamp"`
	Message string `json:"message"`
	Arrived int64  `json:"ingestionTime"`
}

type getEventsOut struct {
	Events   []outputEvent `json:"events"`
	Forward  string        `json:"nextForwardToken"`
	Backward string        `json:"nextBackwardToken"`
}

// getEvents reads one stream forward or backward. The end is reached when the token
// comes back unchanged.
func (s *Service) getEvents(_ context.Context, in getEventsIn) (out getEventsOut, err error) {
	out.Events = []outputEvent{}
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return out, err
	}
	name, err := s.groupOf(in.where)
	if err != nil {
		return out, err
	}
	file, since := "", int64(0)
	s.doc.View(func(all *groups) {
		g, x := all.stream(name, in.Stream)
		switch {
		case g == nil:
			err = noGroup()
		case x == nil:
			err = noStream()
		default:
			file, since = x.File, s.kept(g)
		}
	})
	if err != nil {
		return out, err
	}
	w := window{limit: limit, last: !in.FromHead}
	var from place
	var kind byte
	if in.Token != "" {
		if from, kind, err = placeOf(in.Token, "fb"); err != nil {
			return out, err
		}
		w.last = kind == 'b'
	}
	err = s.scan(file, func(e event) {
		ahead := e.place().compare(from)
		if e.At < since || !in.has(e.At, false) || kind == 'f' && ahead <= 0 || kind == 'b' && ahead >= 0 {
			return
		}
		w.add(found{event: e})
	})
	if err != nil {
		return out, err
	}
	w.trim()
	w.fit()
	first, last := from, from
	switch kind { // with nothing found, to turn round leads back to the event that the token is of
	case 'f':
		first.seq++
	case 'b':
		last.seq--
	}
	for i, e := range w.events {
		if i == 0 {
			first = e.place()
		}
		last = e.place()
		out.Events = append(out.Events, outputEvent{e.At, e.Message, e.Arrived})
	}
	out.Forward, out.Backward = last.token('f'), first.token('b')
	return out, nil
}

func eventLimit(asked *int) (int, error) {
	var c wire.Checks
	c.Range("limit", asked, 1, 10000)
	if err := c.Err("InvalidParameterException"); err != nil || asked == nil {
		return 10000, err
	}
	return *asked, nil
}

type filterEventsIn struct {
	where
	span
	Streams []string `json:"logStreamNames"`
	Prefix  string   `json:"logStreamNamePrefix"`
	Pattern string   `json:"filterPattern"`
	Token   string   `json:"nextToken"`
	Limit   *int     `json:"limit"`
	// FromHead is true unless it is sent as false: the newest events come first then.
	FromHead *bool `json:"startFromHead"`
}

type filteredEvent struct {
	Stream string `json:"logStreamName"`
	outputEvent
	ID string `json:"eventId"`
}

type filterEventsOut struct {
	Events   []filteredEvent `json:"events"`
	Searched []struct{}      `json:"searchedLogStreams"` // AWS sends an empty list since 2020
	Token    string          `json:"nextToken,omitempty"`
}

// filterEvents reads many streams as one, in the order of time or against it.
func (s *Service) filterEvents(_ context.Context, in filterEventsIn) (filterEventsOut, error) {
	out := filterEventsOut{Events: []filteredEvent{}, Searched: []struct{}{}}
	limit, err := eventLimit(in.Limit)
	if err != nil {
		return out, err
	}
	name, err := s.groupOf(in.where)
	if err != nil {
		return out, err
	}
	if in.Streams != nil && in.Prefix != "" {
		return out, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
	}
	matches, err := compile(in.Pattern)
	if err != nil {
		return out, err
	}
	kind, backward := byte('n'), in.FromHead != nil && !*in.FromHead
	if backward {
		kind = 'p'
	}
	var from place
	if in.Token != "" {
		if from, _, err = placeOf(in.Token, string(kind)); err != nil {
			return out, err
		}
	}
	files, since := map[string]string{}, int64(0)
	var names []string
	s.doc.View(func(all *groups) {
		g := all.ByName[name]
		if g == nil {
			err = noGroup()
			return
		}
		since = s.kept(g)
		names, err = g.names(in.Streams, in.Prefix)
		for _, n := range names {
			if x := g.Streams[n]; x != nil {
				files[n] = x.File
			}
		}
	})
	if err != nil {
		return out, err
	}
	w := window{limit: limit, last: backward}
	more := false
	for _, n := range names {
		err := s.scan(files[n], func(e event) {
			ahead := e.place().compare(from)
			if backward && in.Token != "" {
				ahead = -ahead
			}
			if e.At < since || !in.has(e.At, true) || ahead <= 0 || !matches(e.Message) {
				return
			}
			w.add(found{e, n})
			more = more || len(w.events) > limit
		})
		if err != nil {
			return out, err
		}
	}
	w.trim()
	more = w.fit() || more
	if backward {
		slices.Reverse(w.events)
	}
	for _, e := range w.events {
		out.Events = append(out.Events, filteredEvent{e.stream, outputEvent{e.At, e.Message, e.Arrived}, fmt.Sprintf("%056d", e.Seq)})
		from = e.place()
	}
	if more {
		out.Token = from.token(kind)
	}
	return out, nil
}
