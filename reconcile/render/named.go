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
	named.Header, named.Actions, named.Notes = v.Header.named(hide), namedActions(v.Actions, hide), namedNotes(v.Notes, hide)
	named.Leftovers = v.namedOrphans(hide)
	return &named
}

// Named is the drift with hide done to all text that is not ours.
func (v *Drift) Named(hide func(string) string) *Drift {
	named := *v
	named.Header, named.Notes, named.Services = v.Header.named(hide), namedNotes(v.Notes, hide), slices.Clone(v.Services)
	named.Leftovers = v.namedOrphans(hide)
	for i := range named.Services {
		s := &named.Services[i]
		s.Service, s.By, s.Resources, s.Errors = hide(s.Service), hide(s.By), namedActions(s.Resources, hide), namedProblems(s.Errors, hide)
	}
	return &named
}

func (h Header) named(hide func(string) string) Header {
	h.Manifests, h.Services = slices.Clone(h.Manifests), slices.Clone(h.Services)
	for _, s := range []*string{&h.Environment, &h.Account, &h.Region, &h.Identity, &h.Target} {
		*s = hide(*s)
	}
	for i := range h.Services {
		s := &h.Services[i]
		s.Name, s.URL, s.Version, s.Errors = hide(s.Name), hide(s.URL), hide(s.Version), namedProblems(s.Errors, hide)
	}
	return h
}

func namedProblems(problems []Problem, hide func(string) string) []Problem {
	problems = slices.Clone(problems)
	for i := range problems {
		problems[i].Why, problems[i].Hint = hide(problems[i].Why), hide(problems[i].Hint)
	}
	return problems
}

func namedActions(actions []Action, hide func(string) string) []Action {
	actions = slices.Clone(actions)
	for i := range actions {
		a := &actions[i]
		a.ID, a.Address, a.Live, a.Reason, a.Who = hide(a.ID), hide(a.Address), hide(a.Live), hide(a.Reason), a.Who.named(hide)
		a.Fields, a.Needs = slices.Clone(a.Fields), slices.Clone(a.Needs)
		for j := range a.Needs {
			a.Needs[j] = hide(a.Needs[j])
		}
		for j := range a.Fields {
			f := &a.Fields[j]
			f.Path, f.Old, f.New = hide(f.Path), f.Old.named(hide), f.New.named(hide)
		}
	}
	return actions
}

func namedNotes(notes []Note, hide func(string) string) []Note {
	notes = slices.Clone(notes)
	for i := range notes {
		notes[i].Address, notes[i].Text = hide(notes[i].Address), hide(notes[i].Text)
	}
	return notes
}

func (v *Value) named(hide func(string) string) *Value {
	if v == nil || v.Text == nil {
		return v
	}
	text := hide(*v.Text)
	return &Value{Text: &text}
}
