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
	parallelism int
	endsAt      time.Duration // of the context; zero for never
}

func drawScript(t *rapid.T) script {
	s := script{p: &plan.Plan{}, takes: map[plan.ID]time.Duration{}, fails: map[plan.ID]bool{}, panics: map[plan.ID]bool{}}
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
}

func (s script) run(t *testing.T) *history {
	h := &history{calls: map[plan.ID]int{}, started: map[plan.ID]time.Duration{}, ended: map[plan.ID]time.Duration{}}
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		if s.endsAt > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.endsAt)
			defer cancel()
		}
		var mu sync.Mutex
		begin, now := time.Now(), 0
		ex := execute(func(ctx context.Context, a plan.Action, _ Env) (state.Outcome, error) {
			mu.Lock()
			now++
			h.most = max(h.most, now)
			h.calls[a.ID]++
			h.started[a.ID] = time.Since(begin)
			mu.Unlock()
			defer func() {
				mu.Lock()
				now--
				h.ended[a.ID] = time.Since(begin)
				mu.Unlock()
			}()
			<-time.After(s.takes[a.ID])
			switch {
			case s.panics[a.ID]:
				panic("drawn")
			case s.fails[a.ID]:
				return state.Outcome{}, errBroken
			}
			return state.Outcome{ID: string(a.ID)}, nil
		})
		h.report, h.err = Run(ctx, s.p, nil, ex, Options{Parallelism: s.parallelism, Observe: func(e Event) { h.events = append(h.events, e) }})
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
		want := 1
		if res.Status == Skipped {
			want = 0
		}
		if ends[id] != 1 || starts[id] != want || h.calls[id] != want {
			t.Fatalf("%s (%s) started %d times, was executed %d times and ended %d times", id, res.Status, starts[id], h.calls[id], ends[id])
		}
	}
}

func neverMoreThanTheParallelismAtOnce(t *rapid.T, s script, h *history) {
	if h.most > s.parallelism {
		t.Fatalf("%d at once, with a parallelism of %d", h.most, s.parallelism)
	}
}

func nothingStartsBeforeItsNeedsAreDone(t *rapid.T, s script, h *history) {
	done := map[plan.ID]bool{}
	for _, e := range h.events {
		if e.Status == Done {
			done[e.Action.ID] = true
		}
		for _, need := range e.Action.Needs {
			if e.Status == Started && !done[need] {
				t.Fatalf("%s started before %s was done", e.Action.ID, need)
			}
		}
	}
	for _, a := range s.p.Actions {
		for _, need := range a.Needs {
			if at, ok := h.started[a.ID]; ok && at < h.ended[need] {
				t.Fatalf("%s was executed at %s, before %s ended at %s", a.ID, at, need, h.ended[need])
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
		switch {
		case broken:
			root := byID[res.Because]
			if res.Status != Skipped || root.Status != Failed {
				t.Fatalf("%s: %s because of %q, and a need of it failed", res.Action.ID, res.Status, res.Because)
			}
		case blocked, res.Status == Skipped:
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
