package apprunner

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

// update starts an update and returns how its operation ended.
func (r *rig) update(in *sdk.UpdateServiceInput) types.OperationSummary {
	r.t.Helper()
	out, err := r.api.UpdateService(context.Background(), in)
	require.NoError(r.t, err)
	require.Equal(r.t, types.ServiceStatusOperationInProgress, out.Service.Status)
	return r.follow(in.ServiceArn, out.OperationId)
}

// unchanged is an update that keeps everything as it is: something must be sent.
func unchanged(arn *string) *sdk.UpdateServiceInput {
	return &sdk.UpdateServiceInput{ServiceArn: arn, InstanceConfiguration: &types.InstanceConfiguration{}}
}

func TestUpdate_mergesMembersAndReplacesMaps(t *testing.T) {
	r := newRig(t)
	r.world.secrets["/a"], r.world.secrets["/b"] = "secret a", "secret b"
	before := r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("256"), Memory: aws.String("512"), InstanceRoleArn: aws.String(instanceRole)}
		in.HealthCheckConfiguration = httpCheck()
		settings := in.SourceConfiguration.ImageRepository.ImageConfiguration
		settings.StartCommand = aws.String("serve")
		settings.RuntimeEnvironmentVariables = map[string]string{"A": "1", "B": "2"}
		settings.RuntimeEnvironmentSecrets = map[string]string{"S": "/a"}
	})
	op := r.update(&sdk.UpdateServiceInput{
		ServiceArn:               before.ServiceArn,
		InstanceConfiguration:    &types.InstanceConfiguration{Memory: aws.String("1 GB")},
		HealthCheckConfiguration: &types.HealthCheckConfiguration{Interval: aws.Int32(7)},
		SourceConfiguration: &types.SourceConfiguration{ImageRepository: &types.ImageRepository{
			ImageIdentifier: aws.String(registry + "web:v2"), ImageRepositoryType: types.ImageRepositoryTypeEcr,
			ImageConfiguration: &types.ImageConfiguration{RuntimeEnvironmentVariables: map[string]string{"C": "3"}},
		}},
	})
	require.Equal(t, types.OperationStatusSucceeded, op.Status)
	after := r.describe(before.ServiceArn)
	require.Equal(t, "256", *after.InstanceConfiguration.Cpu)
	require.Equal(t, "1024", *after.InstanceConfiguration.Memory)
	require.Equal(t, instanceRole, *after.InstanceConfiguration.InstanceRoleArn)
	require.Equal(t, int32(7), *after.HealthCheckConfiguration.Interval)
	require.Equal(t, "/health", *after.HealthCheckConfiguration.Path)
	settings := after.SourceConfiguration.ImageRepository.ImageConfiguration
	require.Equal(t, map[string]string{"C": "3"}, settings.RuntimeEnvironmentVariables)
	require.Equal(t, map[string]string{"S": "/a"}, settings.RuntimeEnvironmentSecrets, "references are echoed as given")
	require.Equal(t, "serve", *settings.StartCommand)
	require.Equal(t, accessRole, *after.SourceConfiguration.AuthenticationConfiguration.AccessRoleArn)
	r.logs("events", "Service update completed successfully. New application and configuration is deployed.")

	r.update(&sdk.UpdateServiceInput{ServiceArn: before.ServiceArn, SourceConfiguration: &types.SourceConfiguration{ImageRepository: &types.ImageRepository{
		ImageIdentifier: aws.String(registry + "web:v2"), ImageRepositoryType: types.ImageRepositoryTypeEcr,
		ImageConfiguration: &types.ImageConfiguration{RuntimeEnvironmentVariables: map[string]string{}, RuntimeEnvironmentSecrets: map[string]string{}},
	}}})
	settings = r.describe(before.ServiceArn).SourceConfiguration.ImageRepository.ImageConfiguration
	require.Empty(t, settings.RuntimeEnvironmentVariables, "an empty map that is sent clears")
	require.Empty(t, settings.RuntimeEnvironmentSecrets)
	r.logs("events", "Service update completed successfully. New configuration is deployed.")
}

func TestUpdate_checksWhatTheMergeMakes(t *testing.T) {
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{Cpu: aws.String("256"), Memory: aws.String("512")}
	})
	_, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{
		ServiceArn: s.ServiceArn, InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("1 vCPU")},
	})
	refused(t, err, "InvalidRequestException", "Invalid combination of Cpu and Memory: Cpu 1024 doesn't support Memory 512. Supported Memory: [2048 3072 4096].")
	_, err = r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn})
	refused(t, err, "InvalidRequestException", "No configurations provided in the UpdateService request.")
	r.world.deny(accessRole, true)
	_, err = r.api.UpdateService(context.Background(), unchanged(s.ServiceArn))
	refused(t, err, "InvalidRequestException", "Error in assuming access role "+accessRole)
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
}

// A tag that moved does not ride along with a change of configuration: StartDeployment
// is for that.
func TestUpdate_ofTheConfigurationKeepsTheImage(t *testing.T) {
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) { in.SourceConfiguration.AutoDeploymentsEnabled = aws.Bool(false) })
	r.world.push("web:v1", "moved")
	r.update(unchanged(s.ServiceArn))
	_, body := r.get(*s.ServiceUrl, "/")
	require.Equal(t, "v1", body)
	out, err := r.api.StartDeployment(context.Background(), &sdk.StartDeploymentInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
	_, body = r.get(*s.ServiceUrl, "/")
	require.Equal(t, "moved", body)
	require.Contains(t, r.world.log("deployment/"), "Triggering event : SERVICE_DEPLOY")
}

