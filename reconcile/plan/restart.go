package plan

import (
	"cmp"
	"slices"

	"github.com/apron-deploy/apron/reconcile/state"
)

// restart adds a redeploy of a live resource when what it refers to changes beneath it.
func (b *builder) restart(w state.Resource) {
	have, exists := b.live[w.Address]
	if !exists {
		return
	}
	var changes []Change
	for i := range w.Fields {
		f := &w.Fields[i]
		target, ok := f.Target()
		if !ok || !f.Restart || !b.changes(target) {
			continue
		}
		if old, same := have.Get(f.Path); same && old.Value == f.Value {
			changes = append(changes, Change{Path: f.Path, Old: &old, New: f, Restart: true, Cause: Unknown})
		}
	}
	if len(changes) == 0 {
		return
	}
	var tagged *Action
	for _, i := range b.byTarget[w.Address] {
		a := &b.actions[i]
		switch {
		case a.Op == Update && !a.Rebuild && labels(a.Changes):
			tagged = a
		case a.Op == Update, a.Replace:
			return // it is deployed anyway
		}
	}
	if have.Phase == state.Paused && !b.o.Resume {
		b.note(w.Address, "is paused: what it refers to changes, and takes effect once it runs again")
		return
	}
	const reason = "what it refers to changes, and a running service reads it only when deployed"
	if tagged != nil { // which deploys nothing by itself
		tagged.Changes = slices.Concat(changes, tagged.Changes)
		slices.SortStableFunc(tagged.Changes, func(x, y Change) int { return cmp.Compare(x.Path, y.Path) })
		tagged.Reason = cmp.Or(tagged.Reason, reason)
		if have.Phase == state.Paused {
			b.resume(have)
		}
		return
	}
	wanted, _ := b.expand(w)
	if a := b.update(wanted, have, changes); a != nil {
		a.Reason = reason
	}
}

// changes reports whether the plan creates addr, or updates more than its tags.
func (b *builder) changes(addr state.Address) bool {
	for _, i := range b.byTarget[addr] {
		if a := b.actions[i]; a.Op == Create || a.Op == Update && !labels(a.Changes) {
			return true
		}
	}
	return false
}
