package apprunner

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

var identity = awsapi.Identity{Account: "123456789012", Partition: "aws"}

const topSecret = "hunter2-and-more"

// plain is a manifest with some of everything, as the service that it asks for.
func plain(change ...func(*state.Spec)) state.Resource {
	s := whole
	s.Env = map[string]state.EnvValue{"LOG": {Value: "info"}, "TOKEN": {Value: topSecret, Hidden: true}}
	s.Scaling, s.Network, s.Tracing, s.KMSKey = nil, nil, "", ""
	for _, f := range change {
		f(&s)
	}
	return Desired(s, inputs)[0]
}

func bigger(s *state.Spec) { s.CPU, s.Memory = ptr(1024), ptr(2048) }

func moved(s *state.Spec) { s.Origin = "github.com/acme/shop:web.yaml" }

// That a manifest has moved is no reason to touch its service.
func TestUpdate_isNotPlannedForAManifestThatHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		settled(t, p, plain(moved))
		require.Empty(t, f.calls)
	})
}

// running is a fake with the service as plain wants it.
func running(t *testing.T) (*fake, *Provider) {
	t.Helper()
	f := newFake()
	p := provider(f, Options{})
	require.NoError(t, converge(t.Context(), t, p, plain(), plan.Options{}))
	f.calls = nil
	return f, p
}

func settled(t *testing.T, p *Provider, want state.Resource) {
	t.Helper()
	pl, _ := planned(t.Context(), t, p, want, plan.Options{})
	require.Empty(t, pl.Actions)
}

func TestCreate_followsItsOperationToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		p := provider(f, Options{})
		var phases []string
		want := plain()
		start := time.Now()
		out, err := p.Execute(t.Context(), plan.Action{Op: plan.Create, Target: want.Address, Want: want},
			apply.Env{Lookup: known(), Progress: func(p apply.Progress) { phases = append(phases, p.Phase) }})
		require.NoError(t, err)
		require.Equal(t, state.Outcome{ID: fakeARN, URL: "https://x.us-east-1.awsapprunner.com"}, out)
		require.GreaterOrEqual(t, time.Since(start), f.takes)
		require.Less(t, time.Since(start), f.takes+10*time.Second, "the end is seen soon")
		require.Equal(t, []string{"creating", "waiting for App Runner to begin", "rolling out", "rolled out", "asking https://x.us-east-1.awsapprunner.com"},
			slices.Compact(phases))
		settled(t, p, want)
	})
}

func TestUpdate_sendsWhatItsChangesNeed(t *testing.T) {
	for name, tc := range map[string]struct {
		action func(want state.Resource, a *plan.Action)
		want   state.Resource
		calls  []string
	}{
		"a setting": {want: plain(bigger), calls: []string{"UpdateService"}},
		"a tag only, without a rollout": {want: plain(func(s *state.Spec) { s.Tags = map[string]string{"team": "web"} }),
			calls: []string{"TagResource"}},
		"a tag and a setting": {want: plain(bigger, func(s *state.Spec) { s.Tags = map[string]string{"team": "web"} }),
			calls: []string{"TagResource", "UpdateService"}},
		"a secret's new value, by a deployment": {want: plain(), calls: []string{"StartDeployment"},
			action: func(want state.Resource, a *plan.Action) {
				f, _ := want.Get("secrets.KEY")
				a.Changes = []plan.Change{{Path: f.Path, Old: &f, New: &f, Restart: true}}
			}},
		"a secret that changed since the last deployment": {want: plain(), calls: []string{"StartDeployment"},
			action: func(want state.Resource, a *plan.Action) {
				a.Changes = []plan.Change{{Path: "deployment.secrets", New: &state.Field{Path: "deployment.secrets", Value: "current"}}}
			}},
		"a secret's new value and a setting, by one update": {want: plain(bigger), calls: []string{"UpdateService"},
			action: func(want state.Resource, a *plan.Action) {
				f, _ := want.Get("secrets.KEY")
				a.Changes = append(a.Changes, plan.Change{Path: f.Path, Old: &f, New: &f, Restart: true})
			}},
		"a setting, of a manifest that has moved": {want: plain(bigger, moved), calls: []string{"TagResource", "UpdateService"}},
		"a secret's new value, of a manifest that has moved": {want: plain(moved), calls: []string{"TagResource", "StartDeployment"},
			action: func(want state.Resource, a *plan.Action) {
				f, _ := want.Get("secrets.KEY")
				a.Changes = []plan.Change{{Path: f.Path, Old: &f, New: &f, Restart: true}}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				pl, live := planned(t.Context(), t, p, tc.want, plan.Options{})
				a := plan.Action{Op: plan.Update, Target: tc.want.Address, Want: tc.want, Have: live[tc.want.Address]}
				if len(pl.Actions) > 0 {
					a = pl.Actions[0]
				}
				if tc.action != nil {
					tc.action(tc.want, &a)
				}
				_, err := p.Execute(t.Context(), a, apply.Env{Lookup: known()})
				require.NoError(t, err)
				require.Equal(t, tc.calls, f.calls)
				settled(t, p, tc.want)
				if f, ok := tc.want.Get("tags.apron:manifest"); ok {
					_, live := planned(t.Context(), t, p, tc.want, plan.Options{})
					require.Equal(t, f.Value, live[tc.want.Address].Value(f.Path))
				}
			})
		})
	}
}

