package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const defaultParallelism = 8

// ErrPlan is wrapped by the error of a plan that cannot be walked: an ID that occurs
// twice, or a need that no action fulfils. Nothing was started then.
var ErrPlan = errors.New("malformed plan")

// PanicError is the error of an action whose executor panicked.
type PanicError struct {
	Value any
	Stack []byte
}

var _ error = (*PanicError)(nil)

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

// errGoexit is the error of an executor that ended its goroutine instead of returning.
var errGoexit = errors.New("the executor ended without a result")

// Run executes p. What is known of the live resources is what executors can look up
// from the start; what the actions make known is added as they end, and what is deleted
// is forgotten.
//
// The report holds a result for every action, and the error holds one error for every
// failed one and one more if ctx ended before all had started: a [*multierror.Error] in
// plan order. A plan that cannot be walked is an error, with an empty report, before
// anything starts.
func Run(ctx context.Context, p *plan.Plan, known map[state.Address]state.Outcome, ex Executor, o Options) (*Report, error) {
	r, err := newRun(p, known, ex, o)
	if err != nil {
		return &Report{}, err
	}
	defer r.discard()
	for {
		r.start(ctx)
		if r.running == 0 {
			break
		}
		r.finish(<-r.results)
	}
	r.abandon(ctx)
	return r.report, r.err(ctx)
}

// run is the state of one [Run]. All but outcomes belongs to the goroutine that runs it.
//
// Its nodes are the actions, by their index in the plan, and after them preparations.
type run struct {
	ex  Executor
	o   Options
	now func() time.Time

	report   *Report // results by index in the plan
	index    map[plan.ID]int
	waiting  []int           // how many nodes that an action needs have not ended
	waiters  [][]int         // which actions need this node
	ready    []int           // may start, sorted
	began    []time.Time     // it, or its preparation
	spent    []time.Duration // on its preparation
	running  int
	limit    int
	results  chan ended
	outcomes outcomes
	preparations
}

// ended is what a worker sends.
type ended struct {
	i       int
	outcome state.Outcome
	discard func() // of a preparation
	err     error
}

