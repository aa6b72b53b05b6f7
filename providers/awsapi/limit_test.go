package awsapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// wired is a configuration whose calls reach answer without a socket, so that time can
// be synctest's.
func wired(t *testing.T, answer func(*http.Request) *http.Response) aws.Config {
	t.Helper()
	guard := &awsapi.Guard{}
	guard.PermitWrites()
	cfg, err := awsapi.Load(t.Context(), awsapi.Options{Region: "us-east-1", Endpoint: "http://127.0.0.1:1", Guard: guard,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
	require.NoError(t, err)
	cfg.HTTPClient = roundTripper(func(r *http.Request) (*http.Response, error) { return answer(r), nil })
	return cfg
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// all makes n calls at once and returns how long they took together.
func all(t *testing.T, n int, cfg aws.Config, c call) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := c(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func TestLimits_areSharedByAllClientsOfARun(t *testing.T) {
	for name, tc := range map[string]struct {
		call   call // makes a client of its own each time
		n      int
		least  time.Duration
		within time.Duration
	}{
		"writes of parameters, three a second after a few": {writes["SSM puts a parameter"], 36, 9 * time.Second, 11 * time.Second},
		"reads of parameters":                              {reads["SSM gets parameters"], 120, 1900 * time.Millisecond, 2100 * time.Millisecond},
		"reads of logs":                                    {reads["CloudWatch Logs filters"], 20, 1900 * time.Millisecond, 2100 * time.Millisecond},
		"App Runner":                                       {reads["App Runner lists"], 80, 1900 * time.Millisecond, 2100 * time.Millisecond},
		"ECR":                                              {reads["ECR gives a token"], 300, 900 * time.Millisecond, 1100 * time.Millisecond},
		"IAM":                                              {reads["IAM gets a role"], 60, 900 * time.Millisecond, 1100 * time.Millisecond},
		"Secrets Manager":                                  {reads["Secrets Manager describes"], 100, 900 * time.Millisecond, 1100 * time.Millisecond},
		"what has no limit":                                {reads["STS tells who asks"], 100, 0, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				took := all(t, tc.n, wired(t, func(r *http.Request) *http.Response {
					calls.Add(1)
					if r.Header.Get("X-Amz-Target") == "" {
						return respond(200, "<R><ListRoleTagsResult/><GetCallerIdentityResult/></R>")
					}
					return respond(200, "{}")
				}), tc.call)
				require.GreaterOrEqual(t, took, tc.least)
				require.LessOrEqual(t, took, tc.within)
				require.Equal(t, int64(tc.n), calls.Load())
			})
		})
	}
}

// TestLimits_doNotHoldUpOneAPIForAnother makes the limit of one API wait, and calls another.
func TestLimits_doNotHoldUpOneAPIForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := wired(t, func(*http.Request) *http.Response { return respond(200, "{}") })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, _ = cloudwatchlogs.NewFromConfig(cfg).FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("web")})
			})
		}
		synctest.Wait()
		start := time.Now()
		_, err := secretsmanager.NewFromConfig(cfg).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("web")})
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		cancel()
		wg.Wait()
		require.Zero(t, time.Since(start), "those that waited end with their context")
	})
}

// atOnce retries without a pause.
type atOnce struct{ aws.Retryer }

func (atOnce) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

func TestLimits_countEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		cfg := wired(t, func(*http.Request) *http.Response {
			calls.Add(1)
			return respond(400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
		})
		retryer := cfg.Retryer
		cfg.Retryer = func() aws.Retryer { return atOnce{retryer()} }
		var wg sync.WaitGroup
		start := time.Now()
		for range 10 {
			wg.Go(func() {
				var e *awsapi.Error
				err := awsapi.Explain(reads["CloudWatch Logs filters"](t.Context(), cfg))
				if !errors.As(err, &e) {
					t.Errorf("not explained: %v", err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int64(80), calls.Load(), "ten calls of eight attempts")
		require.InDelta(t, 14, time.Since(start).Seconds(), 0.1, "five a second after the first ten")
	})
}

func TestLimits_endWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := wired(t, func(*http.Request) *http.Response { return respond(200, "{}") })
		why := errors.New("the run took too long")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error, 100)
		for range 100 {
			go func() { failed <- reads["CloudWatch Logs filters"](ctx, cfg) }()
		}
		synctest.Wait()
		cancel(why)
		var stopped int
		for range 100 {
			if err := <-failed; err != nil {
				require.ErrorIs(t, err, why)
				stopped++
			}
		}
		require.Equal(t, 90, stopped, "all but the first ten")

		ctx, done := context.WithTimeout(t.Context(), time.Millisecond)
		defer done()
		start := time.Now()
		require.ErrorIs(t, reads["CloudWatch Logs filters"](ctx, cfg), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(start), time.Millisecond)
	})
}
