package plan

import (
	"slices"

	"github.com/apron-deploy/apron/reconcile/state"
)

// narrow puts off what an update takes from a role until the services that have the role are
// rolled out: the version that runs until then may still do it, and goes on to if the rollout
// fails.
func (b *builder) narrow() {
	for i := range b.actions {
		a := b.actions[i]
		if a.Op != Update || a.Second || len(b.rollouts(a.Target)) == 0 {
			continue
		}
		var taken, rest []Change
		for _, c := range a.Changes {
			if takes(c) {
				taken = append(taken, c)
			} else {
				rest = append(rest, c)
			}
		}
		if len(taken) == 0 {
			continue
		}
		later := Action{Op: Update, Target: a.Target, Want: a.Want, Have: a.Have, Changes: taken, Second: true,
			Reason: "the version that runs until the rollout has succeeded may still do it"}
		if len(rest) == 0 {
			later.ID = a.ID + SecondPass
			b.actions[i] = later
			continue
		}
		first := a.Want
		first.Fields = slices.Clone(a.Want.Fields)
		for _, c := range taken {
			first.Fields = append(first.Fields, *c.Old)
		}
		first.Fields = state.Sort(first.Fields)
		b.actions[i].Want, b.actions[i].Changes = first, rest
		b.add(later)
	}
}

// takes reports whether a change takes away what somebody may do, and what could be left as
// it is for a while.
func takes(c Change) bool { return c.New == nil && c.Old != nil && c.Old.Grant && !c.Old.Opaque }

// rollouts are the actions that have another version run with a role than does now.
func (b *builder) rollouts(role state.Address) []ID {
	var ids []ID
	for _, a := range b.actions {
		deploys := a.Op == Redeploy || a.Op == Update && !a.Rebuild && !labels(a.Changes)
		if deploys && a.Target != role && slices.Contains(state.Refs(a.Have.Fields), role) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
