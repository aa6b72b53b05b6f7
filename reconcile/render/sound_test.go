package render

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlan_Sound changes what a marker of a comment can hold, and leaves the actions.
func TestPlan_Sound(t *testing.T) {
	p := second(t)
	made := func() (*Plan, []string) {
		v := NewPlan(p, Header{Manifests: []string{"deploy.yaml"}, Services: []Service{{Name: "web", Result: Changes}, {Name: "api"}}})
		data, err := json.Marshal(v.Displayed())
		require.NoError(t, err)
		var read Plan
		require.NoError(t, json.Unmarshal(data, &read))
		var ids []string
		for _, a := range p.Actions {
			ids = append(ids, string(a.ID))
		}
		return &read, ids
	}
	v, ids := made()
	require.True(t, v.Sound(ids))
	require.False(t, v.Sound(ids[1:]), "an action that nobody approves")
	require.False(t, v.Sound(append(ids, "delete everything")), "an action that nobody sees")
	for name, forge := range map[string]func(*Plan){
		"a result that hides what follows": func(v *Plan) { v.Header.Services[0].Result = "unchanged |\n\n<!--" },
		"a cause":                          func(v *Plan) { v.Actions[0].Cause = "<!--" },
		"a symbol":                         func(v *Plan) { v.Actions[0].Symbol = "<!--" },
		"another operation":                func(v *Plan) { v.Actions[0].Op = "look" },
		"a field's symbol":                 func(v *Plan) { setting(v).Symbol = "`" },
		"a field's cause":                  func(v *Plan) { setting(v).Cause = "<!--" },
		"when a value is known":            func(v *Plan) { setting(v).New = &Value{KnownAfter: "<!--"} },
		"the count":                        func(v *Plan) { v.Summary.Add++ },
		"a verb":                           func(v *Plan) { v.Header.Verb = "<!--" },
	} {
		v, ids := made()
		forge(v)
		require.False(t, v.Sound(ids), name)
	}
}

// setting is one of the plan's.
func setting(v *Plan) *Field {
	for i := range v.Actions {
		if len(v.Actions[i].Fields) > 0 {
			return &v.Actions[i].Fields[0]
		}
	}
	return nil
}
