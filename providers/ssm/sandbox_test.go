package ssm

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/apron-deploy/apron/providers/sandbox/ssm"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// sandbox serves the sandbox's Parameter Store over HTTP. The connection breaks at the
// n-th write after arm(n), before or after the write has taken effect.
func sandbox(t *testing.T, tries int) (p *Provider, arm func(n int64, after bool)) {
	t.Helper()
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := ssm.New(ssm.Options{Store: disk, Account: "123456789012", Region: "us-east-1"})
	require.NoError(t, err)
	var left atomic.Int64
	var late atomic.Bool
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
		Around: func(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
			write := !strings.HasPrefix(call.Operation, "Get") && !strings.HasPrefix(call.Operation, "List")
			breaks := write && left.Add(-1) == 0
			if breaks && !late.Load() {
				return nil, wire.ErrDropped
			}
			out, err := next(ctx)
			if breaks {
				return nil, wire.ErrDropped
			}
			return out, err
		},
	})
	mux.Add(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: &server.URL,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   server.Client(),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = tries
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
	p = New(client, Options{Region: "us-east-1", Account: "123456789012", Writes: rate.NewLimiter(rate.Inf, 0)})
	return p, func(n int64, after bool) { left.Store(n); late.Store(after) }
}

func TestSandbox_agreesOnTheLifeOfAParameter(t *testing.T) {
	p, _ := sandbox(t, 1)
	many := spec()
	for i := range 23 {
		many.Secrets[fmt.Sprintf("KEY_%02d", i)] = env(fmt.Sprint("välue ", i), true)
	}
	changed := spec("KEY_00", "other", "KEY_01", "välue 1")
	changed.Tags["team"] = "web"
	for _, s := range []state.Spec{many, changed, spec()} {
		require.NoError(t, run(t.Context(), p, s))
		live, _, err := p.Observe(t.Context(), query(s))
		require.NoError(t, err)
		require.Len(t, live, len(s.Secrets))
		require.Empty(t, pending(t, p, s))
	}
}

// TestSandbox_rotatesAParameterThatIsAdvanced has one of the tier that none comes back from.
func TestSandbox_rotatesAParameterThatIsAdvanced(t *testing.T) {
	p, _ := sandbox(t, 1)
	_, err := p.api.PutParameter(t.Context(), &sdk.PutParameterInput{Name: aws.String("/apron/web/KEY"), Value: aws.String("old"), Type: "SecureString", Tier: "Advanced",
		Tags: toTags(map[string]string{tagService: "web", tagManaged: "true"})})
	require.NoError(t, err)
	s := spec("KEY", "new")
	require.NoError(t, run(t.Context(), p, s))
	require.Empty(t, pending(t, p, s))
}

func pending(t *testing.T, p *Provider, s state.Spec) []plan.Action {
	t.Helper()
	actions, err := actionsOf(t.Context(), p, s, true)
	require.NoError(t, err)
	return actions
}

func run(ctx context.Context, p *Provider, s state.Spec) error {
	actions, err := actionsOf(ctx, p, s, true)
	for _, a := range actions {
		_, failed := p.Execute(ctx, a, apply.Env{})
		err = errors.Join(err, failed)
	}
	return err
}

func TestSandbox_convergesAfterABrokenConnection(t *testing.T) {
	retagged := spec("A", "two", "C", "three")
	retagged.Tags["team"] = "web"
	for _, after := range []bool{false, true} {
		for n := int64(1); ; n++ {
			p, arm := sandbox(t, 1)
			failed := false
			for _, s := range []state.Spec{spec("A", "one", "B", "two"), retagged, spec()} {
				arm(n, after)
				failed = run(t.Context(), p, s) != nil || failed
				arm(0, false)
				require.NoError(t, run(t.Context(), p, s))
				require.Empty(t, pending(t, p, s))
			}
			if !failed {
				break
			}
		}
	}
}

// The client tries again by itself when an answer is lost, and then hears that the
// parameter it has just made exists already.
func TestSandbox_aLostAnswerIsNoConflict(t *testing.T) {
	p, arm := sandbox(t, 3)
	s := spec("TOKEN", topSecret)
	arm(1, true)
	require.NoError(t, run(t.Context(), p, s))
	require.Empty(t, pending(t, p, s))
}

func TestSandbox_agreesOnReferences(t *testing.T) {
	p, _ := sandbox(t, 1)
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("/shared/%02d", i)
		names = append(names, name)
		_, err := p.api.PutParameter(t.Context(), &sdk.PutParameterInput{Name: &name, Value: aws.String("x"), Type: "String"})
		require.NoError(t, err)
	}
	refs, err := p.Resolve(t.Context(), slices.Concat(names, []string{"/missing"}))
	require.NoError(t, err)
	require.False(t, refs["/missing"].Exists)
	for _, name := range names {
		require.True(t, refs[name].Exists)
		require.Equal(t, ARN("aws", "us-east-1", "123456789012", name), refs[name].ARN)
		require.NotZero(t, refs[name].LastModified)
	}
}
