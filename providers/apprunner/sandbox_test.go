package apprunner

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// bare is the least that a manifest can say.
var bare = state.Spec{Service: "shop"}

// full says everything that can be changed.
var full = with(whole, func(s *state.Spec) {
	s.Service = "shop"
	s.Network = &state.Network{Public: ptr(true), IP: "dual_stack", Egress: &state.Egress{Subnets: []string{subnetA, subnetB}}}
	s.KMSKey = "" // which a service that is there cannot get
})

func with(s state.Spec, change func(*state.Spec)) state.Spec {
	change(&s)
	return s
}

func mode(m string) state.Spec {
	return with(full, func(s *state.Spec) { s.Env = map[string]state.EnvValue{"MODE": {Value: m}} })
}

func TestSandbox_agreesOnTheLifeOfAService(t *testing.T) {
	r := newRig(t, 1, Options{})
	for i, tc := range []struct {
		spec state.Spec
		done []string
	}{
		{bare, []string{"create apprunner/service/shop"}},
		{full, []string{"create apprunner/observability/apron-xray", "create apprunner/scaling/apron-1-2-50",
			"create apprunner/vpc-connector/apron-5a3ea6d2277c", "update apprunner/service/shop"}},
		{with(full, func(s *state.Spec) {
			s.Env = map[string]state.EnvValue{"LOG": {Value: "debug"}, "NEW": {Value: "ü=1"}}
		}),
			[]string{"update apprunner/service/shop"}},
		{with(full, func(s *state.Spec) { s.Env, s.Secrets = map[string]state.EnvValue{}, map[string]state.SecretRef{} }),
			[]string{"update apprunner/service/shop"}},
		{with(full, func(s *state.Spec) { s.Scaling = &state.Scaling{Max: ptr(3)} }),
			[]string{"create apprunner/scaling/apron-1-3-100", "update apprunner/service/shop", "delete apprunner/scaling/apron-1-2-50"}},
		{full, []string{"create apprunner/scaling/apron-1-2-50", "update apprunner/service/shop", "delete apprunner/scaling/apron-1-3-100"}},
		{with(full, func(s *state.Spec) { s.Tags = map[string]string{"team": "web", "cost": "7"} }), []string{"update apprunner/service/shop"}},
		{with(full, func(s *state.Spec) { s.AutoDeploy = true }), []string{"update apprunner/service/shop"}},
		{with(full, func(s *state.Spec) { s.Health = &state.Health{Protocol: ptr("TCP"), Interval: ptr(3 * time.Second)} }),
			[]string{"update apprunner/service/shop"}},
	} {
		done, err := r.apply(tc.spec, plan.Options{})
		require.NoError(t, err, "step %d", i)
		require.Equal(t, tc.done, done, "step %d", i)
		live := r.settled(tc.spec)
		require.Equal(t, state.Ours, live.Owner)
		require.Equal(t, state.Ready, live.Phase)
		require.Contains(t, live.URL, "http://shop.localhost:")
	}
}

func TestSandbox_whatIsLeftOutStaysAsItIs(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	before := r.settled(full)
	r.called()

	require.Equal(t, before.Fields, r.settled(bare).Fields)
	_, err = r.apply(with(bare, func(s *state.Spec) { s.Port = ptr(9000) }), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"UpdateService"}, r.called())
	after := r.settled(bare)
	for i, f := range after.Fields {
		if f.Path == "port" {
			require.Equal(t, "9000", f.Value)
			continue
		}
		require.Equal(t, before.Fields[i], f)
	}
	require.Len(t, after.Fields, len(before.Fields))
}

// People write sizes as they like in the console; App Runner answers plain units.
func TestSandbox_agreesOnCanonicalSizes(t *testing.T) {
	for cpu, memory := range map[string]string{"1 vCPU": "2 GB", "0.25 vCPU": "0.5 GB", "1024": "2048"} {
		r := newRig(t, 1, Options{})
		_, err := r.apply(bare, plan.Options{})
		require.NoError(t, err)
		live := r.settled(bare)
		_, err = r.client.UpdateService(t.Context(), &sdk.UpdateServiceInput{ServiceArn: &live.ID,
			InstanceConfiguration: &types.InstanceConfiguration{Cpu: &cpu, Memory: &memory}})
		require.NoError(t, err)
		require.NoError(t, r.Idle(t.Context(), live.ID, func(string) {}))
		units := map[string][2]int{"1 vCPU": {1024, 2048}, "0.25 vCPU": {256, 512}, "1024": {1024, 2048}}[cpu]
		r.settled(with(bare, func(s *state.Spec) { s.CPU, s.Memory = &units[0], &units[1] }))
	}
}

