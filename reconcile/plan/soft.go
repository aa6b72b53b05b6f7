package plan

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/state"
)

// expand resolves the soft references of a resource from the live URLs. What it cannot
// resolve yet comes back as changes with unknown values: their services are made by
// this plan.
func (b *builder) expand(w state.Resource) (state.Resource, []Change) {
	var unknown []Change
	out := w
	out.Fields = slices.Clone(w.Fields)
	for i := range out.Fields {
		f := &out.Fields[i]
		if f.Template == "" {
			continue
		}
		text, ok := state.Expand(f.Template, func(name string) (string, bool) {
			addr, o := b.service(name)
			switch {
			case addr.IsZero():
				b.refused = multierror.Append(b.refused, &RefusedError{Target: w.Address, Lacks: name, Path: f.Path,
					Why: fmt.Sprintf("%s refers to the URL of service %q, which neither exists nor is planned", f.Path, name),
					Fix: "name a service of this plan, or deploy it first"})
			case o.URL != "" && !b.replaced(addr):
				return o.URL, true
			}
			return "", false
		})
		if ok {
			f.Value, f.Template, f.Omit = text, "", false
			continue
		}
		have, _ := b.live[w.Address].Get(f.Path)
		change := Change{Path: f.Path, New: &w.Fields[i], Unknown: true, Cause: Unknown}
		if have.Path != "" {
			change.Old = &have
			f.Value, f.Omit = have.Value, false // until then, what is live stays
		}
		unknown = append(unknown, change)
	}
	return out, unknown
}

// service finds a service by name, wanted or live.
func (b *builder) service(name string) (state.Address, state.Observed) {
	for _, addr := range sorted(b.desired) {
		if addr.Kind == "service" && addr.Name == name {
			return addr, b.live[addr]
		}
	}
	for _, addr := range sorted(b.live) {
		if addr.Kind == "service" && addr.Name == name {
			return addr, b.live[addr]
		}
	}
	return state.Address{}, state.Observed{}
}

// replaced reports whether this plan deletes and creates addr, so that its URL changes.
func (b *builder) replaced(addr state.Address) bool {
	have, exists := b.live[addr]
	want, wanted := b.desired[addr]
	return exists && wanted && (have.Phase == state.Stuck || len(b.follows(want)) > 0 || b.o.Replace && len(immutable(diff(want, have.Fields))) > 0)
}
