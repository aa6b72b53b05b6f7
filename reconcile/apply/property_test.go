package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// script is what a drawn run is made of: a plan, and what its actions do.
type script struct {
	p           *plan.Plan
	takes       map[plan.ID]time.Duration
	fails       map[plan.ID]bool
	panics      map[plan.ID]bool
	prepares    map[plan.ID]bool
	unprepared  map[plan.ID]bool     // of them, that fail in it
	parts       map[plan.ID][]string // nil for one of all
	parallelism int
	endsAt      time.Duration // of the context; zero for never
}

func drawScript(t *rapid.T) script {
	s := script{p: &plan.Plan{}, takes: map[plan.ID]time.Duration{}, fails: map[plan.ID]bool{}, panics: map[plan.ID]bool{},
		prepares: map[plan.ID]bool{}, unprepared: map[plan.ID]bool{}}
	if rapid.Bool().Draw(t, "in parts") {
		s.parts = map[plan.ID][]string{}
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "actions") {
		var needs []plan.ID
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "need") == 0 {
				needs = append(needs, s.p.Actions[j].ID)
			}
		}
		a := action(plan.ID(fmt.Sprintf("a%02d", i)), needs...)
		s.p.Actions = append(s.p.Actions, a)
		s.takes[a.ID] = time.Duration(rapid.IntRange(0, 5).Draw(t, "takes")) * time.Second
		switch rapid.IntRange(0, 9).Draw(t, "ends") {
		case 0, 1:
			s.fails[a.ID] = true
		case 2:
			s.fails[a.ID], s.panics[a.ID] = true, true
		}
		switch rapid.IntRange(0, 5).Draw(t, "prepares") {
		case 0:
			s.prepares[a.ID] = true
		case 1:
			s.prepares[a.ID], s.unprepared[a.ID] = true, true
		}
		if s.parts != nil {
			s.parts[a.ID] = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 2, rapid.ID).Draw(t, "parts")
		}
	}
	s.parallelism = rapid.IntRange(1, 4).Draw(t, "parallelism")
	if rapid.Bool().Draw(t, "interrupted") {
		s.endsAt = time.Duration(rapid.IntRange(0, 12).Draw(t, "ends at")) * time.Second
	}
	return s
}

// history is what was seen of a run.
type history struct {
	report  *Report
	err     error
	events  []Event
	calls   map[plan.ID]int
	most    int                       // at once
	started map[plan.ID]time.Duration // since the start of the run
	ended   map[plan.ID]time.Duration
	ready   map[plan.ID]time.Duration // when its preparation ended
	kept    map[plan.ID]int           // preparations that were not let go of
	lost    []plan.ID                 // what was let go of before it was executed
}

// preparing is an executor that prepares, too.
type preparing struct {
	execute
	prepares map[plan.ID]bool
	prepare  func(context.Context, plan.Action, Env) (func(), error)
}

func (p preparing) Prepares(a plan.Action) bool { return p.prepares[a.ID] }

func (p preparing) Prepare(ctx context.Context, a plan.Action, env Env) (func(), error) {
	return p.prepare(ctx, a, env)
}

