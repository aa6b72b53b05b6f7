package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestSteer(t *testing.T) {
	web := service("web")
	in := func(phase state.Phase) state.Live { return lives(live(state.Ours, phase, web)) }
	absent := state.Live{}
	theirs := lives(live(state.Theirs, state.Ready, web))
	for name, tc := range map[string]struct {
		op      plan.Op
		have    state.Live
		wait    bool
		reason  string // of the only action; empty when there is none
		note    string
		refused string // part of the reason
		fix     string
	}{
		"redeploys what runs":          {op: plan.Redeploy, have: in(state.Ready), reason: "secrets as they are now"},
		"pauses what runs":             {op: plan.Pause, have: in(state.Ready), reason: "computing is not charged"},
		"resumes what is paused":       {op: plan.Resume, have: in(state.Paused), reason: "starts again"},
		"leaves alone what is paused":  {op: plan.Pause, have: in(state.Paused), note: "is paused already"},
		"leaves alone what runs":       {op: plan.Resume, have: in(state.Ready), note: "runs already"},
		"waits when it may":            {op: plan.Pause, have: in(state.Busy), wait: true, reason: "waits for the operation under way"},
		"refuses what is busy":         {op: plan.Redeploy, have: in(state.Busy), refused: "has an operation under way", fix: "--wait"},
		"refuses to deploy the paused": {op: plan.Redeploy, have: in(state.Paused), refused: "is paused", fix: "apron resume"},
		"refuses what is absent":       {op: plan.Resume, have: absent, refused: "does not exist", fix: "apron apply"},
		"refuses what is theirs":       {op: plan.Pause, have: theirs, refused: "was not made by apron", fix: "--adopt"},
		"refuses a failed creation":    {op: plan.Redeploy, have: in(state.Failed), refused: "its creation failed", fix: "apron apply"},
		"refuses a failed deletion":    {op: plan.Resume, have: in(state.Stuck), refused: "its deletion failed", fix: "apron destroy"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Steer(tc.op, []state.Address{web.Address, web.Address}, tc.have, plan.SteerOptions{Wait: tc.wait})
			if tc.refused != "" {
				var no *plan.RefusedError
				require.ErrorAs(t, err, &no)
				require.Contains(t, no.Why, tc.refused)
				require.Contains(t, no.Hint(), tc.fix)
				require.False(t, no.Policy)
				return
			}
			require.NoError(t, err)
			if tc.note != "" {
				require.Empty(t, p.Actions)
				require.Equal(t, []state.Note{{Target: web.Address, Text: tc.note}}, p.Notes)
				return
			}
			require.Empty(t, p.Notes)
			require.Len(t, p.Actions, 1)
			a := p.Actions[0]
			require.Equal(t, plan.ID(string(tc.op)+" apprunner/service/web"), a.ID)
			require.True(t, a.Alone)
			require.Contains(t, a.Reason, tc.reason)
			require.Equal(t, tc.have[web.Address], a.Have)
			creates, updates, deletes := p.Counts()
			require.Equal(t, [3]int{0, 1, 0}, [3]int{creates, updates, deletes})
		})
	}
}

func TestSteer_refusesAllAtOnceAndActsInOrder(t *testing.T) {
	a, b, c := service("a"), service("b"), service("c")
	_, err := plan.Steer(plan.Redeploy, []state.Address{c.Address, a.Address, b.Address},
		lives(live(state.Ours, state.Paused, a), live(state.Ours, state.Ready, b)), plan.SteerOptions{})
	require.ErrorContains(t, err, "service/a: is paused")
	require.ErrorContains(t, err, "service/c: does not exist")
	p, err := plan.Steer(plan.Pause, []state.Address{c.Address, a.Address}, lives(live(state.Ours, state.Ready, c), live(state.Ours, state.Ready, a)), plan.SteerOptions{})
	require.NoError(t, err)
	require.Equal(t, []plan.ID{"pause apprunner/service/a", "pause apprunner/service/c"}, []plan.ID{p.Actions[0].ID, p.Actions[1].ID})
}

func TestPlan_Then_waitsForAllOfTheFirst(t *testing.T) {
	web := service("web")
	a, b := state.Resource{Address: at("ssm", "parameter", "a")}, state.Resource{Address: at("ssm", "parameter", "b")}
	first, err := plan.Build(desired(a, b), state.Live{}, plan.Options{})
	require.NoError(t, err)
	next, err := plan.Steer(plan.Redeploy, []state.Address{web.Address}, lives(live(state.Ours, state.Ready, web)), plan.SteerOptions{})
	require.NoError(t, err)
	next.Notes = []state.Note{{Target: web.Address, Text: "y"}, {Target: web.Address, Text: "x"}}

	both := first.Then(next)
	require.Equal(t, first.Actions, both.Actions[:2])
	require.Equal(t, plan.ID("redeploy apprunner/service/web"), both.Actions[2].ID)
	require.Equal(t, []plan.ID{"create ssm/parameter/a", "create ssm/parameter/b"}, both.Actions[2].Needs)
	require.Equal(t, []state.Note{next.Notes[1], next.Notes[0]}, both.Notes)
	require.Empty(t, next.Actions[0].Needs)
	require.Equal(t, next.Actions, (&plan.Plan{}).Then(next).Actions)
}