func TestSandbox_failuresNameTheirCause(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(r *rig)
		spec   state.Spec
		cause  string
		output string
	}{
		"the container exits": {spec: mode("exit3"), cause: "the container stopped with exit code 3", output: "cannot open the database"},
		"the health check fails": {spec: mode("sick"),
			cause: "the health check GET /health on port 8000 did not answer 2xx; the application's log says neither what it answered nor where it listens", output: "started"},
		"the image is missing": {spec: full, before: func(r *rig) { r.absent = "web:src-1" }, cause: "the image is not in the repository"},
		"the role may not pull": {spec: full, before: func(r *rig) { r.denied["ecr:BatchGetImage"] = true },
			cause: "App Runner could not use the access role"},
		"a secret may not be read": {spec: full, before: func(r *rig) { r.denied["ssm:GetParameters"] = true },
			cause: "the container was not started, most likely because one of its secrets could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 1, Options{})
			if tc.before != nil {
				tc.before(r)
			}
			_, err := r.apply(with(tc.spec, func(s *state.Spec) {
				s.Health = &state.Health{Protocol: ptr("HTTP"), Path: ptr("/health"), Interval: ptr(time.Second), Unhealthy: ptr(1)}
			}), plan.Options{})
			var failed *OperationError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, types.OperationStatusFailed, failed.Status)
			require.Equal(t, tc.cause, failed.Cause, err)
			require.NotEmpty(t, failed.Hint())
			require.Contains(t, strings.Join(failed.Output, "\n"), tc.output)

			r.absent, r.denied = "", map[string]bool{}
			done, err := r.apply(full, plan.Options{})
			require.NoError(t, err)
			require.Equal(t, []string{"update apprunner/service/shop"}, done, "it is rebuilt")
			r.settled(full)
		})
	}
}

func TestSandbox_aRollbackIsAFailure(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	before := r.settled(full)
	_, err = r.apply(mode("exit3"), plan.Options{})
	var failed *OperationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, types.OperationStatusRollbackSucceeded, failed.Status)
	require.Equal(t, "the container stopped with exit code 3", failed.Cause)
	require.Contains(t, failed.Evidence[0], "exit code: 3")
	require.Equal(t, before.Fields, r.settled(full).Fields, "the version before it still serves")
}

// App Runner may write during a rollback that the access role is invalid, which it is not.
func TestSandbox_aHealthFailureIsNotBlamedOnTheRole(t *testing.T) {
	r := newRig(t, 1, Options{Recheck: func(context.Context, string) []state.Check {
		return []state.Check{{Path: "roles.access", Verdict: state.Passed, Text: "can be used"}}
	}})
	spec := with(full, func(s *state.Spec) {
		s.Health = &state.Health{Protocol: ptr("HTTP"), Path: ptr("/health"), Interval: ptr(time.Second)}
	})
	_, err := r.apply(spec, plan.Options{})
	require.NoError(t, err)
	r.faults.BlameRole("shop", true)
	_, err = r.apply(with(spec, func(s *state.Spec) { s.Env = map[string]state.EnvValue{"MODE": {Value: "sick"}} }), plan.Options{})
	var failed *OperationError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Cause, "the health check GET /health on port 8000 did not answer 2xx")
	require.Contains(t, strings.Join(failed.Evidence, "\n"), "Invalid Access Role")
}

func TestSandbox_convergesAfterABrokenConnection(t *testing.T) {
	other := with(full, func(s *state.Spec) {
		s.Port, s.Tags, s.Scaling = ptr(9000), map[string]string{"team": "web"}, &state.Scaling{Max: ptr(3)}
	})
	for _, after := range []bool{false, true} {
		for n := int64(1); ; n++ {
			r := newRig(t, 1, Options{})
			failed := false
			for _, s := range []state.Spec{full, other} {
				r.arm(n, after)
				_, err := r.apply(s, plan.Options{})
				failed = failed || err != nil
				r.arm(0, false)
				require.NoError(t, r.idleAll())
				_, err = r.apply(s, plan.Options{})
				require.NoError(t, err)
				r.settled(s)
			}
			r.once(t)
			if !failed && n > 3 {
				break
			}
		}
	}
}

// idleAll waits for what a lost run has left under way, as a command does first.
func (r *rig) idleAll() error {
	arns, err := r.list(r.t.Context(), map[string]bool{"shop": true})
	for _, arn := range arns {
		if err == nil {
			err = r.Idle(r.t.Context(), arn, func(string) {})
		}
	}
	return err
}

// once wants that nothing was made twice.
func (r *rig) once(t *testing.T) {
	t.Helper()
	services, err := r.client.ListServices(t.Context(), &sdk.ListServicesInput{})
	require.NoError(t, err)
	require.Len(t, services.ServiceSummaryList, 1)
	scalings, err := r.client.ListAutoScalingConfigurations(t.Context(), &sdk.ListAutoScalingConfigurationsInput{})
	require.NoError(t, err)
	for _, s := range scalings.AutoScalingConfigurationSummaryList {
		require.EqualValues(t, 1, s.AutoScalingConfigurationRevision, *s.AutoScalingConfigurationName)
	}
}

