package plan

import (
	"cmp"
	"slices"

	"github.com/apron-deploy/apron/reconcile/state"
)

// SteerOptions steer [Steer].
type SteerOptions struct {
	// Wait allows waiting for an operation that is under way.
	Wait bool
}

// Steer plans a verb that changes no setting of the named services: [Redeploy], [Pause]
// or [Resume]. As [Build] does, it refuses all at once and with the way out of each.
//
//	live phase     redeploy                  pause      resume
//	absent         refused                   refused    refused
//	theirs         refused                   refused    refused
//	ready          redeploy                  pause      a note
//	busy           refused, or waits first   the same   the same
//	paused         refused                   a note     resume
//	failed, stuck  refused                   refused    refused
func Steer(op Op, services []state.Address, live state.Live, o SteerOptions) (*Plan, error) {
	b := &builder{live: live, byTarget: map[state.Address][]int{}}
	services = slices.Clone(services)
	slices.SortFunc(services, state.Address.Compare)
	for _, addr := range slices.Compact(services) {
		b.steer(op, addr, o)
	}
	if err := b.refused.ErrorOrNil(); err != nil {
		return nil, err
	}
	return &Plan{Actions: b.actions, Notes: b.notes}, nil
}

// steered says what each verb does, and what it costs.
var steered = map[Op]string{
	Redeploy: "the same configuration again, with secrets as they are now and with the image that its tag names now",
	Pause: "while it is paused it has no instances: its URL does not answer, what they hold in memory and files is lost, and " +
		"computing is not charged; the URL and every setting stay",
	Resume: "the version that ran before it was paused starts again, and computing is charged again",
}

func (b *builder) steer(op Op, addr state.Address, o SteerOptions) {
	have, exists := b.live[addr]
	switch {
	case !exists:
		b.refuse(addr, "make it with `apron apply`", "does not exist")
		return
	case have.Owner == state.Theirs:
		b.refuse(addr, "take it over with `apron apply --adopt` first", "was not made by apron for this service%s", because(have.Note))
		return
	}
	a := Action{Op: op, Target: addr, Have: have, Reason: steered[op], Alone: true}
	switch have.Phase {
	case state.Failed:
		b.refuse(addr, "`apron apply` rebuilds it, `apron destroy` removes it", "was never created: its creation failed")
		return
	case state.Stuck:
		b.refuse(addr, "try again with `apron destroy`", "is half deleted: its deletion failed")
		return
	case state.Busy:
		if !o.Wait {
			b.refuse(addr, "wait for its end with --wait, or look with `apron status`", "has an operation under way%s", because(have.Note))
			return
		}
		a.Reason = "waits for the operation under way" + because(have.Note)
	case state.Paused:
		switch op {
		case Pause:
			b.note(addr, "is paused already")
			return
		case Redeploy:
			b.refuse(addr, "start it with `apron resume` first", "is paused, and a paused service cannot be deployed")
			return
		}
	case state.Ready:
		if op == Resume {
			b.note(addr, "runs already")
			return
		}
	}
	b.add(a)
}

// Then is a plan and after it another one: no action of next starts before all of p are
// done. The two are about different resources.
func (p *Plan) Then(next *Plan) *Plan {
	var first []ID
	for _, a := range p.Actions {
		first = append(first, a.ID)
	}
	both := &Plan{Actions: slices.Clone(p.Actions), Notes: slices.Concat(p.Notes, next.Notes)}
	for _, a := range next.Actions {
		a.Needs = slices.Concat(a.Needs, first)
		slices.Sort(a.Needs)
		both.Actions = append(both.Actions, a)
	}
	slices.SortStableFunc(both.Notes, func(a, b state.Note) int {
		return cmp.Or(a.Target.Compare(b.Target), cmp.Compare(a.Text, b.Text))
	})
	return both
}