// A service that is RUNNING again says nothing: it also is after a rollback.
func TestUpdate_thatIsRolledBackIsAFailureWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
		f.says["service"] = []string{
			"[AppRunner] Deployment with ID : 2 started. Triggering event : SERVICE_UPDATE",
			"[AppRunner] Your application stopped or failed to start. See logs for more information.  Container exit code: 1",
			"[AppRunner] Deployment with ID : 2 failed.",
			"[AppRunner] Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration.",
		}
		f.says["application"] = []string{"starting", "Traceback:", "KeyError: 'API_URL'"}
		err := converge(t.Context(), t, p, plain(bigger), plan.Options{})
		var failed *OperationError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, types.ServiceStatusRunning, f.s.Status)
		require.Equal(t, types.OperationStatusRollbackSucceeded, failed.Status)
		require.Equal(t, "the application needs the environment variable API_URL", failed.Cause)
		require.Equal(t, "set API_URL under env: or secrets:", failed.Hint())
		require.True(t, failed.DeploymentFailed())
		require.Equal(t, `service "web": update 00000000-0000-0000-0000-000000000002: failed and was rolled back: the version before it still serves
  probable cause: the application needs the environment variable API_URL
  app runner | Your application stopped or failed to start. See logs for more information.  Container exit code: 1
  app runner | Deployment with ID : 2 failed.
  app runner | Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration.
  application | starting
  application | Traceback:
  application | KeyError: 'API_URL'`, err.Error())

		delete(f.says, "service")
		delete(f.says, "application")
		require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), "the next apply tries again")
		settled(t, p, plain(bigger))
	})
}

func TestFailure_isReportedWithWhateverTheLogsHave(t *testing.T) {
	for name, tc := range map[string]struct {
		end    types.OperationStatus
		refuse error
		text   string
	}{
		"without any log": {end: types.OperationStatusFailed,
			text: "service \"web\": update 00000000-0000-0000-0000-000000000002: failed\n  probable cause: the container never started"},
		"without the right to read them": {end: types.OperationStatusRollbackFailed, refuse: refused("AccessDeniedException", "no"),
			text: "service \"web\": update 00000000-0000-0000-0000-000000000002: failed, and rolling it back failed as well"},
		"in a status that AWS has added": {end: "CANCELLED",
			text: "service \"web\": update 00000000-0000-0000-0000-000000000002: CANCELLED\n  probable cause: the container never started"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.ends = []types.OperationStatus{tc.end}
				if tc.refuse != nil {
					p.logs = mute{tc.refuse}
				}
				err := converge(t.Context(), t, p, plain(bigger), plan.Options{})
				require.EqualError(t, err, tc.text)
			})
		})
	}
}

