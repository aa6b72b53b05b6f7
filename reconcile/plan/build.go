package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Build plans how to bring what is live to what is desired. It refuses, all at once
// and with the way out of each, what it will not do: every refusal is a
// *[RefusedError] in a *multierror.Error.
func Build(desired state.Desired, live state.Live, o Options) (*Plan, error) {
	live = own(live, desired, o.Adopt)
	b := &builder{desired: desired, live: live, o: o, byTarget: map[state.Address][]int{}}
	b.reach()
	for _, addr := range sorted(desired) {
		b.want(desired[addr])
	}
	for _, addr := range sorted(desired) {
		b.restart(desired[addr])
	}
	for _, addr := range sorted(live) {
		if _, wanted := desired[addr]; !wanted {
			b.sweep(live[addr])
		}
	}
	if err := b.refused.ErrorOrNil(); err != nil {
		return nil, err
	}
	b.narrow()
	b.causes()
	b.link()
	actions, err := order(b.actions)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(b.notes, func(x, y state.Note) int {
		return cmp.Or(x.Target.Compare(y.Target), cmp.Compare(x.Text, y.Text))
	})
	return &Plan{Actions: actions, Notes: slices.Compact(b.notes)}, nil
}

type builder struct {
	desired  state.Desired
	live     state.Live
	o        Options
	actions  []Action
	byTarget map[state.Address][]int // positions in actions
	used     map[state.Address][]state.Address
	notes    []state.Note
	refused  *multierror.Error
}

func sorted[V any](m map[state.Address]V) []state.Address {
	addrs := make([]state.Address, 0, len(m))
	for a := range m {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, state.Address.Compare)
	return addrs
}

// SecondPass is how the ID of a second pass ends, behind that of the first.
const SecondPass = " (second pass)"

func (b *builder) add(a Action) *Action {
	a.ID = ID(string(a.Op) + " " + a.Target.String())
	if a.Second {
		a.ID += SecondPass
	}
	b.byTarget[a.Target] = append(b.byTarget[a.Target], len(b.actions))
	b.actions = append(b.actions, a)
	return &b.actions[len(b.actions)-1]
}

func (b *builder) note(addr state.Address, format string, args ...any) {
	b.notes = append(b.notes, state.Note{Target: addr, Text: fmt.Sprintf(format, args...)})
}

func (b *builder) warn(addr state.Address, format string, args ...any) {
	b.notes = append(b.notes, state.Note{Target: addr, Warning: true, Text: fmt.Sprintf(format, args...)})
}

func (b *builder) refuse(addr state.Address, fix, format string, args ...any) {
	b.refused = multierror.Append(b.refused, &RefusedError{Target: addr, Why: fmt.Sprintf(format, args...), Fix: fix})
}

// reach finds who uses what once the plan was applied: what is wanted, what others own
// and what is kept are the roots, and whatever they refer to stays.
func (b *builder) reach() {
	b.used = map[state.Address][]state.Address{}
	var visit func(user state.Address, refs []state.Address)
	visit = func(user state.Address, refs []state.Address) {
		for _, r := range refs {
			first := len(b.used[r]) == 0
			b.used[r] = append(b.used[r], user)
			if o, isLive := b.live[r]; first && isLive {
				if _, wanted := b.desired[r]; !wanted {
					visit(r, state.Refs(o.Fields))
				}
			}
		}
	}
	for _, addr := range sorted(b.desired) {
		have := b.live[addr].Fields
		if b.replaced(addr) {
			have = nil // what the manifest leaves out goes with the old one
		}
		visit(addr, overlay(b.desired[addr], have))
	}
	for _, addr := range sorted(b.live) {
		o := b.live[addr]
		if _, wanted := b.desired[addr]; !wanted && (o.Owner == state.Theirs || b.kept(addr)) {
			visit(addr, state.Refs(o.Fields))
		}
	}
}

func (b *builder) kept(addr state.Address) bool { return b.keep(addr) != "" }

func (b *builder) keep(addr state.Address) string {
	if b.o.Keep == nil {
		return ""
	}
	return b.o.Keep(addr)
}