func TestUpdate_rollsBackAndNeverTouchesWhatServes(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*sdk.UpdateServiceInput)
		log    string
	}{
		"health":  {func(in *sdk.UpdateServiceInput) { in.SourceConfiguration = mode("web:v2", "sick") }, "Failure reason : Health check failed."},
		"exit":    {func(in *sdk.UpdateServiceInput) { in.SourceConfiguration = mode("web:v2", "exit3") }, "Container exit code: 3"},
		"missing": {func(in *sdk.UpdateServiceInput) { in.SourceConfiguration = source("web:v3") }, "ECR image doesn't exist."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			before := r.create(func(in *sdk.CreateServiceInput) { in.HealthCheckConfiguration = httpCheck() })
			serving := r.engine.alive()
			in := &sdk.UpdateServiceInput{ServiceArn: before.ServiceArn, InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("2048"), Memory: aws.String("4096")}}
			tc.change(in)
			r.faults.Stick("shop", true) // until the target has been seen
			out, err := r.api.UpdateService(context.Background(), in)
			require.NoError(t, err)
			require.Equal(t, "2048", *out.Service.InstanceConfiguration.Cpu, "an update shows its target")
			require.Equal(t, "2048", *r.describe(in.ServiceArn).InstanceConfiguration.Cpu)
			r.faults.Stick("shop", false)
			require.Equal(t, types.OperationStatusRollbackSucceeded, r.follow(in.ServiceArn, out.OperationId).Status)
			after := r.describe(in.ServiceArn)
			require.Equal(t, types.ServiceStatusRunning, after.Status)
			after.UpdatedAt = before.UpdatedAt
			require.Equal(t, before, after)
			require.Equal(t, serving, r.engine.alive())
			require.Contains(t, r.world.log("deployment/"), tc.log)
			r.logs("events", "Service update failed. For details, see service logs.")
			_, body := r.get(*after.ServiceUrl, "/")
			require.Equal(t, "v1", body)
		})
	}
}

func TestUpdate_rebuildsAFailedCreate(t *testing.T) {
	r := newRig(t)
	out, err := r.api.CreateService(context.Background(), &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: mode("web:v1", "exit3")})
	require.NoError(t, err)
	r.follow(out.Service.ServiceArn, out.OperationId)
	arn := out.Service.ServiceArn
	require.Equal(t, types.OperationStatusFailed, r.update(unchanged(arn)).Status)
	require.Equal(t, types.ServiceStatusCreateFailed, r.describe(arn).Status)
	require.Equal(t, types.OperationStatusSucceeded, r.update(&sdk.UpdateServiceInput{ServiceArn: arn, SourceConfiguration: mode("web:v2", "")}).Status)
	require.Equal(t, types.ServiceStatusRunning, r.describe(arn).Status)
}

// Requests run in a loop through ten rollovers; one that was accepted before a rollover
// ends on the instance that took it. Its SIGTERM would cut a request off.
func TestUpdate_dropsNoRequest(t *testing.T) {
	r := newRig(t)
	s := r.create()
	old := r.engine.alive()[0]
	held := make(chan string)
	go func() {
		_, body := r.get(*s.ServiceUrl, "/hold")
		held <- body
	}()
	r.eventually(func() bool { return old.holding.Load() == 1 })
	stop := make(chan struct{})
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, body := r.get(*s.ServiceUrl, "/echo"); code != 200 {
					t.Errorf("status %d: %s", code, body)
					return
				}
			}
		})
	}
	first, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, SourceConfiguration: source("web:v2")})
	require.NoError(t, err)
	r.eventually(func() bool { _, body := r.get(*s.ServiceUrl, "/"); return body == "v2" })
	require.Contains(t, r.engine.alive(), old, "it still has a request")
	close(old.hold)
	require.Equal(t, "v1", <-held)
	r.follow(s.ServiceArn, first.OperationId)
	for range 9 {
		require.Equal(t, types.OperationStatusSucceeded, r.update(unchanged(s.ServiceArn)).Status)
	}
	close(stop)
	loops.Wait()
	require.Len(t, r.engine.alive(), 1)
	require.Zero(t, old.dropped.Load())
}

func TestImagePushed_deploysWhatFollowsTheTag(t *testing.T) {
	r := newRig(t)
	s := r.create()
	r.world.push("web:v1", "new")
	r.s.ImagePushed("web", "v2")
	r.s.ImagePushed("other", "v1")
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
	r.s.ImagePushed("web", "v1")
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Len(t, ops.OperationSummaryList, 2)
	require.Equal(t, types.OperationTypeStartDeployment, ops.OperationSummaryList[0].Type, "newest first")
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, ops.OperationSummaryList[0].Id).Status)
	_, body := r.get(*s.ServiceUrl, "/")
	require.Equal(t, "new", body)
}

// The values of secrets are nowhere but in instances: not on disk, not in a log, not in
// an answer.
func TestSecrets_stayInInstances(t *testing.T) {
	r := newRig(t)
	r.world.secrets["/a"] = "hunter2hunter2"
	s := r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String(instanceRole)}
		in.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentSecrets = map[string]string{"S": "/a"}
	})
	require.Contains(t, strings.Join(r.engine.alive()[0].spec.Env, " "), "hunter2hunter2")
	require.NotContains(t, r.world.dump(), "hunter2")
	require.NotContains(t, files(t, r.options.Dir), "hunter2")
	require.NotContains(t, *s.SourceConfiguration.ImageRepository.ImageIdentifier, "hunter2")
}
