package apprunner

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
)

// tagged makes a service rehearse a scenario from its creation on.
func tagged(name Scenario) func(*sdk.CreateServiceInput) {
	return func(in *sdk.CreateServiceInput) {
		in.HealthCheckConfiguration = httpCheck()
		in.Tags = []types.Tag{{Key: aws.String(ScenarioTag), Value: aws.String(string(name))}}
	}
}

// begin creates a service and returns how its creation ended.
func (r *rig) begin(adjust ...func(*sdk.CreateServiceInput)) (*types.Service, types.OperationSummary) {
	r.t.Helper()
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
	for _, f := range adjust {
		f(in)
	}
	out, err := r.api.CreateService(context.Background(), in)
	require.NoError(r.t, err)
	op := r.follow(out.Service.ServiceArn, out.OperationId)
	return r.describe(out.Service.ServiceArn), op
}

// toV2 deploys the second version and returns how that ended.
func (r *rig) toV2(s *types.Service) types.OperationSummary {
	r.t.Helper()
	out, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: source("web:v2")})
	require.NoError(r.t, err)
	return r.follow(s.ServiceArn, out.OperationId)
}

func TestScenario_rolloutsThatFail(t *testing.T) {
	for name, tc := range map[Scenario]struct{ says string }{
		HealthFails: {"Health check failed on protocol `HTTP`"},
		RolledBack:  {"Failed to deploy your application image."},
	} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s := r.create(func(in *sdk.CreateServiceInput) { in.HealthCheckConfiguration = httpCheck() })
			require.NoError(t, r.s.Rehearse(name, "shop"))
			require.Equal(t, types.OperationStatusRollbackSucceeded, r.toV2(s).Status)
			r.logs("deployment/", tc.says)
			require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
			_, body := r.get(*s.ServiceUrl, "/")
			require.Equal(t, "v1", body, "what served still serves")
			require.NoError(t, r.s.Rehearse("", "shop"))
			require.Equal(t, types.OperationStatusSucceeded, r.toV2(s).Status)
		})
	}
	for _, name := range []Scenario{HealthFails, CreateFails} {
		t.Run("a creation with the tag "+string(name), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s, op := r.begin(tagged(name))
			require.Equal(t, types.OperationStatusFailed, op.Status)
			require.Equal(t, types.ServiceStatusCreateFailed, s.Status)
		})
	}
}

func TestScenario_ofAnotherService(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.s.Rehearse(CreateFails, "other"))
	require.ErrorContains(t, r.s.Rehearse("nonsense", ""), `"nonsense" is not a scenario`)
	require.Equal(t, types.OperationStatusSucceeded, r.toV2(r.create()).Status)
	require.False(t, r.s.Throttled())
	require.NoError(t, r.s.Rehearse(Throttled, ""))
	require.True(t, r.s.Throttled())
}

func TestScenario_stuckUntilItEnds(t *testing.T) {
	r := newRig(t)
	s := r.create()
	require.NoError(t, r.s.Rehearse(Stuck, ""))
	out, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: source("web:v2")})
	require.NoError(t, err)
	r.eventually(func() bool { _, body := r.get(*s.ServiceUrl, "/"); return body == "v2" })
	require.Equal(t, types.ServiceStatusOperationInProgress, r.describe(s.ServiceArn).Status)
	require.NoError(t, r.s.Rehearse("", ""))
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)

	require.NoError(t, r.s.Rehearse(Maintenance, "shop"))
	require.Equal(t, types.ServiceStatusOperationInProgress, r.describe(s.ServiceArn).Status)
	require.NoError(t, r.s.Rehearse("", "shop"))
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
}

