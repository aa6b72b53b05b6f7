package apprunner

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
)

// files joins the content of all files below dir.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			all.Write(b)
			return err
		}
		return err
	}))
	return all.String()
}

// calls are the mutating calls on a service, by the verb of their refusal.
var calls = map[string]func(*sdk.Client, *string) error{
	"updated": func(c *sdk.Client, arn *string) error {
		_, err := c.UpdateService(context.Background(), unchanged(arn))
		return err
	},
	"deployed": func(c *sdk.Client, arn *string) error {
		_, err := c.StartDeployment(context.Background(), &sdk.StartDeploymentInput{ServiceArn: arn})
		return err
	},
	"paused": func(c *sdk.Client, arn *string) error {
		_, err := c.PauseService(context.Background(), &sdk.PauseServiceInput{ServiceArn: arn})
		return err
	},
	"resumed": func(c *sdk.Client, arn *string) error {
		_, err := c.ResumeService(context.Background(), &sdk.ResumeServiceInput{ServiceArn: arn})
		return err
	},
	"deleted": func(c *sdk.Client, arn *string) error {
		_, err := c.DeleteService(context.Background(), &sdk.DeleteServiceInput{ServiceArn: arn})
		return err
	},
	"associated with a custom domain": func(c *sdk.Client, arn *string) error {
		_, err := c.AssociateCustomDomain(context.Background(), &sdk.AssociateCustomDomainInput{ServiceArn: arn, DomainName: aws.String("example.com")})
		return err
	},
	"disassociated from a custom domain": func(c *sdk.Client, arn *string) error {
		_, err := c.DisassociateCustomDomain(context.Background(), &sdk.DisassociateCustomDomainInput{ServiceArn: arn, DomainName: aws.String("old.example.com")})
		return err
	},
	"associated with a VPC ingress connection": func(c *sdk.Client, arn *string) error {
		_, err := c.CreateVpcIngressConnection(context.Background(), &sdk.CreateVpcIngressConnectionInput{
			ServiceArn: arn, VpcIngressConnectionName: aws.String("link"), IngressVpcConfiguration: endpoint("vpce-1"),
		})
		return err
	},
	"tagged": func(c *sdk.Client, arn *string) error {
		_, err := c.TagResource(context.Background(), &sdk.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		return err
	},
}

// Which call is legal in which status, with the codes that AWS answers.
func TestCalls_areLegalByStatus(t *testing.T) {
	const ok, wrong, request, missing, unknown = "", "InvalidStateException", "InvalidRequestException", "ResourceNotFoundException", "InvalidRequestException: Service"
	const associated, disassociated, linked = "associated with a custom domain", "disassociated from a custom domain", "associated with a VPC ingress connection"
	for status, codes := range map[string]map[string]string{
		running:      {"updated": ok, "deployed": ok, "paused": ok, "resumed": wrong, "deleted": ok, "tagged": ok, associated: ok, disassociated: ok, linked: ok},
		inProgress:   {"updated": wrong, "deployed": request, "paused": wrong, "resumed": wrong, "deleted": wrong, "tagged": wrong, associated: wrong, disassociated: wrong, linked: wrong},
		paused:       {"updated": wrong, "deployed": request, "paused": ok, "resumed": ok, "deleted": ok, "tagged": ok, associated: wrong, disassociated: wrong, linked: ok},
		createFailed: {"updated": ok, "deployed": request, "paused": wrong, "resumed": wrong, "deleted": ok, "tagged": ok, associated: wrong, disassociated: wrong, linked: wrong},
		deleteFailed: {"updated": wrong, "deployed": request, "paused": wrong, "resumed": wrong, "deleted": ok, "tagged": ok, associated: wrong, disassociated: wrong, linked: wrong},
		deleted:      {"updated": wrong, "deployed": missing, "paused": missing, "resumed": missing, "deleted": missing, "tagged": missing, associated: unknown, disassociated: missing, linked: unknown},
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s := r.createPrivate("shop")
			for verb, code := range codes {
				// Put the service into the status by hand; each call meets it fresh.
				r.settle(s.ServiceArn)
				require.NoError(t, r.s.doc.Update(func(st *state) error {
					rec := st.service(*s.ServiceId)
					rec.Status, rec.DeletedAt = status, r.s.now()
					rec.Domains, st.Ingresses = []*domain{{Name: "old.example.com", Status: domainActive}}, nil
					return nil
				}))
				err := calls[verb](r.api, s.ServiceArn)
				switch code {
				case ok:
					require.NoError(t, err, verb)
				case wrong:
					refused(t, err, code, "Service cannot be "+verb+" in the current state: "+status+".")
				case request:
					refused(t, err, code, "Can't start a deployment on the specified service, because it isn't in RUNNING state.")
				default:
					require.ErrorContains(t, err, code, verb)
				}
			}
			r.settle(s.ServiceArn)
		})
	}
}

