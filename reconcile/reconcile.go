package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Query says what to observe.
type Query struct {
	Account string
	Region  string
	// Specs are the manifests that are planned together.
	Specs []state.Spec
	// Want are the addresses that the desired state may hold; a provider also reports
	// what it finds to be ours and is not wanted any more.
	Want []state.Address
	// Users asks also for the other users of what is shared, before it is deleted.
	Users bool
}

// Provider observes and changes the resources of some types.
type Provider interface {
	// Types are the address types it handles, such as "ecr/repository".
	Types() []string
	// Observe reads what is live. Absence is not an error. What it could not read while the
	// rest went well is a [ReadError], or several in a multierror.
	Observe(ctx context.Context, q Query) (state.Live, []state.Note, error)
	apply.Executor
}

// Providers are all providers of a run. Together they observe as one, and route each
// action to the one that handles its type.
type Providers []Provider

var _ apply.Executor = Providers(nil)

// Observe asks every provider at once and joins what they found. Two providers that
// report the same address are a mistake of ours. What could not be read is the error, as
// [Unread] takes it apart, once everything else was read.
func (ps Providers) Observe(ctx context.Context, q Query) (state.Live, []state.Note, error) {
	lives := make([]state.Live, len(ps))
	notes := make([][]state.Note, len(ps))
	reads, ctx := NewReads(ctx)
	for i, p := range ps {
		reads.Go(func() (err error) {
			lives[i], notes[i], err = p.Observe(ctx, q)
			return err
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	live := state.Live{}
	var all []state.Note
	for i := range ps {
		for addr, o := range lives[i] {
			if _, twice := live[addr]; twice {
				return nil, nil, fmt.Errorf("%s is reported by two providers", addr)
			}
			live[addr] = o
		}
		all = append(all, notes[i]...)
	}
	return live, all, nil
}

var _ apply.Preparer = Providers(nil)

// Execute implements [apply.Executor].
func (ps Providers) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	if p := ps.of(a); p != nil {
		return p.Execute(ctx, a, env)
	}
	return state.Outcome{}, fmt.Errorf("%s: no provider handles %s", a.Target, a.Target.Type())
}

// Prepares implements [apply.Preparer], as far as the provider does.
func (ps Providers) Prepares(a plan.Action) bool {
	p, ok := ps.of(a).(apply.Preparer)
	return ok && p.Prepares(a)
}

// Prepare implements [apply.Preparer]: the provider must.
func (ps Providers) Prepare(ctx context.Context, a plan.Action, env apply.Env) (discard func(), err error) {
	return ps.of(a).(apply.Preparer).Prepare(ctx, a, env)
}

// of returns the provider that handles an action, or nil.
func (ps Providers) of(a plan.Action) Provider {
	for _, p := range ps {
		if slices.Contains(p.Types(), a.Target.Type()) {
			return p
		}
	}
	return nil
}

// Known is what executors may look up of what was live when the plan was made.
func Known(live state.Live) map[state.Address]state.Outcome {
	known := make(map[state.Address]state.Outcome, len(live))
	for addr, o := range live {
		known[addr] = state.Outcome{ID: o.ID, URL: o.URL}
	}
	return known
}
