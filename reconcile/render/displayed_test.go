package render

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// again is a plan as it comes back from JSON.
func again(t require.TestingT, v *Plan) *Plan {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var got Plan
	require.NoError(t, json.Unmarshal(data, &got))
	return &got
}

func TestPlan_Displayed_readsTheSame(t *testing.T) {
	for _, p := range []*plan.Plan{first(t), second(t), third(t)} {
		v := NewPlan(p, header())
		require.Equal(t, v.markdown(), v.Displayed().markdown())
	}
	rapid.Check(t, func(t *rapid.T) {
		p, h := foreignPlan(drawForeign(t))
		v := again(t, NewPlan(p, h))
		shown := again(t, v.Displayed())
		require.Equal(t, v.markdown(), shown.markdown())
		require.Equal(t, shown, again(t, shown.Displayed()), "twice is once")
		require.True(t, shown.Same(again(t, shown)))
	})
}

func TestPlan_Displayed_holdsNoMoreThanItShows(t *testing.T) {
	long := strings.Repeat("a", 200) + "-4711-" + strings.Repeat("b", 200)
	old, niu := state.Field{Path: "env.A", Value: "x\ny-4711\nz"}, state.Field{Path: "env.A", Value: long}
	v := NewPlan(&plan.Plan{Actions: []plan.Action{{ID: "update a", Op: plan.Update, Have: state.Observed{ID: "arn:4711"}, Changes: []plan.Change{{Path: "env.A", Old: &old, New: &niu}}}}}, header())
	data, err := json.Marshal(v.Displayed())
	require.NoError(t, err)
	require.NotContains(t, string(data), "4711")
}

func TestPlan_Unlike(t *testing.T) {
	field := func(path, value string) *state.Field { return &state.Field{Path: path, Value: value} }
	secret := func(value string) *state.Field { return &state.Field{Path: "value", Value: value, Secret: true} }
	commit := func(value string) *state.Field {
		return &state.Field{Path: "env.SHA", Value: value, Provenance: true}
	}
	view := func(actions ...plan.Action) *Plan { return NewPlan(&plan.Plan{Actions: actions}, Header{}).Displayed() }
	update := func(id plan.ID, changes ...plan.Change) plan.Action {
		return plan.Action{ID: id, Op: plan.Update, Changes: changes}
	}
	one := update("a", plan.Change{Path: "cpu", Old: field("cpu", "256"), New: field("cpu", "512"), Cause: plan.Pending})
	for name, tc := range map[string]struct {
		then, now *Plan
		want      []string
	}{
		"the same":            {then: view(one), now: view(one)},
		"less":                {then: view(one, update("b")), now: view(one)},
		"more":                {then: view(one), now: view(one, update("b")), want: []string{"b"}},
		"another value":       {then: view(one), now: view(update("a", plan.Change{Path: "cpu", Old: field("cpu", "1024"), New: field("cpu", "512"), Cause: plan.Pending})), want: []string{"a"}},
		"another cause":       {then: view(one), now: view(update("a", plan.Change{Path: "cpu", Old: field("cpu", "256"), New: field("cpu", "512"), Cause: plan.Drift})), want: []string{"a"}},
		"another reason":      {then: view(one), now: view(plan.Action{ID: "a", Op: plan.Update, Changes: one.Changes, Reason: "else"}), want: []string{"a"}},
		"a widening":          {then: view(one), now: view(update("a", plan.Change{Path: "cpu", Old: field("cpu", "256"), New: field("cpu", "512"), Cause: plan.Pending, Widening: true})), want: []string{"a"}},
		"another commit":      {then: view(update("a", plan.Change{Path: "env.SHA", Old: commit("0"), New: commit("1")})), now: view(update("a", plan.Change{Path: "env.SHA", Old: commit("0"), New: commit("2")}))},
		"a secret's number":   {then: view(update("b", plan.Change{Path: "value", New: secret("x")}), update("a", plan.Change{Path: "value", New: secret("y")})), now: view(update("a", plan.Change{Path: "value", New: secret("y")}))},
		"a secret that isn't": {then: view(update("a", plan.Change{Path: "value", New: secret("x")})), now: view(update("a", plan.Change{Path: "value", New: field("value", "(sensitive #1)")})), want: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, tc.now.Unlike(tc.then))
			require.Equal(t, tc.want == nil && len(tc.then.Actions) == len(tc.now.Actions), tc.now.Same(tc.then))
		})
	}
}

// TestPlan_Displayed_saysWho as far as people are told, and without the calls before those.
func TestPlan_Displayed_saysWho(t *testing.T) {
	v := NewPlan(first(t), header())
	v.Actions[0].Op, v.Actions[0].Fields = "update", []Field{{Path: "a", Cause: "drift"}}
	address := v.Actions[0].Address
	asked := *v
	asked.Actions = slices.Clone(v.Actions)
	var calls []Event
	for _, who := range []string{"ann", "bob", "eve", "hidden-1", "hidden-2"} {
		calls = append(calls, Event{Call: "UpdateService", Who: who + "-4711"})
	}
	asked.Blame(address, Blame{Events: calls})
	shown := again(t, asked.Named(Names(map[string]string{"ann-4711": "ANN"})).Displayed())
	require.Equal(t, shown.markdown(), asked.Named(Names(map[string]string{"ann-4711": "ANN"})).markdown())
	require.Contains(t, shown.markdown(), "`UpdateService by ${ANN}, ")
	require.Contains(t, shown.markdown(), "and 2 calls before that")
	require.Equal(t, shown, again(t, shown.Displayed()), "twice is once")
	data, err := json.Marshal(shown)
	require.NoError(t, err)
	require.NotContains(t, string(data), "hidden")
	require.NotContains(t, string(data), "ann-4711")
	require.Equal(t, "ann-4711", asked.Actions[0].Who.Events[0].Who, "the plan itself stays")

	silent := v.Displayed()
	require.False(t, silent.Same(shown))
	require.Empty(t, silent.Unlike(shown), "it is the same plan")
	silent.Remember(shown)
	require.True(t, silent.Same(shown))
	later := again(t, shown)
	later.Actions[0].Who.Note = "calls since noon may be missing"
	require.True(t, later.Same(shown), "asked at another time")
	later.Actions[0].Who.Events = later.Actions[0].Who.Events[1:]
	require.False(t, later.Same(shown))
	other := v.Displayed()
	other.Actions[0].Reason = "else"
	other.Remember(shown)
	require.Nil(t, other.Actions[0].Who, "something else has happened since")
}
