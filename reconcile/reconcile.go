package reconcile

import (
	"context"

	"github.com/apron-deploy/apron/reconcile/apply"
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
	// Observe reads what is live. Absence is not an error.
	Observe(ctx context.Context, q Query) (state.Live, []state.Note, error)
	apply.Executor
}
