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
	return b.expandOver(w, b.live[w.Address].Resource)
}

// expandOver does so where have stays until the values are known.
func (b *builder) expandOver(w, have state.Resource) (state.Resource, []Change) {
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
			case o.Phase == state.Failed && !b.wants(addr):
				b.refused = multierror.Append(b.refused, &RefusedError{Target: w.Address, Lacks: name, Path: f.Path,
					Why: fmt.Sprintf("%s refers to the URL of service %q, whose creation failed and which this plan does not rebuild", f.Path, name),
					Fix: "apply the manifest of " + name + " first"})
			}
			return "", false
		})
		if ok {
			f.Value, f.Template, f.Omit = text, "", false
			continue
		}
		change := Change{Path: f.Path, New: &w.Fields[i], Unknown: true, Cause: Unknown}
		if old, ok := have.Get(f.Path); ok {
			change.Old = &old
			f.Value, f.Omit = old.Value, false // until then, what is live stays
		}
		unknown = append(unknown, change)
	}
	return out, unknown
}

// first makes of a resource what is sent when it is made: where its values name URLs that
// are not known by then, their defaults, and not what an earlier one of its name had. The
// changes are those of the second pass, which sets them.
func (b *builder) first(w state.Resource) (state.Resource, []Change) {
	wanted, unknown := b.expandOver(w, state.Resource{})
	for i := range wanted.Fields {
		wanted.Fields[i].Template = ""
	}
	for i := range unknown {
		if f := *unknown[i].New; !f.Omit {
			unknown[i].Old = &f
		}
	}
	return wanted, unknown
}

// second adds the second pass, if there is anything to set.
func (b *builder) second(w state.Resource, unknown []Change, made string) {
	if len(unknown) > 0 {
		b.add(Action{Op: Update, Target: w.Address, Want: w, Changes: unknown, Second: true,
			Reason: "a second update sets what needs a URL that is known only after the " + made})
	}
}

func (b *builder) wants(addr state.Address) bool {
	_, ok := b.desired[addr]
	return ok
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