// settle waits until no operation is under way.
func (r *rig) settle(arn *string) {
	r.t.Helper()
	r.eventually(func() bool {
		out, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: arn, MaxResults: aws.Int32(1)})
		require.NoError(r.t, err)
		return out.OperationSummaryList[0].EndedAt != nil
	})
}

func TestPause_stopsAndResumeBringsBackWhatWasLive(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	s := r.create()
	out, err := r.api.PauseService(ctx, &sdk.PauseServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
	require.Equal(t, types.ServiceStatusPaused, r.describe(s.ServiceArn).Status)
	require.Empty(t, r.engine.alive())
	code, _ := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 503, code)

	again, err := r.api.PauseService(ctx, &sdk.PauseServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Nil(t, again.OperationId)
	require.Equal(t, types.ServiceStatusPaused, again.Service.Status)

	r.world.push("web:v1", "pushed while paused")
	r.s.ImagePushed("web", "v1")
	back, err := r.api.ResumeService(ctx, &sdk.ResumeServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, back.OperationId).Status)
	_, body := r.get(*s.ServiceUrl, "/")
	require.Equal(t, "v1", body)
	r.logs("events", "Service resume completed successfully.")
	r.logs("events", "Service status is set to PAUSED.")
}

func TestResume_thatFailsStaysPaused(t *testing.T) {
	r := newRig(t)
	r.world.secrets["/a"] = "x"
	s := r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String(instanceRole)}
		in.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentSecrets = map[string]string{"S": "/a"}
	})
	out, err := r.api.PauseService(context.Background(), &sdk.PauseServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	r.follow(s.ServiceArn, out.OperationId)
	r.world.deny(instanceRole, true)
	back, err := r.api.ResumeService(context.Background(), &sdk.ResumeServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusFailed, r.follow(s.ServiceArn, back.OperationId).Status)
	require.Equal(t, types.ServiceStatusPaused, r.describe(s.ServiceArn).Status)
}

func TestDelete_staysDescribableForAWhile(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Waits.Forget = 200 * time.Second })
	ctx := context.Background()
	s := r.create()
	out, err := r.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
	gone := r.describe(s.ServiceArn)
	require.Equal(t, types.ServiceStatusDeleted, gone.Status)
	require.NotNil(t, gone.DeletedAt)
	require.Empty(t, r.engine.alive())
	list, err := r.api.ListServices(ctx, &sdk.ListServicesInput{})
	require.NoError(t, err)
	require.Empty(t, list.ServiceSummaryList)
	_, known := r.s.Route("shop.localhost")
	require.False(t, known)
	r.eventually(func() bool {
		_, err = r.api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: s.ServiceArn})
		return err != nil
	})
	refused(t, err, "ResourceNotFoundException", "Service with the provided ARN doesn't exist: "+*s.ServiceArn+".")
	again := r.create()
	require.NotEqual(t, *s.ServiceArn, *again.ServiceArn)
	entries, err := os.ReadDir(filepath.Join(r.options.Dir, "apprunner-images"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "one copy is in use")
}

