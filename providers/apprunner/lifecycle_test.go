package apprunner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestRedeploy(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(f *fake)
		calls  int
		ops    int // beside the creation
		err    string
	}{
		"deploys what is configured":     {calls: 1, ops: 1},
		"waits for what is under way":    {before: func(f *fake) { f.busy = time.Now().Add(time.Minute) }, calls: 1, ops: 1},
		"does not deploy twice":          {before: func(f *fake) { f.lose["StartDeployment"] = 1 }, calls: 2, ops: 1},
		"nor when the client gives up":   {before: func(f *fake) { f.lose["StartDeployment"], f.deaf = 1, true }, calls: 1, ops: 1},
		"tells of a rollback":            {before: func(f *fake) { f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded} }, calls: 1, ops: 1, err: "deployment 00000000-0000-0000-0000-000000000002: failed and was rolled back"},
		"tells what AWS refuses it with": {before: func(f *fake) { f.refuse["StartDeployment"] = refused("AccessDeniedException", "no") }, calls: 1, err: `service "web": redeploy: AccessDeniedException: no`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				_, live := planned(t.Context(), t, p, plain(), plan.Options{})
				if tc.before != nil {
					tc.before(f)
				}
				out, err := p.Execute(t.Context(), plan.Action{Op: plan.Redeploy, Target: Service("web"), Have: live[Service("web")]}, apply.Env{})
				require.Len(t, f.calls, tc.calls)
				require.Len(t, f.ops, 1+tc.ops)
				if tc.err != "" {
					require.ErrorContains(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, fakeARN, out.ID)
				require.Equal(t, types.OperationTypeStartDeployment, f.ops[0].Type)
				require.True(t, ended(f.ops[0].Status))
			})
		})
	}
}

func TestPause(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(f *fake)
		calls  int
		err    string
	}{
		"pauses what runs":                   {calls: 1},
		"finds it paused already":            {before: func(f *fake) { f.s.Status = types.ServiceStatusPaused }},
		"waits for what is under way":        {before: func(f *fake) { f.busy = time.Now().Add(time.Minute) }, calls: 1},
		"survives an answer that is lost":    {before: func(f *fake) { f.lose["PauseService"] = 1 }, calls: 2},
		"tells of a failure":                 {before: func(f *fake) { f.ends = []types.OperationStatus{types.OperationStatusFailed} }, calls: 1, err: "pausing 00000000-0000-0000-0000-000000000002: failed"},
		"believes what it sees, not the end": {before: func(f *fake) { f.slips = func(s *types.Service) { s.Status = types.ServiceStatusRunning } }, err: "these still differ from what was asked: status", calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				_, live := planned(t.Context(), t, p, plain(), plan.Options{})
				if tc.before != nil {
					tc.before(f)
				}
				_, err := p.Execute(t.Context(), plan.Action{Op: plan.Pause, Target: Service("web"), Have: live[Service("web")]}, apply.Env{})
				require.Len(t, f.calls, tc.calls)
				if tc.err != "" {
					require.ErrorContains(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, types.ServiceStatusPaused, f.s.Status)
			})
		})
	}
}

// The verbs on the real SDK against the sandbox: what is paused answers nobody, and what
// is resumed must answer as asked.
func TestSandbox_redeployPauseResume(t *testing.T) {
	r := newRig(t, 1, Options{ProbeFor: 1500 * time.Millisecond, Probes: map[string][]state.Probe{"shop": {{Path: "/", Status: 200}}}})
	_, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	verb := func(op plan.Op) error {
		t.Helper()
		_, live, err := r.plan(t.Context(), bare, plan.Options{})
		require.NoError(t, err)
		p, err := plan.Steer(op, []state.Address{Service("shop")}, live, plan.SteerOptions{})
		require.NoError(t, err)
		require.Len(t, p.Actions, 1)
		_, err = r.Execute(t.Context(), p.Actions[0], apply.Env{})
		return err
	}
	r.called()
	require.NoError(t, verb(plan.Redeploy))
	require.NoError(t, verb(plan.Pause))
	require.Equal(t, state.Paused, r.settled(bare).Phase)
	require.NoError(t, verb(plan.Resume))
	require.Equal(t, state.Ready, r.settled(bare).Phase)
	require.NoError(t, verb(plan.Pause))
	r.o.Probes["shop"] = []state.Probe{{Path: "/missing", Status: 200}}
	var wrong *ProbeError
	require.ErrorAs(t, verb(plan.Resume), &wrong)
	require.Equal(t, []string{"StartDeployment", "PauseService", "ResumeService", "PauseService", "ResumeService"}, r.called())
}

// What somebody else has started is followed by its own id, from wherever it is.
func TestFollow_tellsHowAnOperationOfAnybodyEnds(t *testing.T) {
	for name, end := range map[string]types.OperationStatus{"well": types.OperationStatusSucceeded, "badly": types.OperationStatusRollbackSucceeded} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.ends = []types.OperationStatus{end}
				f.begin(types.OperationTypeUpdateService, *f.s)
				_, live := planned(t.Context(), t, p, plain(), plan.Options{})
				o := live[Service("web")]
				op := o.Detail.(Live).Operations[0]
				require.False(t, Ended(op))
				var phases []string
				for range 2 { // the second time it has ended before
					start := time.Now()
					err := p.Follow(t.Context(), plan.Action{Op: plan.Update, Target: Service("web"), Have: o}, op,
						apply.Env{Progress: func(p apply.Progress) { phases = append(phases, p.Phase) }})
					if end == types.OperationStatusSucceeded {
						require.NoError(t, err)
					} else {
						var failed *OperationError
						require.ErrorAs(t, err, &failed)
					}
					if len(phases) == 1 {
						require.Less(t, time.Since(start), time.Minute)
					}
					phases = phases[:0]
				}
			})
		})
	}
}
