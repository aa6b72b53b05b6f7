package sandbox_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// place is a directory whose sandbox, if one is started, ends with the test.
func place(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), ".apron")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := sandbox.Stop(ctx, dir); err != nil {
			require.ErrorIs(t, err, sandbox.ErrNotRunning)
		}
	})
	return dir
}

func start(t *testing.T, dir string, adjust ...func(*sandbox.StartOptions)) sandbox.Info {
	t.Helper()
	o := sandbox.StartOptions{Dir: dir, Account: account, Region: region, Build: "one"}
	for _, f := range adjust {
		f(&o)
	}
	info, err := sandbox.Start(t.Context(), o)
	require.NoError(t, err)
	return info
}

func parameters(info sandbox.Info) *ssm.Client {
	return ssm.New(ssm.Options{
		Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, ""),
	})
}

func TestStart_runsOneSandboxPerDirectory(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production") // must not matter
	dir := place(t)
	var mu sync.Mutex
	var infos []sandbox.Info
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			info, err := sandbox.Start(t.Context(), sandbox.StartOptions{Dir: dir, Account: account, Region: region, Build: "one"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				infos = append(infos, info)
			}
		})
	}
	group.Wait()
	require.Len(t, infos, 3)
	require.Equal(t, infos[0], infos[1])
	require.Equal(t, infos[0], infos[2])
	require.NotEqual(t, os.Getpid(), infos[0].Pid)

	state, err := sandbox.Status(t.Context(), dir)
	require.NoError(t, err)
	require.True(t, state.Running)
	require.Equal(t, infos[0].Pid, state.Health.Pid)
	require.Equal(t, account, state.Health.Account)
	require.Contains(t, sandbox.Env(state.Info), "AWS_ENDPOINT_URL="+infos[0].Endpoint())

	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{"": 0o700, "sandbox.json": 0o600, "sandbox.log": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, want, info.Mode().Perm(), name)
		}
	}
	ignored, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	require.NoError(t, err)
	require.Equal(t, "*\n", string(ignored))
}

func TestStart_ofAnotherBuildKeepsStatePortAndCredentials(t *testing.T) {
	dir := place(t)
	first := start(t, dir)
	put := &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("b"), Type: ssmtypes.ParameterTypeString}
	_, err := parameters(first).PutParameter(t.Context(), put)
	require.NoError(t, err)

	second := start(t, dir, func(o *sandbox.StartOptions) { o.Build = "two" })
	require.NotEqual(t, first.Pid, second.Pid)
	require.Equal(t, sandbox.Env(first), sandbox.Env(second))
	got, err := parameters(second).GetParameter(t.Context(), &ssm.GetParameterInput{Name: put.Name})
	require.NoError(t, err)
	require.Equal(t, "b", *got.Parameter.Value)

	t.Run("and another account or Region does not take its place", func(t *testing.T) {
		_, err := sandbox.Start(t.Context(), sandbox.StartOptions{Dir: dir, Account: account, Region: "us-west-2", Build: "two"})
		var other *sandbox.OtherError
		require.ErrorAs(t, err, &other)
		require.EqualError(t, err, "a sandbox of account "+account+" in "+region+" is running here, and account "+account+" in us-west-2 was asked for; it goes on running")
		require.Equal(t, second, start(t, dir, func(o *sandbox.StartOptions) { o.Build = "two" }))
	})

	t.Run("and another account has a state of its own", func(t *testing.T) {
		require.NoError(t, sandbox.Stop(t.Context(), dir))
		other := start(t, dir, func(o *sandbox.StartOptions) { o.Account, o.Build = "999999999999", "two" })
		_, err := parameters(other).GetParameter(t.Context(), &ssm.GetParameterInput{Name: put.Name})
		refused(t, err, "ParameterNotFound")
	})
}

func TestStop_endsTheProcessAndKeepsState(t *testing.T) {
	dir := place(t)
	require.ErrorIs(t, sandbox.Stop(t.Context(), dir), sandbox.ErrNotRunning)
	first := start(t, dir)
	require.NoError(t, sandbox.Stop(t.Context(), dir))
	state, err := sandbox.Status(t.Context(), dir)
	require.NoError(t, err)
	require.False(t, state.Running)
	require.Equal(t, first.Port, start(t, dir).Port)
}

func TestStart_replacesASandboxThatWasKilled(t *testing.T) {
	dir := place(t)
	first := start(t, dir)
	process, err := os.FindProcess(first.Pid)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Eventually(t, func() bool {
		_, err := http.Get(first.Endpoint() + "/_apron/health")
		return err != nil
	}, 5*time.Second, 5*time.Millisecond)
	second := start(t, dir)
	require.NotEqual(t, first.Pid, second.Pid)
	require.Equal(t, first.Port, second.Port)
}

func TestReset_forgetsEverythingRunningOrNot(t *testing.T) {
	dir := place(t)
	require.NoError(t, sandbox.Reset(t.Context(), dir))
	put := &ssm.PutParameterInput{Name: aws.String("/a"), Value: aws.String("b"), Type: ssmtypes.ParameterTypeString}
	for name, running := range map[string]bool{"running": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			_, err := parameters(start(t, dir)).PutParameter(t.Context(), put)
			require.NoError(t, err)
			if !running {
				require.NoError(t, sandbox.Stop(t.Context(), dir))
			}
			require.NoError(t, sandbox.Reset(t.Context(), dir))
			_, err = parameters(start(t, dir)).GetParameter(t.Context(), &ssm.GetParameterInput{Name: put.Name})
			refused(t, err, "ParameterNotFound")
		})
	}
}

func TestStart_saysWhyTheSandboxDidNotStart(t *testing.T) {
	dir := place(t)
	_, err := sandbox.Start(t.Context(), sandbox.StartOptions{Dir: dir, Build: "one", Args: []string{"sandbox", "serve", "--fail"}})
	require.ErrorContains(t, err, `engine "no-such-engine"`)
	require.ErrorContains(t, err, "exit status 1")
}

func TestStart_handsNothingOfTheCallersSecretsOn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
	t.Setenv("CLERK_SECRET_KEY", "sk_live_1")
	t.Setenv("DOCKER_HOST", "unix:///kept.sock")
	info := start(t, place(t))
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(info.Pid), "environ"))
	require.NoError(t, err)
	require.NotContains(t, string(environ), "AWS_")
	require.NotContains(t, string(environ), "sk_live_1")
	require.Contains(t, string(environ), "DOCKER_HOST=unix:///kept.sock")
	command, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(info.Pid), "cmdline"))
	require.NoError(t, err)
	require.NotContains(t, string(command), info.Token)
}