func (s script) run(t *testing.T) *history {
	h := &history{calls: map[plan.ID]int{}, started: map[plan.ID]time.Duration{}, ended: map[plan.ID]time.Duration{},
		ready: map[plan.ID]time.Duration{}, kept: map[plan.ID]int{}}
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		if s.endsAt > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.endsAt)
			defer cancel()
		}
		var mu sync.Mutex
		begin, now := time.Now(), 0
		busy := func(id plan.ID) (end func(map[plan.ID]time.Duration)) {
			mu.Lock()
			defer mu.Unlock()
			now++
			h.most = max(h.most, now)
			return func(when map[plan.ID]time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				now--
				when[id] = time.Since(begin)
			}
		}
		ex := preparing{prepares: s.prepares}
		ex.execute = func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
			end := busy(a.ID)
			defer end(h.ended)
			mu.Lock()
			h.calls[a.ID]++
			if s.prepares[a.ID] && h.kept[a.ID] != 1 {
				h.lost = append(h.lost, a.ID)
			}
			h.started[a.ID] = time.Since(begin)
			mu.Unlock()
			<-time.After(s.takes[a.ID])
			switch {
			case s.panics[a.ID]:
				panic("drawn")
			case s.fails[a.ID]:
				return state.Outcome{}, errBroken
			}
			return state.Outcome{ID: string(a.ID)}, nil
		}
		ex.prepare = func(_ context.Context, a plan.Action, _ Env) (func(), error) {
			end := busy(a.ID)
			defer end(h.ready)
			<-time.After(s.takes[a.ID])
			if s.unprepared[a.ID] && s.panics[a.ID] {
				panic("drawn")
			}
			if s.unprepared[a.ID] {
				return nil, errBroken
			}
			mu.Lock()
			defer mu.Unlock()
			h.kept[a.ID]++
			return func() { h.kept[a.ID]-- }, nil
		}
		o := Options{Parallelism: s.parallelism, Observe: func(e Event) { h.events = append(h.events, e) }}
		if s.parts != nil {
			o.Parts = func(a plan.Action) []string { return s.parts[a.ID] }
		}
		h.report, h.err = Run(ctx, s.p, nil, ex, o)
	})
	return h
}

func TestRun_properties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScript(rt)
		h := s.run(t)
		resultsAreInPlanOrder(rt, s, h)
		everyActionEndsExactlyOnce(rt, s, h)
		neverMoreThanTheParallelismAtOnce(rt, s, h)
		nothingStartsBeforeItsNeedsAreDone(rt, s, h)
		nothingStartsBeforeWhatItBelongsToIsPrepared(rt, s, h)
		skipsFollowFailuresExactly(rt, s, h)
		thereIsAnErrorExactlyWhenNotAllIsDone(rt, h)
	})
}

func TestRun_equalPlansEndInEqualReports(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScript(rt)
		s.endsAt = 0 // when a run is interrupted, what had started by then is a matter of time
		slow := s
		slow.parallelism = 1
		a, b := s.run(t).report, slow.run(t).report
		for i := range a.Results {
			x, y := a.Results[i], b.Results[i]
			if x.Action.ID != y.Action.ID || x.Status != y.Status || x.Because != y.Because || x.Outcome != y.Outcome {
				rt.Fatalf("%s: %s %s, and one at a time %s %s", x.Action.ID, x.Status, x.Because, y.Status, y.Because)
			}
		}
	})
}

func resultsAreInPlanOrder(t *rapid.T, s script, h *history) {
	if !slices.EqualFunc(s.p.Actions, h.report.Results, func(a plan.Action, r Result) bool { return a.ID == r.Action.ID }) {
		t.Fatalf("results are not in plan order: %v", h.report.Results)
	}
}

