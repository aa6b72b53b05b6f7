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

// Preparer is an [Executor] some of whose actions begin with a part that changes nothing
// but this machine: a build, and what is looked at before its result goes anywhere.
type Preparer interface {
	Executor
	// Prepares reports whether an action has such a part.
	Prepares(a plan.Action) bool
	// Prepare does it, under the context of the whole run. discard is called when the run
	// ends, after Execute or without it; it is nil if there is nothing to let go of.
	Prepare(ctx context.Context, a plan.Action, env Env) (discard func(), err error)
}

// Env is what an executor is given beside its action.
type Env struct {
	// Lookup returns what is known of a resource: from the live state, or from an
	// action that has ended. It may be called from several goroutines.
	Lookup func(state.Address) (state.Outcome, bool)
	// Progress reports what is going on; it fills in [Progress.Action] itself. It may
	// be called from several goroutines and does not block for long.
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
	// Layers counts the layers that the phase moves; nil in every other phase.
	Layers *Layers
	// Layer is one of them that is in the registry now. A progress that has it has neither
	// a phase nor a line.
	Layer *Layer
	// Expect says how long the phase takes as a rule; nil when nobody knows.
	Expect *Expectation
	// Line is one line of foreign output: of a build, or of the application.
	Line   string
	Source string // what printed Line: "docker", "application"
}

// Layers counts the layers of an image on its way into a registry.
type Layers struct {
	Total   int   // in the image, each once
	Sent    int   // of them, that were sent
	Existed int   // that the repository had
	Mounted int   // that another repository of the registry had
	Bytes   int64 // sent up to now
	Saved   int64 // bytes of those that were not sent
	// Rate is how many bytes per second are sent, in the mean since the first one; 0 before.
	Rate float64
	// Took is how long it all took. It is 0 until everything is there.
	Took time.Duration
}

// Done is how many layers the registry has.
func (l Layers) Done() int { return l.Sent + l.Existed + l.Mounted }

// Arrival is how a registry came to have a layer.
type Arrival string

const (
	Sent    Arrival = "sent"
	Existed Arrival = "existed" // in the repository
	Mounted Arrival = "mounted" // from another repository
)

// Layer is a layer that a registry has.
type Layer struct {
	Digest  string
	Arrival Arrival
	Bytes   int64         // as the registry has it
	Took    time.Duration // to send it; 0 if it was not
}

// Expectation is how long something takes as a rule.
type Expectation struct {
	Since   time.Time     // when it began
	Usual   time.Duration // in the middle
	Longest time.Duration // up to where it is normal
	Basis   string        // what this is known from: "as the last 3 of this kind took"
	Over    string        // what it may mean to take longer; may be empty
}

// Status is how an action ended.
type Status string

const (
	Started Status = "started"
	Done    Status = "done"
	Failed  Status = "failed"
	Skipped Status = "skipped" // something it needs, or is for, did not succeed
)

// Event says that an action started or ended. One that is skipped ends without having
// started, unless it was prepared.
type Event struct {
	Action  plan.Action
	Status  Status
	Err     error
	Because plan.ID // as in [Result]
	Took    time.Duration
}

// Options steer [Run].
type Options struct {
	Parallelism int // actions at once; 0 means 8
	// Observe is told of every start and end, from one goroutine, in order. Nothing
	// new starts before it returns.
	Observe func(Event)
	// Progress is told what executors report, from several goroutines at once.
	Progress func(Progress)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Parts names the services that an action is for. It waits for the preparations of these
	// alone, and is skipped when each of them has one that failed; one that is for none starts
	// at once. Nil means that all are for the same.
	Parts func(plan.Action) []string
}

// Result is the end of one action.
type Result struct {
	Action  plan.Action
	Status  Status
	Outcome state.Outcome
	// Err is why it failed, or the context's cause when it was skipped because the
	// run was ended.
	Err error
	// Because is the failed action at the root of a skip: not the skipped one in
	// between, and of several the first in the plan. It is empty when the run was ended.
	Because plan.ID
	Took    time.Duration
}

// Report is the end of a run, in plan order.
type Report struct{ Results []Result }

// Failed returns the results of the actions that failed, in plan order.
func (r *Report) Failed() []Result {
	var failed []Result
	for _, res := range r.Results {
		if res.Status == Failed {
			failed = append(failed, res)
		}
	}
	return failed
}

// Counts says how many actions ended in which way.
func (r *Report) Counts() (done, failed, skipped int) {
	for _, res := range r.Results {
		switch res.Status {
		case Done:
			done++
		case Failed:
			failed++
		case Skipped:
			skipped++
		}
	}
	return done, failed, skipped
}