// want plans one desired resource.
//
//	live phase   differs   action
//	absent       -         create
//	ready, busy  yes       update; an immutable field: refused, or delete and create
//	paused       tags      update
//	paused       yes       resume and update, if resuming is allowed; else refused
//	failed       -         update, which rebuilds it
//	stuck        -         delete again, then create
func (b *builder) want(w state.Resource) {
	have, exists := b.live[w.Address]
	if !exists {
		b.create(w, false)
		return
	}
	if have.Owner == state.Theirs && !b.o.Adopt {
		b.refuse(w.Address, cmp.Or(have.Fix, "run again with --adopt to take it over, or choose another name where the manifest gives it"),
			"exists already and was not made by apron for this service%s", because(have.Note))
		return
	}
	if have.Phase == state.Stuck {
		b.add(Action{Op: Delete, Target: w.Address, Have: have, Replace: true, Reason: "its last deletion failed and is tried again"})
		b.create(w, true)
		return
	}
	expand := b.expand
	if have.Phase == state.Failed {
		expand = b.first // its rebuild is what makes its URL known
	}
	wanted, unknown := expand(w)
	changes := diff(wanted, have.Fields)
	changes, taken := b.once(w, have, changes)
	if taken {
		return
	}
	if have.Phase != state.Failed {
		changes = append(changes, unknown...)
	}
	changes = append(changes, b.later(w, have)...)
	widen(changes)
	slices.SortStableFunc(changes, func(x, y Change) int { return cmp.Compare(x.Path, y.Path) })
	b.checkGrants(w.Address, changes)
	b.lasting(w, have)
	if fixed := slices.Concat(immutable(changes), b.follows(w)); len(fixed) > 0 {
		b.replace(w, have, fixed, !slices.ContainsFunc(changes, func(c Change) bool { return slices.Contains(fixed, c.Path) && !lost(c) }), len(immutable(changes)) == 0)
		return
	}
	if have.Phase == state.Failed {
		b.add(Action{Op: Update, Target: w.Address, Want: wanted, Have: have, Changes: changes, Rebuild: true,
			Reason: "its creation failed and is rebuilt" + because(have.Note)})
		b.second(w, unknown, "rebuild")
		return
	}
	if len(changes) == 0 {
		b.unchanged(have)
		return
	}
	b.update(wanted, have, changes)
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}

func (b *builder) unchanged(have state.Observed) {
	switch have.Phase {
	case state.Paused:
		b.note(have.Address, "is paused%s", because(have.Note))
	case state.Busy:
		b.warn(have.Address, "has an operation under way%s", because(have.Note))
	}
}

func (b *builder) update(w state.Resource, have state.Observed, changes []Change) *Action {
	a := Action{Op: Update, Target: w.Address, Want: w, Have: have, Changes: changes}
	switch have.Phase {
	case state.Busy:
		a.Reason = "waits for the operation under way" + because(have.Note)
	case state.Paused:
		if labels(changes) {
			break
		}
		if !b.o.Resume {
			b.refuse(w.Address, "run again with --resume to start it first, or resume it yourself",
				"is paused, and a paused service cannot be changed")
			return nil
		}
		b.resume(have)
	}
	return b.add(a)
}

func (b *builder) resume(have state.Observed) {
	b.add(Action{Op: Resume, Target: have.Address, Have: have, Reason: "a paused service cannot be changed"})
}

// labels reports whether changes are of tags alone, which a paused service takes too.
func labels(changes []Change) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool { return !strings.HasPrefix(c.Path, "tags.") })
}

func (b *builder) create(w state.Resource, replace bool) {
	wanted, unknown := b.first(w)
	var changes []Change
	for i := range wanted.Fields {
		if f := wanted.Fields[i]; !f.Order && !f.Omit {
			unknown := f.Later && (f.Value == "" || replace)
			changes = append(changes, Change{Path: f.Path, New: &wanted.Fields[i], Unknown: unknown, Cause: Unknown})
		}
	}
	widen(changes)
	b.checkGrants(w.Address, changes)
	b.add(Action{Op: Create, Target: w.Address, Want: wanted, Changes: changes, Replace: replace})
	b.second(w, unknown, "create")
}

// lasting notes what stays because the manifest leaves it out, and would stay even if
// somebody asked the service to drop it.
func (b *builder) lasting(w state.Resource, have state.Observed) {
	for _, f := range have.Fields {
		if _, wanted := w.Get(f.Path); f.Lasting && !wanted && !w.Covers(f.Path) {
			b.note(w.Address, "%s stays %s: the manifest leaves it out, and nothing but a delete and create takes it away", f.Path, f.Text())
		}
	}
}

