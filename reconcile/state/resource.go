package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Field is one managed setting of a resource.
type Field struct {
	Path  string // "health.interval", "env.LOG_LEVEL"
	Value string // canonical, so == is equality; print it through [Field.Text] only

	// Secret keeps Value out of every output; changes show as tokens.
	Secret bool
	// Version, with Secret, is what the store of the value calls this one. It says nothing
	// of the value, and is never compared with what is wanted.
	Version string
	// Ref says that Value is the text of an [Address] this resource needs.
	Ref bool
	// Order, with Ref, orders only: the field is never compared.
	Order bool
	// Restart, with Ref, says that a change of the resource behind the reference takes
	// effect only when this resource is deployed again.
	Restart bool
	// Immutable says that a change needs delete and create.
	Immutable bool
	// Lasting says that the setting can be changed, and taken away by nothing but delete
	// and create.
	Lasting bool
	// Once says that a live value that differs is never replaced, as an immutable tag is
	// not: the plan refuses. Fix, with Once, is what to ask for instead.
	Once bool
	Fix  string
	// Later says that the value is made by a resource that this one refers to: until that
	// exists, Value is empty and nothing is compared.
	Later bool
	// Provenance is sent when something else changes and is never itself a change. Source,
	// with Provenance, is what an approval compares in the place of Value; empty for nothing.
	Provenance bool
	Source     string
	// Grant says that the field's presence widens what somebody may do.
	Grant bool
	// Opaque, with Grant, says that its provider cannot write it, and only take it away.
	Opaque bool
	// Wildcard, with Grant, says that it grants every action or every resource.
	Wildcard bool
	// Template is a text with soft references such as ${services.web.url}, resolved
	// from the live URL of a service. Value is then the text with its defaults, and
	// Omit says that there is none, so that a create leaves the field out.
	Template string
	Omit     bool
}

// Text is the value for people: masked when it is secret.
func (f Field) Text() string {
	if f.Secret {
		return mask
	}
	return f.Value
}

// Format implements [fmt.Formatter], so that printing a field never shows a secret.
func (f Field) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%s=%s", f.Path, f.Text()) }

// Target returns the address that a reference field holds.
func (f Field) Target() (Address, bool) {
	if !f.Ref {
		return Address{}, false
	}
	a, err := ParseAddress(f.Value)
	return a, err == nil
}

// Refs lists the addresses that fields refer to, in order of their paths.
func Refs(fields []Field) []Address {
	var refs []Address
	for _, f := range fields {
		if a, ok := f.Target(); ok && !slices.Contains(refs, a) {
			refs = append(refs, a)
		}
	}
	return refs
}

// Sort puts fields in path order, the order every [Resource] must return them in.
func Sort(fields []Field) []Field {
	slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
	return fields
}

// Resource is something a plan can create, update or delete.
type Resource struct {
	Address Address
	// Fields are the managed settings, in path order and each path once.
	Fields []Field
	// Whole lists path prefixes ("env.") of maps that are managed as a whole, and single
	// paths ("secrets.KEY") that must not be: a live field of these that is not wanted is
	// removed.
	Whole []string
	// Detail is the provider's own data for its executor. The planner never looks at it.
	Detail any
}

// Get returns the field at path.
func (r Resource) Get(path string) (Field, bool) {
	i, ok := slices.BinarySearchFunc(r.Fields, path, func(f Field, p string) int { return cmp.Compare(f.Path, p) })
	if !ok {
		return Field{}, false
	}
	return r.Fields[i], true
}

// Covers reports whether a live field at path goes when it is not wanted: it is below a
// prefix of Whole, or named there.
func (r Resource) Covers(path string) bool {
	return slices.ContainsFunc(r.Whole, func(w string) bool {
		return path == w || strings.HasSuffix(w, ".") && strings.HasPrefix(path, w)
	})
}

// Value returns the value at path, or "".
func (r Resource) Value(path string) string {
	f, _ := r.Get(path)
	return f.Value
}
