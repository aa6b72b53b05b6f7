package plan

import (
	"fmt"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Op is what an action does.
type Op string

const (
	Create Op = "create"
	Update Op = "update"
	Delete Op = "delete"
	// Resume starts a paused service again, before anything else is done to it.
	Resume Op = "resume"
	// Redeploy deploys a service again as it is configured.
	Redeploy Op = "redeploy"
	// Pause takes a service's instances away until it is resumed.
	Pause Op = "pause"
)

// ID names an action within a plan: "update apprunner/service/web".
type ID string

// Change is one field that differs.
type Change struct {
	Path string
	Old  *state.Field // nil: not set before
	New  *state.Field // nil: removed
	// Unknown says that the new value is known only once the plan runs: it names the
	// URL of a service that does not exist yet.
	Unknown bool
	// Restart says that the value itself stays and what it refers to changes.
	Restart bool
	// Widening says that the change lets more people, or the application, do more.
	Widening bool
	Cause    Cause
	// Left is the release that failed and left the setting as it is live, of what [Drifted]
	// finds; 0 for none.
	Left int
}

// Action is one step.
type Action struct {
	ID      ID
	Op      Op
	Target  state.Address
	Want    state.Resource // zero for all but create and update
	Have    state.Observed // zero for create
	Changes []Change       // in path order
	// Replace says that the action is one half of a delete and create.
	Replace bool
	// Rebuild says that the live resource is the remains of a failed creation.
	Rebuild bool
	// Second says that this is the second pass of its target: of a service after its URL became
	// known, of a role after the services that have it were rolled out.
	Second bool
	// Alone says that the action is all that happens to the resource, so that it must be
	// in order afterwards: a service must answer as its manifest says.
	Alone  bool
	Reason string // for people; never to be used for a decision
	// Cause says, of a create or a delete, which side has moved; empty when that is told of
	// each change, or not known.
	Cause Cause
	// Left is the release that failed and deleted the resource, of what [Drifted] finds; 0 for
	// none.
	Left  int
	Needs []ID // sorted
}

// Widens reports whether any change of the action widens access.
func (a Action) Widens() bool {
	for _, c := range a.Changes {
		if c.Widening {
			return true
		}
	}
	return false
}

// Plan is what would be done, in an order in which it can be done.
type Plan struct {
	Actions []Action
	Notes   []state.Note // sorted by target and text
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Actions) == 0 }

// Counts says how many actions of each kind there are. A replacement counts as one
// create and one delete; a second pass and a resume count as updates of the same
// resource and are not counted again.
func (p *Plan) Counts() (creates, updates, deletes int) {
	seen := map[state.Address]bool{}
	for _, a := range p.Actions {
		switch a.Op {
		case Create:
			creates++
			seen[a.Target] = true
		case Delete:
			deletes++
		case Update, Resume, Redeploy, Pause:
			if !seen[a.Target] {
				updates++
				seen[a.Target] = true
			}
		}
	}
	return creates, updates, deletes
}

// Options steer [Build].
type Options struct {
	// Replace allows delete and create where a change needs it.
	Replace bool
	// Resume allows starting a paused service again.
	Resume bool
	// Adopt takes over resources that somebody else made.
	Adopt bool
	// AllowWildcard allows permissions that name every action or every resource.
	AllowWildcard bool
	// Bases are what releases have wanted, by resource. The cause of a change of any other
	// resource is unknown.
	Bases map[state.Address]Base
	// Keep says how to have a resource deleted that otherwise stays though nothing wants
	// it; "" lets it go.
	Keep func(state.Address) string
}

// RefusedError says why something asked for is not planned.
type RefusedError struct {
	Target state.Address
	Why    string
	Fix    string
	// Lacks is the service whose URL the setting Path refers to, and that neither exists
	// nor is planned; empty for every other refusal.
	Lacks, Path string
	// Policy says that a flag exists to allow it: a matter of policy, not of fact.
	Policy bool
}

var _ error = (*RefusedError)(nil)

func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %s", e.Target, e.Why) }

// Hint says what would make the plan possible.
func (e *RefusedError) Hint() string { return e.Fix }

// CycleError names actions that wait for each other.
type CycleError struct{ IDs []ID }

var _ error = (*CycleError)(nil)

func (e *CycleError) Error() string { return fmt.Sprintf("these wait for each other: %v", e.IDs) }
