package plan

import (
	"slices"

	"github.com/apron-deploy/apron/reconcile/state"
)

// link derives what each action needs from references: a create or update needs those
// of what it refers to, and a delete needs those of everything that refers to it now.
func (b *builder) link() {
	for i := range b.actions {
		a := &b.actions[i]
		var needs []ID
		switch a.Op {
		case Create, Update:
			for _, r := range state.Refs(a.Want.Fields) {
				needs = append(needs, b.ids(r, func(n Action) bool { return n.Op != Delete && n.Op != Resume && !n.Second })...)
			}
			for _, c := range a.Changes {
				if c.Unknown {
					for _, name := range state.SoftRefs(c.New.Template) {
						addr, _ := b.service(name)
						needs = append(needs, b.ids(addr, func(n Action) bool { return n.Op == Create || n.Rebuild })...)
					}
				}
			}
			if a.Second && slices.ContainsFunc(a.Changes, takes) {
				needs = append(needs, b.rollouts(a.Target)...)
			}
			if a.Op == Create && a.Replace {
				needs = append(needs, b.ids(a.Target, func(n Action) bool { return n.Op == Delete })...)
			}
			if a.Op == Update {
				needs = append(needs, b.ids(a.Target, func(n Action) bool { return n.Op == Resume || a.Second && !n.Second })...)
			}
		case Delete:
			for j := range b.actions {
				n := &b.actions[j]
				if n.Target != a.Target && leaves(n, a.Target) {
					needs = append(needs, n.ID)
				}
			}
		}
		slices.Sort(needs)
		a.Needs = slices.Compact(needs)
	}
}

// leaves reports whether a live resource refers to addr and no longer does after n.
func leaves(n *Action, addr state.Address) bool {
	return slices.Contains(state.Refs(n.Have.Fields), addr) &&
		(n.Op == Delete || !slices.Contains(overlay(n.Want, n.Have.Fields), addr))
}

func (b *builder) ids(addr state.Address, take func(Action) bool) []ID {
	var ids []ID
	for _, i := range b.byTarget[addr] {
		if take(b.actions[i]) {
			ids = append(ids, b.actions[i].ID)
		}
	}
	return ids
}