func TestDelete_thatFailsMayBeRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create()
	instance := r.engine.alive()[0]
	instance.defiant.Store(true)
	remove := func() types.OperationStatus {
		out, err := r.api.DeleteService(context.Background(), &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
		require.NoError(t, err)
		return r.follow(s.ServiceArn, out.OperationId).Status
	}
	require.Equal(t, types.OperationStatusFailed, remove())
	require.Equal(t, types.ServiceStatusDeleteFailed, r.describe(s.ServiceArn).Status)
	r.logs("events", "Service status is set to DELETE_FAILED.")
	_, err := r.api.CreateService(context.Background(), &sdk.CreateServiceInput{ServiceName: s.ServiceName, SourceConfiguration: source("web:v1")})
	refused(t, err, "InvalidRequestException", "Service with the provided name already exists: shop.")
	require.Equal(t, types.OperationStatusFailed, remove(), "what could not be stopped is not forgotten")
	instance.defiant.Store(false)
	require.Equal(t, types.OperationStatusSucceeded, remove())
	require.Empty(t, r.engine.alive())
	require.Equal(t, types.ServiceStatusDeleted, r.describe(s.ServiceArn).Status)
}

func TestFaults_happenWhenAsked(t *testing.T) {
	r := newRig(t)
	s := r.create()
	r.faults.Maintain("shop", true)
	require.Equal(t, types.ServiceStatusOperationInProgress, r.describe(s.ServiceArn).Status)
	refused(t, calls["updated"](r.api, s.ServiceArn), "InvalidStateException", "Service cannot be updated in the current state: OPERATION_IN_PROGRESS.")
	code, _ := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 200, code, "traffic goes on")
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Len(t, ops.OperationSummaryList, 1)
	r.faults.Maintain("shop", false)

	r.faults.Stick("shop", true)
	out, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: source("web:v2")})
	require.NoError(t, err)
	r.eventually(func() bool { _, body := r.get(*s.ServiceUrl, "/"); return body == "v2" })
	require.Never(t, func() bool { return r.describe(s.ServiceArn).Status == types.ServiceStatusRunning }, 50*time.Millisecond, 10*time.Millisecond)
	r.faults.Stick("shop", false)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
}

func TestRestart_startsRunningServicesAgain(t *testing.T) {
	r := newRig(t)
	s := r.create()
	r.close()
	delete(r.world.images, registry+"web:v1") // the tag has gone; App Runner has its copy
	r.open()
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
	r.eventually(func() bool { _, body := r.get("shop.localhost", "/"); return body == "v1" })
	require.Len(t, r.engine.alive(), 1)
}

func TestRestart_takesUpOperations(t *testing.T) {
	r := newRig(t)
	s := r.create()
	r.faults.Stick("shop", true)
	out, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: source("web:v2")})
	require.NoError(t, err)
	r.close()
	r.open()
	require.Equal(t, types.ServiceStatusOperationInProgress, r.describe(s.ServiceArn).Status)
	r.faults.Stick("shop", false)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
	_, body := r.get("shop.localhost", "/")
	require.Equal(t, "v2", body)
}

func TestRestart_leavesPausedServicesPaused(t *testing.T) {
	r := newRig(t)
	s := r.create()
	out, err := r.api.PauseService(context.Background(), &sdk.PauseServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	r.follow(s.ServiceArn, out.OperationId)
	r.close()
	starts := r.engine.count()
	r.open()
	require.Equal(t, types.ServiceStatusPaused, r.describe(s.ServiceArn).Status)
	require.Equal(t, starts, r.engine.count())
}

// Without a speed-up, what the sandbox itself adds to a first deployment is short.
func TestRehearsal_isQuick(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Clock = clock.New(1) })
	began := time.Now()
	r.create(func(in *sdk.CreateServiceInput) {
		in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolHttp, Interval: aws.Int32(20), HealthyThreshold: aws.Int32(2)}
	})
	require.Less(t, time.Since(began), 4*time.Second)
}
