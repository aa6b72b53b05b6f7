package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Cause says which side moved since the newest successful release.
type Cause string

const (
	// Unknown is the cause of a change where no release record says what was there.
	Unknown Cause = "unknown"
	// Pending is a change of the manifest that is not live yet.
	Pending Cause = "pending"
	// Drift is a change of what is live that no release has made.
	Drift Cause = "drift"
	// Conflict is both: the manifest and what is live have changed.
	Conflict Cause = "conflict"
)

// Base is what the releases of a service have wanted of one resource: the third side of
// a comparison, beside the manifest and what is live.
type Base struct {
	// Wanted is what the newest successful release wanted; nil when it did not want the
	// resource at all.
	Wanted *state.Resource
	// Attempts are the releases that failed after it, the newest first: what they left
	// behind is no drift.
	Attempts []Attempt
}

// Attempt is what a release that failed, or was interrupted, was about to do with a resource.
type Attempt struct {
	// Release is its number.
	Release int
	// Wanted is what it wanted of the resource; nil when it did not want it at all.
	Wanted *state.Resource
	// Deleted says that it deleted the resource, or had begun to, and that no release has made
	// or changed the resource since.
	Deleted bool
}

// Drifted says how live resources differ from what a release wanted of them, without a
// plan to change anything: an update for each that differs, and a create for each that is
// gone. Old is what is live and New what the release wanted. What one of the attempts after
// that release left, by resource, is pending.
func Drifted(wanted []state.Resource, attempts map[state.Address][]Attempt, live state.Live) []Action {
	var drifted []Action
	for _, w := range wanted {
		tried := Base{Attempts: attempts[w.Address]}
		have, exists := live[w.Address]
		if !exists {
			a := Action{ID: ID(string(Create) + " " + w.Address.String()), Op: Create, Target: w.Address, Want: w, Cause: Drift}
			if by := tried.deleted(); by > 0 {
				a.Cause, a.Left = Pending, by
			}
			drifted = append(drifted, a)
			continue
		}
		changes := append(diff(unseen(w, have.Resource), have.Fields), rotated(w, have.Resource)...)
		// A name that is never moved was not moved by the release either.
		changes = slices.DeleteFunc(changes, func(c Change) bool { return c.New != nil && c.Old != nil && c.New.Once })
		if len(changes) == 0 {
			continue
		}
		for i := range changes {
			changes[i].Cause = Drift
			if by := tried.left(changes[i]); by > 0 {
				changes[i].Cause, changes[i].Left = Pending, by
			}
		}
		slices.SortStableFunc(changes, func(x, y Change) int { return cmp.Compare(x.Path, y.Path) })
		drifted = append(drifted, Action{ID: ID(string(Update) + " " + w.Address.String()), Op: Update, Target: w.Address, Want: w, Have: have, Changes: changes})
	}
	slices.SortFunc(drifted, earlier)
	return drifted
}

// unseen takes secrets for unchanged that are live: a release keeps no value to compare.
func unseen(w, have state.Resource) state.Resource {
	w.Fields = slices.Clone(w.Fields)
	for i, f := range w.Fields {
		if h, ok := have.Get(f.Path); ok && (f.Secret || h.Secret) {
			w.Fields[i].Value = h.Value
		}
	}
	return w
}

// rotated are the secrets whose values are no longer of the version that a release left.
func rotated(w, have state.Resource) []Change {
	var changes []Change
	for _, f := range w.Fields {
		if h, ok := have.Get(f.Path); ok && f.Secret && f.Version != "" && h.Version != "" && f.Version != h.Version {
			changes = append(changes, Change{Path: f.Path, Old: &h, New: &f, Cause: Drift})
		}
	}
	return changes
}

// causes says of every action where the difference comes from.
func (b *builder) causes() {
	for i := range b.actions {
		a := &b.actions[i]
		base, known := b.o.Bases[a.Target]
		if !known {
			continue
		}
		for j := range a.Changes {
			c := &a.Changes[j]
			if c.Restart {
				continue
			}
			asked := c.New
			if f, ok := b.desired[a.Target].Get(c.Path); ok {
				asked = &f // with its template, which the plan has expanded
			}
			of := *c
			if a.Replace && a.Op == Create {
				of.Old = nil
				if h, ok := b.live[a.Target].Get(c.Path); ok {
					of.Old = &h
				}
			}
			c.Cause = base.cause(of, asked)
			if a.Op == Create && !a.Replace && base.deleted() > 0 {
				c.Cause = Pending
			}
		}
		switch {
		case a.Replace:
		case a.Op == Create:
			a.Cause = base.appears()
		case a.Op == Delete:
			a.Cause = base.goes()
		}
	}
	for i := range b.actions { // once it is known why the parameters change
		for j := range b.actions[i].Changes {
			if c := &b.actions[i].Changes[j]; c.Restart {
				c.Cause = b.causeBehind(*c.New)
			}
		}
	}
}