func TestSandbox_aLostAnswerMakesNothingTwice(t *testing.T) {
	for n := int64(1); n <= 3; n++ { // the scaling configuration, the service, and an update of it
		t.Run(fmt.Sprint("write ", n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 3, Options{})
			r.arm(n, true)
			for _, s := range []state.Spec{full, with(full, func(s *state.Spec) { s.Port = ptr(9000) })} {
				_, err := r.apply(s, plan.Options{})
				require.NoError(t, err)
				r.settled(s)
			}
			require.LessOrEqual(t, r.left.Load(), int64(0), "the connection never broke")
			r.once(t)
		})
	}
}

func TestSandbox_rolesMaintenanceAndPauses(t *testing.T) {
	r := newRig(t, 1, Options{})
	r.faults.RoleNotReady(1)
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err, "a role that is not ready yet")
	live := r.settled(full)

	r.faults.Maintain("shop", true)
	changed := with(full, func(s *state.Spec) { s.Port = ptr(9000) })
	p, have, err := r.plan(t.Context(), changed, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, state.Busy, have[Service("shop")].Phase)
	_, err = apply.Run(t.Context(), p, reconcile.Known(have), r, apply.Options{Progress: func(p apply.Progress) {
		if p.Phase == "waiting for the operation under way" {
			r.faults.Maintain("shop", false)
		}
	}})
	require.NoError(t, err, "maintenance")
	r.settled(changed)

	_, err = r.client.PauseService(t.Context(), &sdk.PauseServiceInput{ServiceArn: &live.ID})
	require.NoError(t, err)
	require.NoError(t, r.idleAll())
	require.Equal(t, state.Paused, r.settled(changed).Phase)
	_, err = r.apply(full, plan.Options{})
	require.ErrorContains(t, err, "is paused, and a paused service cannot be changed")
	done, err := r.apply(full, plan.Options{Resume: true})
	require.NoError(t, err)
	require.Equal(t, []string{"resume apprunner/service/shop", "update apprunner/service/shop"}, done)
	r.settled(full)
}

func TestSandbox_asksTheRealURL(t *testing.T) {
	r := newRig(t, 1, Options{ProbeFor: 1500 * time.Millisecond, Probes: map[string][]state.Probe{"shop": {{Path: "/", Status: 200}}}})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	r.o.Probes["shop"] = []state.Probe{{Path: "/missing", Status: 200}}
	_, err = r.apply(with(full, func(s *state.Spec) { s.Port = ptr(9000) }), plan.Options{})
	var wrong *ProbeError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "404 Not Found", wrong.Got)
}

// Somebody may have taken the name that apron gives to other numbers, with all revisions
// that there can be.
func TestSandbox_refusesAScalingOfAnotherContentWithTheWayOut(t *testing.T) {
	r := newRig(t, 1, Options{})
	var arn string
	for range 5 {
		out, err := r.client.CreateAutoScalingConfiguration(t.Context(), &sdk.CreateAutoScalingConfigurationInput{
			AutoScalingConfigurationName: aws.String("apron-1-2-50"), MaxSize: aws.Int32(9)})
		require.NoError(t, err)
		arn, _, _ = strings.Cut(*out.AutoScalingConfiguration.AutoScalingConfigurationArn, "/apron-1-2-50/")
	}
	for _, o := range []plan.Options{{}, {Adopt: true}} {
		_, _, err := r.plan(t.Context(), full, o)
		var refused *plan.RefusedError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, Scaling("apron-1-2-50"), refused.Target)
		require.Contains(t, refused.Hint(), "ask for others under scaling:")
		require.Contains(t, refused.Hint(), "--auto-scaling-configuration-arn "+arn+"/apron-1-2-50")
	}
	_, err := r.client.DeleteAutoScalingConfiguration(t.Context(), &sdk.DeleteAutoScalingConfigurationInput{
		AutoScalingConfigurationArn: aws.String(arn + "/apron-1-2-50"), DeleteAllRevisions: true})
	require.NoError(t, err)
	_, err = r.apply(full, plan.Options{})
	require.NoError(t, err, "the way out")
	r.settled(full)
}

func TestSandbox_timesOutOnAnOperationThatIsStuck(t *testing.T) {
	r := newRig(t, 1, Options{Timeout: 100 * time.Millisecond})
	r.faults.Stick("shop", true)
	_, err := r.apply(bare, plan.Options{})
	r.faults.Stick("shop", false)
	var late *TimeoutError
	require.ErrorAs(t, err, &late)
	require.Len(t, late.ID, 36)
	require.Regexp(t, `(?s)\n  service +arn:aws:apprunner:us-east-1:123456789012:service/shop/[0-9a-f]{32}\n  type +CREATE_SERVICE\n  started +\S+Z\n  request +\S{36}$`, late.Error(),
		"what AWS support asks for")
	require.NoError(t, r.idleAll())
	r.settled(bare)
}

