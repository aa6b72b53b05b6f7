package apply

import (
	"context"
	"time"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Executor does one action and says what it made known. It returns only when the
// effect was observed, and it may be called again after a crash at any point: what is
// already there is not an error.
type Executor interface {
	Execute(ctx context.Context, a plan.Action, env Env) (state.Outcome, error)
}

// Env is what an executor is given beside its action.
type Env struct {
	// Lookup returns what is known of a resource: from the live state, or from an
	// action that has ended.
	Lookup func(state.Address) (state.Outcome, bool)
	// Progress reports what is going on. It may be called from several goroutines and
	// does not block for long.
	Progress func(Progress)
}

// Progress is a step within an action.
type Progress struct {
	Action plan.ID
	// Phase is a few words: "pushing", "waiting for health checks". It is empty on a
	// line of foreign output.
	Phase string
	// Done and Total are bytes, or zero when the phase is not measured.
	Done, Total int64
	// Line is one line of foreign output: of a build, or of the application.
	Line   string
	Source string // what printed Line: "docker", "application"
}

// Status is how an action ended.
type Status string

const (
	Started Status = "started"
	Done    Status = "done"
	Failed  Status = "failed"
	Skipped Status = "skipped" // something it needs did not succeed
)

// Event says that an action started or ended.
type Event struct {
	Action plan.Action
	Status Status
	Err    error
	Took   time.Duration
}

// Options steer [Run].
type Options struct {
	Parallelism int // actions at once; 0 means 8
	// Observe is told of every start and end, from one goroutine, in order.
	Observe  func(Event)
	Progress func(Progress)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Result is the end of one action.
type Result struct {
	Action  plan.Action
	Status  Status
	Outcome state.Outcome
	Err     error
	// Because is the failed or skipped action that made this one be skipped.
	Because plan.ID
	Took    time.Duration
}

// Report is the end of a run, in plan order.
type Report struct{ Results []Result }