// causeBehind is why the resource behind a reference changes.
func (b *builder) causeBehind(f state.Field) Cause {
	target, _ := f.Target()
	for _, i := range b.byTarget[target] {
		a := b.actions[i]
		if a.Cause != "" {
			return a.Cause
		}
		for _, c := range a.Changes {
			if c.Cause != "" && c.Cause != Unknown {
				return c.Cause
			}
		}
	}
	return Unknown
}

// appears is why a resource that is wanted is not live.
func (b Base) appears() Cause {
	if b.Wanted == nil || b.deleted() > 0 {
		return Pending
	}
	return Drift // it was there, and somebody has deleted it
}

// deleted is the release that failed and has deleted the resource; 0 for none.
func (b Base) deleted() int {
	for _, a := range b.Attempts {
		if a.Deleted {
			return a.Release
		}
	}
	return 0
}

// goes is why a resource that is live is not wanted.
func (b Base) goes() Cause {
	if b.Wanted != nil || slices.ContainsFunc(b.Attempts, func(a Attempt) bool { return a.Wanted != nil }) {
		return Pending
	}
	return Drift // no release has made it
}

// cause compares three sides of one setting.
//
//	the release      live         the manifest    cause
//	b                b            w               pending
//	b                h            b               drift
//	b                h            w               conflict
//	did not manage   -            w               pending: nobody knows what was live
//	had none         h            -               drift, in a map managed as a whole
//	any              an attempt's w               pending: a failed release left it
//	any              -, as in an attempt  w       pending: a failed release took it away
//
// asked is the wanted field as the manifest has it, with its template.
func (b Base) cause(c Change, asked *state.Field) Cause {
	if OfDeployment(c.Path) {
		return Drift
	}
	if b.left(c) > 0 {
		return Pending
	}
	var was *state.Field
	whole := false
	if b.Wanted != nil {
		whole = b.Wanted.Covers(c.Path)
		if f, ok := b.Wanted.Get(c.Path); ok {
			was = &f
		}
	}
	switch {
	case was == nil && c.Old == nil, was == nil && !whole:
		return Pending
	case was == nil && c.New == nil:
		return Drift
	case was == nil:
		return Conflict
	case secret(was, c.Old, c.New):
		return ofSecret(*was, c.Old)
	case asked != nil && (asked.Template != "" || was.Template != ""):
		if asked.Template == was.Template {
			return Drift
		}
		return Pending
	}
	moved := c.Old == nil || c.Old.Value != was.Value
	changed := c.New == nil || c.New.Value != was.Value
	switch {
	case moved && changed:
		return Conflict
	case moved:
		return Drift
	}
	return Pending
}

// OfDeployment reports whether a field is of the running deployment, such as which
// secrets it has read. No manifest has it, so that no release is known by it.
func OfDeployment(path string) bool { return strings.HasPrefix(path, "deployment.") }

// left is the release that failed and left a setting as it is live; 0 for none.
func (b Base) left(c Change) int {
	for _, a := range b.Attempts {
		if a.left(c) {
			return a.Release
		}
	}
	return 0
}

// left reports whether a setting is live as the attempt wanted it, or is gone with others of
// a resource that it had begun to delete.
func (a Attempt) left(c Change) bool {
	if a.Deleted && c.Old == nil {
		return true
	}
	if a.Wanted == nil {
		return false
	}
	f, ok := a.Wanted.Get(c.Path)
	switch {
	case c.Old == nil: // in a map that is wanted as a whole
		return !ok && a.Wanted.Covers(c.Path)
	case ok && f.Secret:
		return f.Version != "" && f.Version == c.Old.Version
	}
	return ok && f.Value == c.Old.Value
}

func secret(fields ...*state.Field) bool {
	return slices.ContainsFunc(fields, func(f *state.Field) bool { return f != nil && f.Secret })
}

// ofSecret is the cause where a value must not be kept: only whether the live one is
// still the same is known, by its version. That the manifest's has changed too cannot be.
func ofSecret(was state.Field, have *state.Field) Cause {
	switch {
	case have == nil:
		return Drift
	case was.Version == "" || have.Version == "":
		return Unknown
	case was.Version == have.Version:
		return Pending
	}
	return Drift
}
