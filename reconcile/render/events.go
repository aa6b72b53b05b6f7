package render

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// Style is how events are written.
type Style string

const (
	// Lines says each start, phase and end once, for logs.
	Lines Style = "lines"
	// Live redraws a line for each running action, for terminals.
	Live Style = "live"
	// JSONLines writes an [EventLine] for each event, for machines.
	JSONLines Style = "jsonlines"
)

// EventOptions steer [Events].
type EventOptions struct {
	Style Style // default Lines
	Color bool
	// Width is asked for the columns of the terminal before each redraw; nil means 80.
	Width func() int
	// Folds hides what others print, in Lines; nil leaves it where it comes.
	Folds Folds
	// Heartbeat is how long an action may be silent before Lines says that it still
	// runs; 0 means 20 seconds.
	Heartbeat time.Duration

	// Now and Tick are the clock: Tick makes silence heard and redraws due. Nil means
	// the real time, and a tick of 100 ms when Live, else of a second.
	Now  func() time.Time
	Tick <-chan time.Time
}

// Folds is the log of a CI job, in which a part can be folded away under a title. Parts do
// not hold each other: one that begins ends the one before.
type Folds interface {
	Fold(title string)
	Unfold()
}

// Stream writes what happens during an apply. Its methods may be called from several
// goroutines.
type Stream struct {
	w     io.Writer
	now   func() time.Time
	stop  chan struct{}
	ended chan struct{} // closed by the goroutine that waits for ticks
	once  sync.Once

	mu      sync.Mutex
	teller  teller
	out     bytes.Buffer // what the teller said, written at once
	running []*running   // in order of their starts
	err     error        // of the first write that failed
}

// teller is what a [Style] makes of events. It is called under the stream's lock.
type teller interface {
	started(r *running)
	phase(r *running)
	line(r *running, p apply.Progress)
	layer(r *running, l apply.Layer)
	pushed(r *running, l apply.Layers)
	finished(r *running, e apply.Event)
	tick(now time.Time, all []*running)
	close()
}

// running is an action that has started and not ended.
type running struct {
	action      plan.Action
	label       string // its address, and what tells it from another action of the same
	since       time.Time
	phase       string
	done, total int64
	layers      *apply.Layers      // that the phase moves; nil when it moves none
	shown       int                // layers that have had a line of their own
	expect      *apply.Expectation // of the phase; nil when nobody knows
	over        bool               // it was said that the phase takes longer than usual
	said        time.Time          // when something was last said of it
}

// Events returns a stream to w. It must be closed.
func Events(w io.Writer, o EventOptions) *Stream {
	s := &Stream{w: w, now: o.Now, stop: make(chan struct{}), ended: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
	every := time.Second
	switch o.Style {
	case Live:
		every = 100 * time.Millisecond
		s.teller = &liveTeller{out: &s.out, paint: paint(o.Color), width: o.Width, now: s.now}
	case JSONLines:
		s.teller = &jsonTeller{out: &s.out, now: s.now, told: map[plan.ID]int64{}}
	default:
		s.teller = &lineTeller{out: &s.out, paint: paint(o.Color), now: s.now, heartbeat: cmp.Or(o.Heartbeat, 20*time.Second), folds: o.Folds, flush: s.flush}
	}
	go s.loop(o.Tick, every)
	return s
}

func (s *Stream) loop(tick <-chan time.Time, every time.Duration) {
	defer close(s.ended)
	if tick == nil {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-tick:
			s.tell(func() { s.teller.tick(s.now(), s.running) })
		case <-s.stop:
			return
		}
	}
}

// tell runs f under the lock and writes what it said.
func (s *Stream) tell(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.flush()
}

// flush writes what the teller said.
func (s *Stream) flush() {
	if s.out.Len() == 0 {
		return
	}
	if _, err := s.w.Write(s.out.Bytes()); err != nil && s.err == nil {
		s.err = err
	}
	s.out.Reset()
}

// Observe is for [apply.Options].
func (s *Stream) Observe(e apply.Event) {
	s.tell(func() {
		if e.Status == apply.Started {
			r := begin(e.Action, s.now())
			s.running = append(s.running, r)
			s.teller.started(r)
			return
		}
		r := s.find(e.Action.ID)
		if r == nil { // skipped before it started
			r = begin(e.Action, s.now())
		}
		s.running = slices.DeleteFunc(s.running, func(x *running) bool { return x == r })
		s.teller.finished(r, e)
	})
}

// Progress is for [apply.Options].
func (s *Stream) Progress(p apply.Progress) {
	s.tell(func() {
		r := s.find(p.Action)
		if r == nil { // it has ended: only its last words are of interest
			r = &running{action: plan.Action{ID: p.Action}, label: clean(string(p.Action)), since: s.now()}
			p.Phase = ""
		}
		if p.Phase != "" {
			fresh := clean(p.Phase) != r.doing()
			r.phase, r.done, r.total, r.expect, r.layers = p.Phase, p.Done, p.Total, p.Expect, p.Layers
			if fresh {
				r.over = false
				s.teller.phase(r)
			}
			if p.Layers != nil && p.Layers.Took > 0 {
				s.teller.pushed(r, *p.Layers)
			}
		}
		if p.Layer != nil {
			s.teller.layer(r, *p.Layer)
		}
		if p.Line != "" || p.Source != "" {
			s.teller.line(r, p)
		}
	})
}

// Close ends the stream, leaving the terminal as it should be, and returns the first
// error of a write. Nothing may be told afterwards.
func (s *Stream) Close() error {
	s.once.Do(func() {
		close(s.stop)
		<-s.ended
		s.tell(s.teller.close)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func begin(a plan.Action, now time.Time) *running {
	return &running{action: a, label: label(a.Target.String(), a.Second), since: now, said: now}
}

func (s *Stream) find(id plan.ID) *running {
	if i := slices.IndexFunc(s.running, func(r *running) bool { return r.action.ID == id }); i >= 0 {
		return s.running[i]
	}
	return nil
}

// doing is what an action is about just now.
func (r *running) doing() string {
	if r.phase != "" {
		return clean(r.phase)
	}
	doing, _ := verb(r.action.Op)
	return doing
}
