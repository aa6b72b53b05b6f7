package render

import (
	"maps"
	"slices"
	"strings"
)

// nameMin is the length from which a value is looked for within other text. A shorter one
// is a part of too much that has nothing to do with it.
const nameMin = 4

// Names returns what puts ${NAME} in the place of values, given the name of each.
func Names(names map[string]string) func(string) string {
	values := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d // what holds another value goes first
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, v := range values {
		if len(v) >= nameMin {
			pairs = append(pairs, v, "${"+names[v]+"}")
		}
	}
	within := strings.NewReplacer(pairs...)
	return func(text string) string {
		if name, whole := names[text]; whole && text != "" {
			return "${" + name + "}"
		}
		return within.Replace(text)
	}
}

// Named is the plan with hide done to all text that is not ours: what a machine's
// environment held is not for everybody who can read a comment.
func (v *Plan) Named(hide func(string) string) *Plan {
	named := *v
	named.Actions, named.Notes = slices.Clone(v.Actions), slices.Clone(v.Notes)
	h := &named.Header
	h.Manifests, h.Services = slices.Clone(h.Manifests), slices.Clone(h.Services)
	for _, s := range []*string{&h.Environment, &h.Account, &h.Region, &h.Identity, &h.Target} {
		*s = hide(*s)
	}
	for i := range h.Services {
		s := &h.Services[i]
		s.Name, s.URL, s.Version, s.Errors = hide(s.Name), hide(s.URL), hide(s.Version), slices.Clone(s.Errors)
		for j := range s.Errors {
			s.Errors[j].Why, s.Errors[j].Hint = hide(s.Errors[j].Why), hide(s.Errors[j].Hint)
		}
	}
	for i := range named.Actions {
		a := &named.Actions[i]
		a.ID, a.Address, a.Live, a.Reason = hide(a.ID), hide(a.Address), hide(a.Live), hide(a.Reason)
		a.Fields, a.Needs = slices.Clone(a.Fields), slices.Clone(a.Needs)
		for j := range a.Needs {
			a.Needs[j] = hide(a.Needs[j])
		}
		for j := range a.Fields {
			f := &a.Fields[j]
			f.Path, f.Old, f.New = hide(f.Path), f.Old.named(hide), f.New.named(hide)
		}
	}
	for i := range named.Notes {
		n := &named.Notes[i]
		n.Address, n.Text = hide(n.Address), hide(n.Text)
	}
	return &named
}

func (v *Value) named(hide func(string) string) *Value {
	if v == nil || v.Text == nil {
		return v
	}
	text := hide(*v.Text)
	return &Value{Text: &text}
}