// later are the fields whose values a resource makes that this plan makes.
func (b *builder) later(w state.Resource, have state.Observed) []Change {
	made := func(addr state.Address) bool {
		_, exists := b.live[addr]
		_, wanted := b.desired[addr]
		return wanted && !exists
	}
	if !slices.ContainsFunc(state.Refs(w.Fields), made) {
		return nil
	}
	var changes []Change
	for i := range w.Fields {
		f := &w.Fields[i]
		if !f.Later || f.Value != "" {
			continue
		}
		c := Change{Path: f.Path, New: f, Unknown: true, Cause: Unknown}
		if old, ok := have.Get(f.Path); ok {
			c.Old = &old
		}
		changes = append(changes, c)
	}
	return changes
}

// follows lists the references that cannot be changed and whose resources are replaced by
// this plan: what belongs to them goes and comes back with them.
func (b *builder) follows(w state.Resource) []string {
	var paths []string
	for _, f := range w.Fields {
		if target, ok := f.Target(); ok && f.Immutable && b.replaced(target) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// lost reports whether a change takes away what can only be changed.
func lost(c Change) bool { return c.New == nil && c.Old != nil && c.Old.Lasting }

// immutable lists the changes that need delete and create.
func immutable(changes []Change) []string {
	var paths []string
	for _, c := range changes {
		if c.New != nil && c.New.Immutable || c.Old != nil && c.Old.Immutable || lost(c) {
			paths = append(paths, c.Path)
		}
	}
	return paths
}

// replace plans delete and create, or refuses. taken says that the fixed fields are
// taken away and not changed, follows that it is only what they refer to that changes.
func (b *builder) replace(w state.Resource, have state.Observed, fixed []string, taken, follows bool) {
	list := strings.Join(fixed, ", ")
	verb, since := "changed", "exists"
	if taken {
		verb, since = "taken away", "is set"
	}
	if !b.replaced(w.Address) {
		b.refuse(w.Address, cmp.Or(have.Fix, "change it back, or plan a delete and create with --replace"), "%s cannot be %s once it %s", list, verb, since)
		return
	}
	users := slices.DeleteFunc(b.liveUsers(w.Address), func(user state.Address) bool {
		return b.replaced(user) || b.swept(user) || b.live[user].Owner == state.Derived
	})
	if len(users) > 0 {
		b.refuse(w.Address, "point these elsewhere first", "%s cannot be changed while %s uses it", list, users[0])
		return
	}
	reason := list + " cannot be " + verb + " in place"
	if follows {
		reason = "goes and comes back with what it belongs to"
	}
	if have.URL != "" {
		reason += "; its default domain " + have.URL + " is lost"
	}
	b.add(Action{Op: Delete, Target: w.Address, Have: have, Replace: true, Reason: reason})
	b.create(w, true)
}

func (b *builder) liveUsers(addr state.Address) []state.Address {
	var users []state.Address
	for _, a := range sorted(b.live) {
		if a != addr && slices.Contains(state.Refs(b.live[a].Fields), addr) {
			users = append(users, a)
		}
	}
	return users
}

func (b *builder) checkGrants(addr state.Address, changes []Change) {
	if b.o.AllowWildcard {
		return
	}
	for _, c := range changes {
		if c.New != nil && c.New.Wildcard && (c.Old == nil || !c.Old.Wildcard) {
			b.refused = multierror.Append(b.refused, &RefusedError{Target: addr, Policy: true,
				Why: fmt.Sprintf("%s grants every action or every resource", c.Path),
				Fix: "name the actions and ARNs that the application needs, or insist with --allow-wildcard"})
		}
	}
}

// swept reports whether sweep deletes a live resource.
func (b *builder) swept(addr state.Address) bool {
	have := b.live[addr]
	_, wanted := b.desired[addr]
	return !wanted && (have.Owner == state.Ours || have.Owner == state.Shared) && !b.kept(addr) && len(have.Users) == 0 && len(b.used[addr]) == 0
}

// sweep plans the end of a live resource that nothing wants any more.
//
//	owner            used by what stays   action
//	theirs, derived  -                    none
//	shared           yes                  none, with a note
//	ours, shared     no                   delete
//	ours             yes                  none, with a note
func (b *builder) sweep(have state.Observed) {
	addr := have.Address
	switch {
	case have.Owner != state.Ours && have.Owner != state.Shared:
		return
	case b.kept(addr):
		b.note(addr, "is kept: %s", b.keep(addr))
	case len(have.Users) > 0:
		b.note(addr, "is kept: %s uses it", have.Users[0])
	case len(b.used[addr]) > 0:
		b.note(addr, "is kept: %s uses it", b.used[addr][0])
	default:
		reason := "nothing wants it any more"
		if len(b.desired) == 0 { // that is what was asked for
			reason = ""
		}
		b.add(Action{Op: Delete, Target: addr, Have: have, Reason: reason})
	}
}
