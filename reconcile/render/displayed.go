package render

import (
	"reflect"
	"slices"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// Displayed is the plan with its values as Markdown shows them: nothing that a reader does
// not see is left in it.
func (v *Plan) Displayed() *Plan {
	shown := *v
	shown.Actions = slices.Clone(v.Actions)
	for i := range shown.Actions {
		a := &shown.Actions[i]
		a.Live, a.Who, a.Fields = "", a.Who.displayed(), slices.Clone(a.Fields)
		for j := range a.Fields {
			f := &a.Fields[j]
			before, after := f.texts(markdownWidth)
			f.Old, f.New = f.Old.shown(before), f.New.shown(after)
		}
	}
	return &shown
}

func (v *Value) shown(text string) *Value {
	if v == nil || v.Text == nil {
		return v
	}
	return &Value{Shown: &text}
}

// Unlike lists the actions, by ID, that another plan does not show in the same words. Which
// number a secret value has and what names the commit make no difference. Both plans are
// [Plan.Displayed].
func (v *Plan) Unlike(other *Plan) []string {
	was := map[string]string{}
	for _, a := range other.shown() {
		was[a.ID] = a.words()
	}
	var ids []string
	for _, a := range v.shown() {
		if words, ok := was[a.ID]; !ok || words != a.words() {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// Same reports whether another plan says the same of everything, whoever made it.
func (v *Plan) Same(other *Plan) bool {
	one, two := v.Header, other.Header
	one.Identity, two.Identity = "", ""
	return v.Summary == other.Summary && reflect.DeepEqual(one, two) && slices.Equal(v.Notes, other.Notes) &&
		v.sameOrphans(other.Leftovers) && v.sameBlame(other) && len(v.Unlike(other)) == 0 && len(other.Unlike(v)) == 0
}

// words are what Markdown says of an action.
func (a Action) words() string {
	a.Who, a.Fields = nil, slices.Clone(a.Fields)
	if a.Op == string(plan.Create) && !a.Replace { // who plans need not have the value that who applies keeps
		a.Fields = slices.DeleteFunc(a.Fields, func(f Field) bool { return f.New != nil && f.New.Sensitive > 0 })
	}
	for i := range a.Fields {
		f := &a.Fields[i]
		f.Old, f.New = f.Old.plain(f.Provenance), f.New.plain(f.Provenance)
	}
	return a.row() + a.details()
}

// plain is a value without what tells nobody anything.
func (v *Value) plain(provenance bool) *Value {
	switch {
	case v == nil:
		return nil
	case provenance:
		return &Value{KnownAfter: "apply"}
	case v.Sensitive > 0:
		return &Value{Sensitive: 1}
	}
	return v
}