func everyActionEndsExactlyOnce(t *rapid.T, s script, h *history) {
	starts, ends := map[plan.ID]int{}, map[plan.ID]int{}
	for _, e := range h.events {
		if e.Status == Started {
			starts[e.Action.ID]++
		} else {
			ends[e.Action.ID]++
		}
	}
	for _, res := range h.report.Results {
		id := res.Action.ID
		_, prepared := h.ready[id]
		executed := res.Status != Skipped && !(prepared && s.unprepared[id])
		if ends[id] != 1 || starts[id] != count(executed || prepared) || h.calls[id] != count(executed) || h.kept[id] != 0 {
			t.Fatalf("%s (%s) started %d times, was executed %d times and ended %d times", id, res.Status, starts[id], h.calls[id], ends[id])
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// related reports whether two actions belong to something together, as the run is told.
func (s script) related(a, b plan.ID) bool {
	return a == b || s.parts == nil || slices.ContainsFunc(s.parts[a], func(part string) bool { return slices.Contains(s.parts[b], part) })
}

// doomed reports whether everything that an action belongs to has a preparation that fails.
func (s script) doomed(id plan.ID) bool {
	fails := func(part string) bool {
		return slices.ContainsFunc(s.p.Actions, func(a plan.Action) bool { return s.unprepared[a.ID] && slices.Contains(s.parts[a.ID], part) })
	}
	if s.parts == nil {
		return len(s.unprepared) > 0
	}
	return len(s.parts[id]) > 0 && !slices.ContainsFunc(s.parts[id], func(part string) bool { return !fails(part) })
}

func nothingStartsBeforeWhatItBelongsToIsPrepared(t *rapid.T, s script, h *history) {
	if len(h.lost) > 0 {
		t.Fatalf("%v: what was prepared was let go of too early", h.lost)
	}
	for id, at := range h.started {
		if s.doomed(id) {
			t.Fatalf("%s was executed, and nobody wanted it any more", id)
		}
		for other := range s.prepares {
			if ready, ok := h.ready[other]; s.related(id, other) && (!ok || at < ready) {
				t.Fatalf("%s was executed at %s, before %s was prepared at %s", id, at, other, ready)
			}
		}
	}
}

func neverMoreThanTheParallelismAtOnce(t *rapid.T, s script, h *history) {
	if h.most > s.parallelism {
		t.Fatalf("%d at once, with a parallelism of %d", h.most, s.parallelism)
	}
}

func nothingStartsBeforeItsNeedsAreDone(t *rapid.T, s script, h *history) {
	for _, a := range s.p.Actions {
		for _, need := range a.Needs {
			at, ok := h.started[a.ID]
			if end, ended := h.ended[need]; ok && (!ended || at < end) {
				t.Fatalf("%s was executed at %s, before %s ended at %s", a.ID, at, need, end)
			}
		}
		if at, ok := h.started[a.ID]; ok && s.endsAt > 0 && at > s.endsAt {
			t.Fatalf("%s was started %s after the context ended", a.ID, at-s.endsAt)
		}
	}
}

func skipsFollowFailuresExactly(t *rapid.T, s script, h *history) {
	byID := map[plan.ID]Result{}
	for _, res := range h.report.Results {
		byID[res.Action.ID] = res
	}
	for _, res := range h.report.Results {
		broken, blocked := false, false
		for _, need := range res.Action.Needs {
			n := byID[need]
			blocked = blocked || n.Status != Done
			broken = broken || n.Status == Failed || n.Because != ""
		}
		_, prepared := h.ready[res.Action.ID]
		switch {
		case prepared && s.unprepared[res.Action.ID]:
			if res.Status != Failed {
				t.Fatalf("%s: %s, and its preparation failed", res.Action.ID, res.Status)
			}
		case s.endsAt == 0 && s.doomed(res.Action.ID):
			if res.Status != Skipped || byID[res.Because].Status != Failed {
				t.Fatalf("%s: %s because of %q, and nobody wanted it any more", res.Action.ID, res.Status, res.Because)
			}
		case broken:
			root := byID[res.Because]
			if res.Status != Skipped || root.Status != Failed {
				t.Fatalf("%s: %s because of %q, and a need of it failed", res.Action.ID, res.Status, res.Because)
			}
		case blocked, res.Status == Skipped:
			if s.doomed(res.Action.ID) && byID[res.Because].Status == Failed {
				continue // as far as the run came
			}
			if s.endsAt == 0 || res.Status != Skipped || res.Because != "" || !errors.Is(res.Err, context.DeadlineExceeded) {
				t.Fatalf("%s: %s because of %q (%v), and nothing it needs failed", res.Action.ID, res.Status, res.Because, res.Err)
			}
		case s.fails[res.Action.ID] != (res.Status == Failed):
			t.Fatalf("%s: %s", res.Action.ID, res.Status)
		}
	}
}

func thereIsAnErrorExactlyWhenNotAllIsDone(t *rapid.T, h *history) {
	done, _, _ := h.report.Counts()
	if (h.err == nil) != (done == len(h.report.Results)) {
		t.Fatalf("%d of %d done: %v", done, len(h.report.Results), h.err)
	}
}
