package plan

import (
	"cmp"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/state"
)

// once looks at the changes of fields that are set once, such as the image that a version
// names, and drops those that are none. taken says that one is refused.
//
// V is what the live resource stands for, W what is wanted, and R what runs: a resource
// that w is ordered after.
//
//	W        V = W   V = R   change
//	known    yes     -       none: another name of the same
//	known    no      -       refused
//	unknown  -       no      refused
//	unknown  -       yes     planned, with a warning: only making W tells
func (b *builder) once(w state.Resource, have state.Observed, changes []Change) (rest []Change, taken bool) {
	rest = slices.DeleteFunc(changes, func(c Change) bool {
		if c.New == nil || c.Old == nil || !c.New.Once {
			return false
		}
		stands := cmp.Or(have.ID, c.Old.Text())
		switch wanted, known := b.identity(*c.New); {
		case known && wanted == stands:
		case known:
			taken = true
			b.refuseOnce(w.Address, *c.New, stands+" already, and the manifest's image is another")
		case !b.runs(w, have):
			taken = true
			b.refuseOnce(w.Address, *c.New, stands+" already, which is not what runs, and the manifest's image is not built yet")
		default:
			b.warn(w.Address, "names the image that runs, and is never moved: if the build gives another image, that is deployed without this name; %s, or leave image.version away", c.New.Fix)
			return false
		}
		return true
	})
	return rest, taken
}

func (b *builder) refuseOnce(addr state.Address, f state.Field, what string) {
	b.refused = multierror.Append(b.refused, &RefusedError{Target: addr, Policy: true,
		Why: "names " + what, Fix: f.Fix + ", or leave image.version away"})
}

// identity is what the resource that a field refers to is, or will be, where that is
// known before it is made.
func (b *builder) identity(f state.Field) (string, bool) {
	target, ok := f.Target()
	if !ok {
		return f.Value, true
	}
	if id := b.live[target].ID; id != "" {
		return id, true
	}
	digest, ok := b.desired[target].Get("digest")
	return digest.Value, ok
}

// runs reports whether something that w is ordered after stands for the same as have.
func (b *builder) runs(w state.Resource, have state.Observed) bool {
	return slices.ContainsFunc(w.Fields, func(f state.Field) bool {
		target, ok := f.Target()
		return ok && f.Order && have.ID != "" && b.live[target].ID == have.ID
	})
}
