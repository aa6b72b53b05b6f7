package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// TestSandbox_killedInTheMiddleOfOperations kills the sandbox's process while a service is
// created, one updated, one paused and one deleted. The next start shows what AWS would,
// and brings each to its end.
func TestSandbox_killedInTheMiddleOfOperations(t *testing.T) {
	t.Parallel()
	manifest := ""
	for i, name := range []string{"updated", "paused", "deleted"} {
		if i > 0 {
			manifest += "---\n"
		}
		manifest += "version: 1\nservice: " + name + "\nregion: us-east-1\nimage: {repository: web, build: {context: app}}\nport: 8000\ncpu: 256\nmemory: 512\nhealth: {path: /health, interval: 2s, timeout: 1s}\n"
	}
	c := newCheckout(t, manifest, built.app)
	c.apron(exitOK, "apply", "--sandbox", "--yes")

	var info sandbox.Info
	read := func() {
		data, err := os.ReadFile(filepath.Join(c.dir, ".apron", "sandbox.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &info))
	}
	read()
	api := sdk.New(sdk.Options{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")})
	ctx := context.Background()
	services := func() map[string]types.ServiceSummary {
		list, err := api.ListServices(ctx, &sdk.ListServicesInput{})
		require.NoError(t, err)
		all := map[string]types.ServiceSummary{}
		for _, s := range list.ServiceSummaryList {
			all[*s.ServiceName] = s
		}
		return all
	}
	before := services()
	live, err := api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: before["updated"].ServiceArn})
	require.NoError(t, err)

	c.apron(exitOK, "sandbox", "scenario", "slow")
	for _, name := range []string{"paused", "deleted"} {
		c.apron(exitOK, "sandbox", "scenario", "stuck", "--service", name)
	}
	_, err = api.CreateService(ctx, &sdk.CreateServiceInput{ServiceName: aws.String("created"), SourceConfiguration: live.Service.SourceConfiguration,
		InstanceConfiguration: live.Service.InstanceConfiguration, HealthCheckConfiguration: live.Service.HealthCheckConfiguration})
	require.NoError(t, err)
	_, err = api.UpdateService(ctx, &sdk.UpdateServiceInput{ServiceArn: before["updated"].ServiceArn,
		InstanceConfiguration: &types.InstanceConfiguration{Cpu: aws.String("512"), Memory: aws.String("1024")}})
	require.NoError(t, err)
	_, err = api.PauseService(ctx, &sdk.PauseServiceInput{ServiceArn: before["paused"].ServiceArn})
	require.NoError(t, err)
	_, err = api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: before["deleted"].ServiceArn})
	require.NoError(t, err)
	for name, s := range services() {
		require.Equal(t, types.ServiceStatusOperationInProgress, s.Status, name)
	}

	process, err := os.FindProcess(info.Pid)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Eventually(t, func() bool {
		_, err := http.Get(info.Endpoint() + "/_apron/health")
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)

	c.apron(exitOK, "sandbox", "start")
	pid := info.Pid
	read()
	require.NotEqual(t, pid, info.Pid)
	want := map[string]types.ServiceStatus{"created": types.ServiceStatusRunning, "updated": types.ServiceStatusRunning, "paused": types.ServiceStatusPaused}
	require.Eventually(t, func() bool {
		got := map[string]types.ServiceStatus{}
		for name, s := range services() {
			if name != "deleted" || s.Status != types.ServiceStatusDeleted { // AWS lists it for a while
				got[name] = s.Status
			}
		}
		return len(got) == len(want) && got["created"] == want["created"] && got["updated"] == want["updated"] && got["paused"] == want["paused"]
	}, 60*time.Second, 50*time.Millisecond)
	live, err = api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: before["updated"].ServiceArn})
	require.NoError(t, err)
	require.Equal(t, "512", *live.Service.InstanceConfiguration.Cpu, "nothing is lost")
	for arn, kind := range map[*string]types.OperationType{before["updated"].ServiceArn: types.OperationTypeUpdateService, before["paused"].ServiceArn: types.OperationTypePauseService} {
		ops, err := api.ListOperations(ctx, &sdk.ListOperationsInput{ServiceArn: arn})
		require.NoError(t, err)
		require.Len(t, ops.OperationSummaryList, 2)
		require.Equal(t, kind, ops.OperationSummaryList[0].Type)
		require.Equal(t, types.OperationStatusSucceeded, ops.OperationSummaryList[0].Status)
	}
	for _, name := range []string{"created", "updated"} {
		res, err := loopback.Get("http://" + *services()[name].ServiceUrl + "/health")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, name)
	}
}