func newRun(p *plan.Plan, known map[state.Address]state.Outcome, ex Executor, o Options) (*run, error) {
	n := len(p.Actions)
	r := &run{
		ex: ex, o: o, now: o.Now, limit: o.Parallelism,
		report:   &Report{Results: make([]Result, n)},
		index:    make(map[plan.ID]int, n),
		waiting:  make([]int, n),
		waiters:  make([][]int, n),
		began:    make([]time.Time, n),
		spent:    make([]time.Duration, n),
		outcomes: outcomes{m: maps.Clone(known)},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.limit <= 0 {
		r.limit = defaultParallelism
	}
	if r.outcomes.m == nil {
		r.outcomes.m = map[state.Address]state.Outcome{}
	}
	r.results = make(chan ended, r.limit)

	for i, a := range p.Actions {
		if _, twice := r.index[a.ID]; twice {
			return nil, fmt.Errorf("%w: %q occurs twice; nothing was changed", ErrPlan, a.ID)
		}
		r.index[a.ID] = i
		r.report.Results[i].Action = a
	}
	for i, a := range p.Actions {
		for _, need := range a.Needs {
			j, ok := r.index[need]
			if !ok {
				return nil, fmt.Errorf("%w: %q needs %q, which is not in it; nothing was changed", ErrPlan, a.ID, need)
			}
			r.waiters[j] = append(r.waiters[j], i)
			r.waiting[i]++
		}
	}
	r.addPreparations()
	for i, n := range r.waiting {
		if n == 0 {
			r.ready = append(r.ready, i)
		}
	}
	if ids := r.cycle(); len(ids) > 0 {
		return nil, fmt.Errorf("%w: %w; nothing was changed", ErrPlan, &plan.CycleError{IDs: ids})
	}
	return r, nil
}

// cycle returns the actions that could never start because they wait, directly or
// through others, for themselves.
func (r *run) cycle() []plan.ID {
	waiting, reached := slices.Clone(r.waiting), slices.Clone(r.ready)
	for k := 0; k < len(reached); k++ {
		for _, w := range r.waiters[reached[k]] {
			if waiting[w]--; waiting[w] == 0 {
				reached = append(reached, w)
			}
		}
	}
	var ids []plan.ID
	for i, res := range r.report.Results {
		if waiting[i] > 0 {
			ids = append(ids, res.Action.ID)
		}
	}
	return ids
}

// start starts what is ready, as far as the limit and the context allow.
func (r *run) start(ctx context.Context) {
	for len(r.ready) > 0 && r.running < r.limit && ctx.Err() == nil {
		i := r.ready[0]
		r.ready = r.ready[1:]
		r.running++
		r.began[r.of(i)] = r.now()
		if !r.prepared(i) {
			r.observe(Event{Action: r.action(r.of(i)), Status: Started})
		}
		go r.work(ctx, i)
	}
}

// work runs in a goroutine of its own and sends exactly one result, whatever the
// executor does.
func (r *run) work(ctx context.Context, i int) {
	end := ended{i: i, err: errGoexit}
	defer func() {
		if v := recover(); v != nil {
			end.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		r.results <- end
	}()
	a := r.action(r.of(i))
	env := Env{
		Lookup: r.outcomes.get,
		Progress: func(p Progress) {
			if r.o.Progress != nil {
				p.Action = a.ID
				r.o.Progress(p)
			}
		},
	}
	if i >= len(r.index) {
		end.discard, end.err = r.preparer.Prepare(ctx, a, env)
		return
	}
	end.outcome, end.err = r.ex.Execute(ctx, a, env)
}

// finish takes in a worker's result and decides what waited for it.
func (r *run) finish(end ended) {
	r.running--
	i := r.of(end.i)
	if end.discard != nil {
		r.discards = append(r.discards, end.discard)
	}
	took := r.spent[i] + r.now().Sub(r.began[i])
	if end.i != i && end.err == nil { // the action itself is yet to come
		r.spent[i] = took
		r.release(end.i)
		return
	}
	res := &r.report.Results[i]
	res.Status, res.Outcome, res.Err = Done, end.outcome, end.err
	res.Took = took
	if end.err != nil {
		res.Status = Failed
	} else {
		r.outcomes.put(res.Action, end.outcome)
	}
	r.observe(Event{Action: res.Action, Status: res.Status, Err: res.Err, Took: res.Took})
	if end.i != i {
		r.fail(i)
		r.release(end.i)
	}
	r.release(i)
}

// release tells the actions that waited for node i that it has ended, however it did.
func (r *run) release(i int) {
	for _, w := range r.waiters[i] {
		if r.waiting[w]--; r.waiting[w] > 0 || r.report.Results[w].Status != "" {
			continue
		}
		root, skipped := r.blocked(w)
		if !skipped {
			root, skipped = r.pointless(w)
		}
		if skipped {
			r.skip(w, root, nil)
			continue
		}
		at, _ := slices.BinarySearch(r.ready, w)
		r.ready = slices.Insert(r.ready, at, w)
	}
}

// blocked returns the failure that keeps action i from starting: the first in the plan
// of those at the roots of its needs.
func (r *run) blocked(i int) (root plan.ID, ok bool) {
	first := len(r.report.Results)
	for _, need := range r.action(i).Needs {
		switch res := r.report.Results[r.index[need]]; {
		case res.Status == Failed:
			first = min(first, r.index[need])
		case res.Status == Skipped && res.Because != "":
			first = min(first, r.index[res.Because])
		}
	}
	if first == len(r.report.Results) {
		return "", false
	}
	return r.report.Results[first].Action.ID, true
}

func (r *run) skip(i int, because plan.ID, cause error) {
	res := &r.report.Results[i]
	res.Status, res.Because, res.Err = Skipped, because, cause
	r.observe(Event{Action: res.Action, Status: Skipped, Because: because, Err: cause})
	r.release(i)
}

// abandon skips what the end of the context kept from starting.
func (r *run) abandon(ctx context.Context) {
	for len(r.ready) > 0 {
		i := r.ready[0]
		r.ready = r.ready[1:]
		if i >= len(r.index) { // of an action, which is ready then
			r.release(i)
			continue
		}
		r.skip(i, "", context.Cause(ctx))
	}
}

func (r *run) err(ctx context.Context) error {
	var errs *multierror.Error
	abandoned := 0
	for _, res := range r.report.Results {
		switch {
		case res.Status == Failed:
			errs = multierror.Append(errs, fmt.Errorf("%s: %w", res.Action.ID, res.Err))
		case res.Status == Skipped && res.Because == "":
			abandoned++
		}
	}
	if abandoned > 0 {
		errs = multierror.Append(errs, fmt.Errorf("interrupted before %s done: %w", actions(abandoned), context.Cause(ctx)))
	}
	return errs.ErrorOrNil()
}

func actions(n int) string {
	if n == 1 {
		return "1 action was"
	}
	return fmt.Sprintf("%d actions were", n)
}

func (r *run) action(i int) plan.Action { return r.report.Results[i].Action }

func (r *run) observe(e Event) {
	if r.o.Observe != nil {
		r.o.Observe(e)
	}
}

// outcomes is what is known so far: the one thing that workers read.
type outcomes struct {
	mu sync.RWMutex
	m  map[state.Address]state.Outcome
}

func (o *outcomes) get(a state.Address) (state.Outcome, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	out, ok := o.m[a]
	return out, ok
}

// put adds what an action made known. What an update does not mention stays known.
func (o *outcomes) put(a plan.Action, out state.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.Op == plan.Delete {
		delete(o.m, a.Target)
		return
	}
	old := o.m[a.Target]
	o.m[a.Target] = state.Outcome{ID: cmp.Or(out.ID, old.ID), URL: cmp.Or(out.URL, old.URL)}
}
