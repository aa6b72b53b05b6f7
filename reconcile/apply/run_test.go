package apply

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// execute lets a function be an executor.
type execute func(context.Context, plan.Action, Env) (state.Outcome, error)

func (f execute) Execute(ctx context.Context, a plan.Action, env Env) (state.Outcome, error) {
	return f(ctx, a, env)
}

func addr(name string) state.Address {
	return state.Address{Target: "apprunner", Kind: "service", Name: name}
}

// action is an update of the service that the ID names.
func action(id plan.ID, needs ...plan.ID) plan.Action {
	return plan.Action{ID: id, Op: plan.Update, Target: addr(string(id)), Needs: needs}
}

func planOf(actions ...plan.Action) *plan.Plan { return &plan.Plan{Actions: actions} }

func ends(r *Report) map[plan.ID]string {
	m := map[plan.ID]string{}
	for _, res := range r.Results {
		m[res.Action.ID] = strings.TrimSpace(string(res.Status) + " " + string(res.Because))
	}
	return m
}

var errBroken = errors.New("it is broken")

// failing fails the actions it names and does the others.
func failing(ids ...plan.ID) execute {
	return func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
		for _, id := range ids {
			if a.ID == id {
				return state.Outcome{}, errBroken
			}
		}
		return state.Outcome{ID: "id of " + a.Target.Name}, nil
	}
}

func TestRun_skipsWhatDependsOnAFailureAndGoesOnWithTheRest(t *testing.T) {
	p := planOf(action("a"), action("b", "a"), action("c", "b"), action("d"), action("e", "d"))

	report, err := Run(t.Context(), p, nil, failing("a"), Options{})

	require.Equal(t, map[plan.ID]string{"a": "failed", "b": "skipped a", "c": "skipped a", "d": "done", "e": "done"}, ends(report))
	require.ErrorIs(t, err, errBroken)
	require.Len(t, report.Failed(), 1)
	done, failed, skipped := report.Counts()
	require.Equal(t, []int{2, 1, 2}, []int{done, failed, skipped})
}

func TestRun_gathersErrorsInPlanOrderWithTheirActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowestFirst := execute(func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
			<-time.After(map[plan.ID]time.Duration{"a": 3, "b": 2, "c": 1}[a.ID] * time.Second)
			return state.Outcome{}, errBroken
		})
		_, err := Run(t.Context(), planOf(action("a"), action("b"), action("c")), nil, slowestFirst, Options{})

		var errs *multierror.Error
		require.ErrorAs(t, err, &errs)
		require.Len(t, errs.Errors, 3)
		for i, id := range []string{"a", "b", "c"} {
			require.EqualError(t, errs.Errors[i], id+": it is broken")
		}
	})
}

func TestRun_returnsNoErrorWhenAllIsDone(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"nothing to do": planOf(), "two": planOf(action("a"), action("b", "a"))} {
		t.Run(name, func(t *testing.T) {
			report, err := Run(t.Context(), p, nil, failing(), Options{})
			require.NoError(t, err)
			require.Len(t, report.Results, len(p.Actions))
		})
	}
}

func TestRun_blamesTheFirstFailureInThePlanWhicheverCameFirst(t *testing.T) {
	for _, slow := range []plan.ID{"a", "b"} {
		t.Run("slow "+string(slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ex := execute(func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
					if a.ID == slow {
						<-time.After(time.Second)
					}
					return state.Outcome{}, errBroken
				})
				report, _ := Run(t.Context(), planOf(action("a"), action("b"), action("c", "a", "b")), nil, ex, Options{})
				require.Equal(t, "skipped a", ends(report)["c"])
			})
		})
	}
}

func TestRun_refusesAMalformedPlanBeforeAnythingStarts(t *testing.T) {
	for name, tc := range map[string]struct {
		p    *plan.Plan
		want string
	}{
		"unknown need": {planOf(action("a"), action("b", "x")), `"b" needs "x", which is not in it; nothing was changed`},
		"same ID":      {planOf(action("a"), action("a")), `"a" occurs twice; nothing was changed`},
		"needs itself": {planOf(action("a", "a")), "these wait for each other: [a]; nothing was changed"},
		"cycle":        {planOf(action("x"), action("a", "b"), action("b", "a")), "these wait for each other: [a b]; nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			ex := execute(func(context.Context, plan.Action, Env) (state.Outcome, error) {
				t.Error("something started")
				return state.Outcome{}, nil
			})
			report, err := Run(t.Context(), tc.p, nil, ex, Options{})
			require.ErrorIs(t, err, ErrPlan)
			require.EqualError(t, err, "malformed plan: "+tc.want)
			require.Empty(t, report.Results)
		})
	}
}

