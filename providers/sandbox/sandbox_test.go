package sandbox_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// TestMain lets the test's own executable be the background process of a sandbox.
func TestMain(m *testing.M) {
	runner.Init()
	if len(os.Args) > 2 && os.Args[1] == "sandbox" && os.Args[2] == "serve" {
		os.Exit(background(os.Args[3:]))
	}
	os.Exit(m.Run())
}

func background(args []string) int {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	dir := flags.String("dir", "", "")
	idle := flags.Duration("idle", time.Minute, "") // nothing outlives a broken test for long
	fail := flags.Bool("fail", false, "")
	_ = flags.Parse(args)
	err := sandbox.Serve(context.Background(), sandbox.ServeOptions{
		Dir: *dir, Idle: *idle, Log: os.Stderr,
		Adjust: func(o *sandbox.Options) {
			o.Runner = idleEngine{}
			if *fail {
				o.Runner, o.Engine = nil, "no-such-engine"
			}
		},
	})
	if err != nil {
		_, _ = io.WriteString(os.Stderr, "serve: "+err.Error()+"\n")
		return 1
	}
	return 0
}

// idleEngine is an engine for sandboxes that run nothing.
type idleEngine struct{}

var _ runner.Engine = idleEngine{}

func (idleEngine) Name() string     { return "idle" }
func (idleEngine) Describe() string { return "runs nothing" }
func (idleEngine) Start(context.Context, runner.Spec) (runner.Instance, error) {
	return nil, errors.New("this engine runs nothing")
}
func (idleEngine) Close(context.Context) error { return nil }

const account, region = "123456789012", "eu-west-1"

// serve runs a sandbox in this process for the time of the test.
func serve(t testing.TB, adjust ...func(*sandbox.Options)) *sandbox.Server {
	t.Helper()
	o := sandbox.Options{Dir: t.TempDir(), Account: account, Region: region, Runner: idleEngine{}, Propagation: -1}
	for _, f := range adjust {
		f(&o)
	}
	s, err := sandbox.New(t.Context(), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return s
}

// config is the SDK's configuration for a sandbox, without retries.
func config(s *sandbox.Server) aws.Config {
	info := s.Info()
	return aws.Config{
		Region: info.Region, BaseEndpoint: aws.String(s.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// refused wants an AWS error of that code, and returns its text.
func refused(t *testing.T, err error, code string) string {
	t.Helper()
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.ErrorCode(), e.ErrorMessage())
	return e.ErrorMessage()
}

// send makes a plain request, optionally for another Host.
func send(t *testing.T, method, url, host string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	r.Host = host
	if header != nil {
		r.Header = header
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