func TestUpdate_rebuildsAServiceWhoseCreationFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		p := provider(f, Options{})
		f.ends = []types.OperationStatus{types.OperationStatusFailed}
		err := converge(t.Context(), t, p, plain(), plan.Options{})
		var failed *OperationError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, types.OperationTypeCreateService, failed.Type)
		require.Equal(t, types.ServiceStatusCreateFailed, f.s.Status)

		require.NoError(t, converge(t.Context(), t, p, plain(), plan.Options{}), "even when nothing has changed")
		require.Equal(t, []string{"CreateService", "UpdateService"}, f.calls)
		settled(t, p, plain())
	})
}

func TestUpdate_waitsForAnOperationUnderWay(t *testing.T) {
	t.Run("that is seen before the call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, p := running(t)
			f.busy = time.Now().Add(7 * time.Minute)
			require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}))
			require.Equal(t, []string{"UpdateService"}, f.calls, "not called before it can be")
			settled(t, p, plain(bigger))
		})
	})
	for name, want := range map[string]state.Resource{"UpdateService": plain(bigger), "StartDeployment": plain()} {
		t.Run("that comes between, with "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				pl, live := planned(t.Context(), t, p, want, plan.Options{})
				a := plan.Action{Op: plan.Update, Target: want.Address, Want: want, Have: live[want.Address]}
				if len(pl.Actions) > 0 {
					a = pl.Actions[0]
				} else {
					a.Changes = []plan.Change{{Path: "secrets.KEY", Restart: true}}
				}
				_, err := p.Execute(t.Context(), a, apply.Env{Lookup: known(), Progress: func(p apply.Progress) {
					if len(f.calls) == 0 { // just before the call
						f.busy = time.Now().Add(3 * time.Minute)
					}
				}})
				require.NoError(t, err)
				require.Equal(t, []string{name, name}, f.calls)
				settled(t, p, want)
			})
		})
	}
	t.Run("but not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, p := running(t)
			f.busy = time.Now().Add(10 * time.Hour)
			err := converge(t.Context(), t, p, plain(bigger), plan.Options{})
			var late *TimeoutError
			require.ErrorAs(t, err, &late)
			require.EqualError(t, err, "service \"web\": an operation is still under way after 35m0s\n  service    "+fakeARN)
			require.Empty(t, f.calls)
		})
	})
}

func TestPaused_isResumedFirstWhenThatIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.s.Status = types.ServiceStatusPaused
		require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{Resume: true}))
		require.Equal(t, []string{"ResumeService", "UpdateService"}, f.calls)
		settled(t, p, plain(bigger))
	})
}

func TestPaused_whenItHappensBehindThePlanIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		pl, _ := planned(t.Context(), t, p, plain(bigger), plan.Options{})
		f.s.Status = types.ServiceStatusPaused
		_, err := p.Execute(t.Context(), pl.Actions[0], apply.Env{Lookup: known()})
		require.ErrorContains(t, err, `service "web": update: it is PAUSED: `)
		require.Equal(t, []string{"UpdateService"}, f.calls, "it is not resumed without being asked")
	})
}

func TestResume(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(f *fake)
		calls  int
		err    string
	}{
		"starts a paused service":         {calls: 1},
		"finds it running already":        {before: func(f *fake) { f.s.Status = types.ServiceStatusRunning }},
		"waits for what is under way":     {before: func(f *fake) { f.busy = time.Now().Add(time.Minute) }, calls: 1},
		"survives an answer that is lost": {before: func(f *fake) { f.lose["ResumeService"] = 1 }, calls: 2},
		"tells of a failure": {before: func(f *fake) { f.ends = []types.OperationStatus{types.OperationStatusFailed} }, calls: 1,
			err: "resumption 00000000-0000-0000-0000-000000000002: failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				f.s.Status = types.ServiceStatusPaused
				_, live := planned(t.Context(), t, p, plain(), plan.Options{})
				if tc.before != nil {
					tc.before(f)
				}
				out, err := p.Execute(t.Context(), plan.Action{Op: plan.Resume, Target: Service("web"), Have: live[Service("web")]}, apply.Env{})
				require.Len(t, f.calls, tc.calls)
				if tc.err != "" {
					require.ErrorContains(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, fakeARN, out.ID)
				require.Equal(t, types.ServiceStatusRunning, f.s.Status)
			})
		})
	}
}