func TestSandbox_theEndOfAServiceAndOfWhatItUses(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	_, live, err := r.plan(t.Context(), full, plan.Options{})
	require.NoError(t, err)
	require.Len(t, live, 4)
	service, scaling := live[Service("shop")], live[Scaling("apron-1-2-50")]
	require.Equal(t, state.Shared, scaling.Owner)
	require.Empty(t, scaling.Users, "the services of the plan do not count")
	ctx, stop := context.WithCancel(t.Context())
	var said []string
	_, err = r.Execute(ctx, plan.Action{Op: plan.Delete, Target: scaling.Address, Have: scaling}, apply.Env{Progress: func(p apply.Progress) {
		said = append(said, p.Phase)
		stop()
	}})
	require.ErrorIs(t, err, context.Canceled, "until nothing uses it, or it takes too long")
	require.Equal(t, []string{"waiting for App Runner to know that nothing uses it"}, said)
	for _, o := range []state.Observed{service, scaling, live[Tracing(tracingName)], live[stateAddress(service.Value("network.egress"))]} {
		for range 2 { // what is gone already is no error
			_, err = r.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: o.Address, Have: o}, apply.Env{})
			require.NoError(t, err)
		}
	}
	_, live, err = r.plan(t.Context(), full, plan.Options{})
	require.NoError(t, err)
	require.Empty(t, live)
}

func TestObserve_findsServicesByNameAndTellsWhoseTheyAre(t *testing.T) {
	r := newRig(t, 1, Options{SecretLooking: func(name, value string) bool {
		return strings.HasSuffix(name, "_KEY") || strings.Contains(value, ":hunter2@")
	}})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	other := with(full, func(s *state.Spec) {
		s.Service = "admin"
		s.Env = map[string]state.EnvValue{"API_KEY": {Value: topSecret}, "LOG": {Value: "info"}, "DB": {Value: "postgres://app:hunter2@db/x"}}
	})
	_, err = r.apply(other, plan.Options{})
	require.NoError(t, err)
	live, _, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("admin"), Service("none"), Scaling("apron-1-2-50")}})
	require.NoError(t, err)
	require.Len(t, live, 2)
	key, _ := live[Service("admin")].Get("env.API_KEY")
	require.True(t, key.Secret)
	db, _ := live[Service("admin")].Get("env.DB")
	require.True(t, db.Secret, "by its value")
	level, _ := live[Service("admin")].Get("env.LOG")
	require.False(t, level.Secret)
	require.Equal(t, []string{"service shop"}, live[Scaling("apron-1-2-50")].Users)

	// A service that is only referred to is not this run's, though apron made it.
	live, _, err = r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("shop"), Service("admin")}, Specs: []state.Spec{full}, Users: true})
	require.NoError(t, err)
	require.Equal(t, state.Ours, live[Service("shop")].Owner)
	require.Equal(t, state.Theirs, live[Service("admin")].Owner)
	doomed, err := plan.Build(nil, live, plan.Options{})
	require.NoError(t, err)
	for _, a := range doomed.Actions {
		require.NotContains(t, a.Target.Name, "admin")
	}

	_, err = r.client.UntagResource(t.Context(), &sdk.UntagResourceInput{ResourceArn: aws.String(live[Service("admin")].ID), TagKeys: []string{tagService}})
	require.NoError(t, err)
	_, err = r.apply(other, plan.Options{})
	require.ErrorContains(t, err, "exists already and was not made by apron")

	live, _, err = r.Observe(t.Context(), reconcile.Query{Want: []state.Address{{Target: "ecr", Kind: "repository", Name: "web"}}})
	require.NoError(t, err)
	require.Empty(t, live)
}

// Somebody may add a revision to a configuration of apron's. The one whose content is
// what the name says is the one to use, for as long as there is one.
func TestObserve_usesTheRevisionThatTheNameDescribes(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(full, plan.Options{})
	require.NoError(t, err)
	for range 2 {
		_, err = r.client.CreateAutoScalingConfiguration(t.Context(), &sdk.CreateAutoScalingConfigurationInput{
			AutoScalingConfigurationName: aws.String("apron-1-2-50"), MaxSize: aws.Int32(9)})
		require.NoError(t, err)
	}
	r.settled(full)
	_, live, err := r.plan(t.Context(), full, plan.Options{})
	require.NoError(t, err)
	require.Contains(t, live[Scaling("apron-1-2-50")].ID, "autoscalingconfiguration/apron-1-2-50/1/")
}
