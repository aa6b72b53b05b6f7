package plan

import (
	"cmp"
	"strings"

	"github.com/apron-deploy/apron/reconcile/state"
)

// diff is one merge pass over two sorted lists of fields. What want does not name is
// unmanaged, unless it lies under a prefix that is managed as a whole.
func diff(want state.Resource, have []state.Field) []Change {
	var changes []Change
	w, h := want.Fields, have
	for len(w) > 0 || len(h) > 0 {
		switch {
		case len(h) == 0 || len(w) > 0 && cmp.Less(w[0].Path, h[0].Path):
			if compared(w[0]) {
				changes = append(changes, Change{Path: w[0].Path, New: &w[0], Cause: Unknown})
			}
			w = w[1:]
		case len(w) == 0 || cmp.Less(h[0].Path, w[0].Path):
			if want.Covers(h[0].Path) {
				changes = append(changes, Change{Path: h[0].Path, Old: &h[0], Cause: Unknown})
			}
			h = h[1:]
		default:
			if compared(w[0]) && w[0].Value != h[0].Value {
				changes = append(changes, Change{Path: w[0].Path, Old: &h[0], New: &w[0], Cause: Unknown})
			}
			w, h = w[1:], h[1:]
		}
	}
	return changes
}

// compared reports whether a wanted field can be a change by itself.
func compared(f state.Field) bool {
	return !f.Order && !f.Provenance && !f.Omit && !(f.Later && f.Value == "")
}

// overlay returns the references that hold once want was applied over have: the wanted
// ones, and those of have that want leaves alone.
func overlay(want state.Resource, have []state.Field) []state.Address {
	fields := append([]state.Field(nil), want.Fields...)
	for _, f := range have {
		if _, named := want.Get(f.Path); !named && !want.Covers(f.Path) {
			fields = append(fields, f)
		}
	}
	return state.Refs(state.Sort(fields))
}

// widen marks the changes that let somebody do more than before: a grant that is new,
// and a secret that becomes a plain variable.
func widen(changes []Change) {
	for i := range changes {
		c := &changes[i]
		if c.New == nil {
			continue
		}
		if c.New.Grant && (c.Old == nil || !c.Old.Grant) {
			c.Widening = true
		}
		if name, ok := strings.CutPrefix(c.Path, "env."); ok && removed(changes, "secrets."+name) {
			c.Widening = true
		}
	}
}

func removed(changes []Change, path string) bool {
	for _, c := range changes {
		if c.Path == path && c.New == nil {
			return true
		}
	}
	return false
}