func TestDelete(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(f *fake)
		calls  int
		err    string
	}{
		"of a running service":                           {calls: 1},
		"of one whose creation failed":                   {before: func(f *fake) { f.s.Status = types.ServiceStatusCreateFailed }, calls: 1},
		"of one whose deletion failed":                   {before: func(f *fake) { f.s.Status = types.ServiceStatusDeleteFailed }, calls: 1},
		"of a paused one":                                {before: func(f *fake) { f.s.Status = types.ServiceStatusPaused }, calls: 1},
		"waits for what is under way":                    {before: func(f *fake) { f.busy = time.Now().Add(time.Minute) }, calls: 1},
		"survives an answer that is lost":                {before: func(f *fake) { f.lose["DeleteService"] = 1 }, calls: 2},
		"of one that is forgotten as soon as it is gone": {before: func(f *fake) { f.vanishes = true }, calls: 1},
		"of one that is deleted already":                 {before: func(f *fake) { f.s.Status = types.ServiceStatusDeleted }},
		"of one that nobody knows":                       {before: func(f *fake) { f.s = nil }},
		"that fails": {before: func(f *fake) { f.ends = []types.OperationStatus{types.OperationStatusFailed} }, calls: 1,
			err: "deletion 00000000-0000-0000-0000-000000000002: failed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				_, live := planned(t.Context(), t, p, plain(), plan.Options{})
				if tc.before != nil {
					tc.before(f)
				}
				_, err := p.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: Service("web"), Have: live[Service("web")]}, apply.Env{})
				require.Len(t, f.calls, tc.calls)
				if tc.err != "" {
					require.ErrorContains(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.True(t, f.s == nil || f.s.Status == types.ServiceStatusDeleted)
			})
		})
	}
}

func TestRole_thatCannotBeAssumedYetIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.noRole = 4
		p := provider(f, Options{})
		require.NoError(t, converge(t.Context(), t, p, plain(), plan.Options{}))
		require.Len(t, f.calls, 5)
		f.calls, f.noRole = nil, 2
		require.NoError(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), "updates ask as well")
		require.Len(t, f.calls, 3)
	})
}

func TestRole_thatCanNeverBeAssumedIsAnErrorWithTheWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.noRole = 1 << 20
		start := time.Now()
		err := converge(t.Context(), t, provider(f, Options{}), plain(), plan.Options{})
		require.EqualError(t, err, `service "web": create: Error in assuming access role arn:aws:iam::123456789012:role/apron/apron-us-east-1-web-access`)
		var explained *awsapi.Error
		require.ErrorAs(t, err, &explained)
		require.Contains(t, explained.Hint(), "build.apprunner.amazonaws.com")
		require.GreaterOrEqual(t, time.Since(start), 2*time.Minute)
		require.Less(t, time.Since(start), 3*time.Minute)
	})
}

func TestUnknownAction_isAnError(t *testing.T) {
	p := provider(newFake(), Options{})
	_, err := p.Execute(t.Context(), plan.Action{Op: plan.Resume, Target: Scaling("x")}, apply.Env{})
	require.EqualError(t, err, "apprunner/scaling/x: App Runner cannot resume it")
}

func TestExecute_endsWhenTheRunDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := running(t)
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*time.Second, func() { cancel(stop) })
		start := time.Now()
		require.ErrorIs(t, converge(ctx, t, p, plain(bigger), plan.Options{}), stop)
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}