func TestRun_awaitsWhatRunsAndStartsNothingWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("interrupted by the user")
		ctx, cancel := context.WithCancelCause(t.Context())
		cleanedUp := false
		ex := execute(func(ctx context.Context, a plan.Action, _ Env) (state.Outcome, error) {
			<-ctx.Done()
			<-time.After(time.Minute) // what it started must be observed
			cleanedUp = true
			return state.Outcome{}, fmt.Errorf("wait: %w", context.Cause(ctx))
		})
		time.AfterFunc(time.Second, func() { cancel(stop) })

		report, err := Run(ctx, planOf(action("a"), action("b"), action("c", "b")), nil, ex, Options{Parallelism: 1})

		require.True(t, cleanedUp)
		require.Equal(t, map[plan.ID]string{"a": "failed", "b": "skipped", "c": "skipped"}, ends(report))
		require.Equal(t, 61*time.Second, report.Results[0].Took)
		require.Equal(t, stop, report.Results[1].Err)
		require.ErrorIs(t, err, stop)
		require.ErrorContains(t, err, "interrupted before 2 actions were done")
	})
}

func TestRun_keepsTheResultOfAnActionThatEndsWellAfterTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ex := execute(func(context.Context, plan.Action, Env) (state.Outcome, error) {
		cancel()
		return state.Outcome{ID: "made"}, nil
	})
	report, err := Run(ctx, planOf(action("a")), nil, ex, Options{})
	require.NoError(t, err)
	require.Equal(t, "made", report.Results[0].Outcome.ID)
}

func TestRun_makesAPanicTheErrorOfItsAction(t *testing.T) {
	ex := execute(func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
		if a.ID == "a" {
			panic("an index out of range")
		}
		return state.Outcome{}, nil
	})
	report, err := Run(t.Context(), planOf(action("a"), action("b"), action("c", "a")), nil, ex, Options{})

	var panicked *PanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, "an index out of range", panicked.Value)
	require.Contains(t, panicked.Error(), "run_test.go", "the stack says where")
	require.Equal(t, map[plan.ID]string{"a": "failed", "b": "done", "c": "skipped a"}, ends(report))
}

func TestRun_endsAlthoughAnExecutorEndsItsGoroutine(t *testing.T) {
	ex := execute(func(context.Context, plan.Action, Env) (state.Outcome, error) {
		runtime.Goexit()
		return state.Outcome{}, nil
	})
	_, err := Run(t.Context(), planOf(action("a")), nil, ex, Options{})
	require.ErrorIs(t, err, errGoexit)
}

func TestRun_looksUpTheLiveStateAndWhatHasEnded(t *testing.T) {
	made := plan.Action{ID: "make", Op: plan.Create, Target: addr("new")}
	gone := plan.Action{ID: "drop", Op: plan.Delete, Target: addr("old")}
	url := plan.Action{ID: "change", Op: plan.Update, Target: addr("live")}
	last := action("last", "make", "drop", "change")
	known := map[state.Address]state.Outcome{addr("old"): {ID: "old"}, addr("live"): {ID: "live", URL: "http://before"}}
	got := map[string]state.Outcome{}
	ex := execute(func(_ context.Context, a plan.Action, env Env) (state.Outcome, error) {
		switch a.ID {
		case "make":
			return state.Outcome{ID: "new", URL: "http://new"}, nil
		case "change":
			return state.Outcome{URL: "http://after"}, nil
		case "last":
			for _, name := range []string{"new", "old", "live", "last"} {
				if o, ok := env.Lookup(addr(name)); ok {
					got[name] = o
				}
			}
		}
		return state.Outcome{}, nil
	})
	_, err := Run(t.Context(), planOf(made, gone, url, last), known, ex, Options{})

	require.NoError(t, err)
	require.Equal(t, map[string]state.Outcome{
		"new":  {ID: "new", URL: "http://new"},
		"live": {ID: "live", URL: "http://after"},
	}, got, "the deleted is forgotten, and an update keeps the ID it does not repeat")
	require.Equal(t, "http://before", known[addr("live")].URL, "the caller's map stays")
}

func TestRun_looksUpNothingOfAFailedAction(t *testing.T) {
	ex := execute(func(_ context.Context, a plan.Action, env Env) (state.Outcome, error) {
		if a.ID == "a" {
			return state.Outcome{ID: "half made"}, errBroken
		}
		<-time.After(time.Second)
		_, ok := env.Lookup(addr("a"))
		require.False(t, ok)
		return state.Outcome{}, nil
	})
	synctest.Test(t, func(t *testing.T) {
		report, _ := Run(t.Context(), planOf(action("a"), action("b")), nil, ex, Options{})
		require.Equal(t, "half made", report.Results[0].Outcome.ID, "but the report has it")
	})
}

func TestRun_observesEachStartAndEndInOrderFromOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string // no lock: the race detector holds Observe to its word
		ex := execute(func(_ context.Context, a plan.Action, _ Env) (state.Outcome, error) {
			<-time.After(map[plan.ID]time.Duration{"a": 2, "b": 1, "c": 1}[a.ID] * time.Second)
			return failing("a")(t.Context(), a, Env{})
		})
		_, _ = Run(t.Context(), planOf(action("a"), action("b"), action("c", "a"), action("d", "b")), nil, ex, Options{
			Observe: func(e Event) {
				seen = append(seen, fmt.Sprintf("%s %s %s%s", e.Action.ID, e.Status, e.Took, e.Because))
			},
		})
		require.Equal(t, []string{
			"a started 0s", "b started 0s", "b done 1s", "d started 0s", "d done 0s", "a failed 2s", "c skipped 0sa",
		}, seen)
	})
}

