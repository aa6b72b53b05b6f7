package plan

import (
	"maps"

	"github.com/apron-deploy/apron/reconcile/state"
)

// own is what is live, where what belongs to somebody else's is somebody else's, too: a web
// ACL has no tags that say whose it is. A plan that takes the one over may have the other.
func own(live state.Live, desired state.Desired, adopt bool) state.Live {
	theirs := func(addr state.Address) bool {
		seen := map[state.Address]bool{}
		for parent, ok := belongsTo(live[addr]); ok && !seen[parent]; parent, ok = belongsTo(live[parent]) {
			seen[parent] = true
			_, wanted := desired[parent]
			if o, exists := live[parent]; exists && o.Owner == state.Theirs && !(adopt && wanted) {
				return true
			}
		}
		return false
	}
	out := maps.Clone(live)
	for addr, o := range live {
		if o.Owner == state.Ours && theirs(addr) {
			o.Owner = state.Theirs
			out[addr] = o
		}
	}
	return out
}

// belongsTo is what a resource refers to for good: it goes and comes with it.
func belongsTo(o state.Observed) (state.Address, bool) {
	for _, f := range o.Fields {
		if target, ok := f.Target(); ok && f.Immutable {
			return target, true
		}
	}
	return state.Address{}, false
}