func TestScenario_someoneChangedTheCPU(t *testing.T) {
	r := newRig(t)
	s := r.create(tagged(SomeoneChangedCPU))
	r.eventually(func() bool {
		now := r.describe(s.ServiceArn)
		return now.Status == types.ServiceStatusRunning && *now.InstanceConfiguration.Cpu == "2048" // from the default of 1024
	})
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Len(t, ops.OperationSummaryList, 2)
	require.Equal(t, types.OperationTypeUpdateService, ops.OperationSummaryList[0].Type)
	before := *r.describe(s.ServiceArn).InstanceConfiguration.Cpu
	require.Equal(t, types.OperationStatusSucceeded, r.toV2(s).Status)
	require.Equal(t, before, *r.describe(s.ServiceArn).InstanceConfiguration.Cpu, "once")
}

func TestScenario_rolesThatAreNotReady(t *testing.T) {
	r := newRig(t)
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
	tagged(RoleNotReady)(in)
	for range notReadyTimes {
		_, err := r.api.CreateService(context.Background(), in)
		refused(t, err, "InvalidRequestException", "Error in assuming access role "+accessRole)
	}
	_, err := r.api.CreateService(context.Background(), in)
	require.NoError(t, err)
}

// A slow rollout takes minutes, which the clock can be turned past.
func TestScenario_slowUntilTheClockIsTurned(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Clock = clock.New(1) })
	require.NoError(t, r.s.Rehearse(Slow, ""))
	out, err := r.api.CreateService(context.Background(), &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")})
	require.NoError(t, err)
	r.logs("deployment/", "Successfully copied the image from ECR.")
	require.Equal(t, types.ServiceStatusOperationInProgress, r.describe(out.Service.ServiceArn).Status)
	r.eventually(func() bool {
		require.NoError(t, r.options.Clock.Turn(2*time.Minute))
		return r.describe(out.Service.ServiceArn).Status == types.ServiceStatusRunning
	})
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: out.Service.ServiceArn})
	require.NoError(t, err)
	op := ops.OperationSummaryList[0]
	require.GreaterOrEqual(t, op.EndedAt.Sub(*op.StartedAt), 4*time.Minute, "as AWS's clock shows it")
}

// Concurrency makes a service grow from its least to its most, and the quiet afterwards
// shrink it again.
func TestFleet_growsFromOneToFiveAndBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Clock = clock.New(20) })
	s := r.scaled(1, 5, 1)
	var requests sync.WaitGroup
	for n := 1; n <= 5; n++ {
		r.hold(*s.ServiceUrl, &requests)
		r.eventually(func() bool { return len(r.engine.alive()) == min(n+1, 5) || len(r.engine.alive()) == n })
	}
	r.eventually(func() bool { return len(r.engine.alive()) == 5 })
	code, _ := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 429, code, "all are busy, and there may be no more")
	r.letGo(&requests)
	r.eventually(func() bool {
		require.NoError(t, r.options.Clock.Turn(r.s.waits.ScaleIn))
		return len(r.engine.alive()) == 1
	})
	code, _ = r.get(*s.ServiceUrl, "/")
	require.Equal(t, 200, code)
}

// A certificate that pends does so although its records are seen to resolve, until the
// scenario ends.
func TestScenario_certificatesThatStayPending(t *testing.T) {
	t.Parallel()
	dns := newZone()
	r := newRig(t, func(o *Options) { o.Resolver = dns })
	s := r.create()
	require.NoError(t, r.s.Rehearse(CertPending, "shop"))
	_, err := r.associate(s.ServiceArn, "shop.example.com", aws.Bool(false))
	require.NoError(t, err)
	d := r.reach(s.ServiceArn, "pending_certificate_dns_validation")
	dns.write(d.CertificateValidationRecords...)
	name := *d.CertificateValidationRecords[0].Name
	n := dns.seen(name)
	r.eventually(func() bool { return dns.seen(name) > n+2 })
	require.Equal(t, "pending_certificate_dns_validation", string(r.domains(s.ServiceArn)[0].Status))
	require.NoError(t, r.s.Rehearse("", "shop"))
	r.reach(s.ServiceArn, "active")
}