func TestRun_passesProgressOnUnderTheNameOfItsAction(t *testing.T) {
	var mu sync.Mutex
	var got []Progress
	ex := execute(func(_ context.Context, _ plan.Action, env Env) (state.Outcome, error) {
		env.Progress(Progress{Action: "forged", Phase: "pushing", Done: 1, Total: 2})
		return state.Outcome{}, nil
	})
	_, err := Run(t.Context(), planOf(action("a")), nil, ex, Options{Progress: func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, p)
	}})
	require.NoError(t, err)
	require.Equal(t, []Progress{{Action: "a", Phase: "pushing", Done: 1, Total: 2}}, got)

	_, err = Run(t.Context(), planOf(action("a")), nil, ex, Options{})
	require.NoError(t, err, "nobody needs to listen")
}

func TestRun_startsTheFirstInThePlanFirst(t *testing.T) {
	var started []plan.ID
	ex := execute(func(context.Context, plan.Action, Env) (state.Outcome, error) { return state.Outcome{}, nil })
	_, err := Run(t.Context(), planOf(action("a"), action("b", "a"), action("c"), action("d", "a")), nil, ex, Options{
		Parallelism: 1,
		Observe: func(e Event) {
			if e.Status == Started {
				started = append(started, e.Action.ID)
			}
		},
	})
	require.NoError(t, err)
	require.Equal(t, []plan.ID{"a", "b", "c", "d"}, started)
}

func TestRun_runsEightAtOnceUnlessTold(t *testing.T) {
	for told, want := range map[int]int{0: 8, -1: 8, 3: 3, 100: 20} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			now, most := 0, 0
			ex := execute(func(context.Context, plan.Action, Env) (state.Outcome, error) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				<-time.After(time.Second)
				mu.Lock()
				now--
				mu.Unlock()
				return state.Outcome{}, nil
			})
			var actions []plan.Action
			for i := range 20 {
				actions = append(actions, action(plan.ID(fmt.Sprint(i))))
			}
			_, err := Run(t.Context(), planOf(actions...), nil, ex, Options{Parallelism: told})
			require.NoError(t, err)
			require.Equal(t, want, most)
		})
	}
}

// preparer fails the preparations that it names, of actions that all have one.
func preparer(begin func(plan.ID), ids ...plan.ID) preparing {
	p := preparing{execute: failing(), prepares: map[plan.ID]bool{}}
	for _, id := range []plan.ID{"image a", "image b"} {
		p.prepares[id] = true
	}
	p.prepare = func(_ context.Context, a plan.Action, _ Env) (func(), error) {
		begin(a.ID)
		if slices.Contains(ids, a.ID) {
			return nil, errBroken
		}
		return func() {}, nil
	}
	return p
}

func TestRun_changesNothingWhenAPreparationFails(t *testing.T) {
	p := planOf(action("repository"), action("image a", "repository"), action("role"), action("service a", "image a", "role"))
	report, err := Run(t.Context(), p, nil, preparer(func(plan.ID) {}, "image a"), Options{})
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, map[plan.ID]string{"repository": "skipped image a", "image a": "failed", "role": "skipped image a", "service a": "skipped image a"}, ends(report))
}

func TestRun_doesWhatOthersWantWhenAPreparationFails(t *testing.T) {
	p := planOf(action("repository"), action("image a", "repository"), action("image b", "repository"), action("role a"), action("role b"),
		action("service a", "image a", "role a"), action("service b", "image b", "role b"), action("nobody's"))
	parts := func(a plan.Action) []string {
		switch {
		case a.ID == "repository":
			return []string{"a", "b"}
		case a.ID == "nobody's":
			return nil
		}
		return []string{string(a.ID[len(a.ID)-1])}
	}
	report, err := Run(t.Context(), p, nil, preparer(func(plan.ID) {}, "image a"), Options{Parts: parts})
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, map[plan.ID]string{"repository": "done", "nobody's": "done",
		"image a": "failed", "role a": "skipped image a", "service a": "skipped image a",
		"image b": "done", "role b": "done", "service b": "done"}, ends(report))
}

func TestRun_startsNothingWhenItEndsWhilePreparing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	p := planOf(action("repository"), action("image a", "repository"), action("image b", "repository"))
	report, err := Run(ctx, p, nil, preparer(func(plan.ID) { cancel(errBroken) }), Options{Parallelism: 1})
	require.EqualError(t, err, "1 error occurred:\n\t* interrupted before 3 actions were done: it is broken\n\n")
	require.Equal(t, map[plan.ID]string{"repository": "skipped", "image a": "skipped", "image b": "skipped"}, ends(report))
}
