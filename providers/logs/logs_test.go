package logs

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/logs"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// sandbox serves the sandbox's CloudWatch Logs over HTTP. drop breaks the connection
// after the next deletion has taken effect.
func sandbox(t *testing.T, tries int) (p *Provider, put func(group string), drop *atomic.Bool) {
	t.Helper()
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := logs.New(logs.Options{Store: disk, Account: "123456789012", Region: "us-east-1"})
	require.NoError(t, err)
	drop = &atomic.Bool{}
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
		Around: func(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
			out, err := next(ctx)
			if strings.HasPrefix(call.Operation, "Delete") && drop.CompareAndSwap(true, false) {
				return nil, wire.ErrDropped
			}
			return out, err
		},
	})
	mux.Add(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = tries
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
	return New(client), func(group string) { service.Put(group, "events", time.Now(), "a line") }, drop
}

func observe(t *testing.T, p *Provider, users bool, services ...string) []string {
	t.Helper()
	q := reconcile.Query{Region: "us-east-1", Users: users}
	for _, s := range services {
		q.Specs = append(q.Specs, state.Spec{Service: s})
	}
	live, notes, err := p.Observe(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, notes)
	var names []string
	for a, o := range live {
		require.Equal(t, Type, a.Type())
		require.Equal(t, a, o.Address)
		require.Contains(t, o.ID, "arn:aws:logs:us-east-1:123456789012:log-group:"+a.Name)
		require.Equal(t, state.Ours, o.Owner)
		require.Equal(t, state.Ready, o.Phase)
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

func remove(t *testing.T, p *Provider, name string) error {
	t.Helper()
	_, err := p.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: state.Address{Target: "logs", Kind: "group", Name: name}}, apply.Env{})
	return err
}

func TestObserve_findsTheGroupsOfAServiceAndOfNoOther(t *testing.T) {
	p, put, _ := sandbox(t, 1)
	for _, name := range []string{
		"/aws/apprunner/web/0123/service", "/aws/apprunner/web/0123/application",
		"/aws/apprunner/web/4567/service", // of a service of the same name, long deleted
		"/aws/apprunner/web-admin/89ab/service", "/aws/apprunner/website/89ab/service", "/aws/lambda/web/service",
	} {
		put(name)
	}
	require.Equal(t, []string{"/aws/apprunner/web/0123/application", "/aws/apprunner/web/0123/service", "/aws/apprunner/web/4567/service"},
		observe(t, p, true, "web"))
	require.Equal(t, []string{"/aws/apprunner/web-admin/89ab/service", "/aws/apprunner/website/89ab/service"},
		observe(t, p, true, "web-admin", "website"))
	require.Empty(t, observe(t, p, true, "none"))
	require.Empty(t, observe(t, p, true))
}

func TestObserve_readsAllPages(t *testing.T) {
	p, put, _ := sandbox(t, 1)
	for i := range 60 { // a page has fifty at most
		put(fmt.Sprintf("/aws/apprunner/web/%032x/service", i))
	}
	require.Len(t, observe(t, p, true, "web"), 60)
}

func TestExecute_deletesWhatIsThereAndNothingElse(t *testing.T) {
	p, put, _ := sandbox(t, 1)
	put("/aws/apprunner/web/0123/service")
	put("/aws/apprunner/web/0123/application")
	for range 2 { // what is gone already is no error
		require.NoError(t, remove(t, p, "/aws/apprunner/web/0123/service"))
	}
	require.Equal(t, []string{"/aws/apprunner/web/0123/application"}, observe(t, p, true, "web"))
}

// The client tries again by itself when an answer is lost, and then hears that there is
// no such group.
func TestExecute_aLostAnswerIsNoError(t *testing.T) {
	p, put, drop := sandbox(t, 3)
	put("/aws/apprunner/web/0123/service")
	drop.Store(true)
	require.NoError(t, remove(t, p, "/aws/apprunner/web/0123/service"))
	require.False(t, drop.Load(), "the connection never broke")
	require.Empty(t, observe(t, p, true, "web"))
}

func TestExecute_doesNothingButDelete(t *testing.T) {
	p := New(refusing{t: t})
	_, err := p.Execute(t.Context(), plan.Action{Op: plan.Create, Target: state.Address{Target: "logs", Kind: "group", Name: "/x"}}, apply.Env{})
	require.EqualError(t, err, "logs/group//x: a log group is not apron's to create")
	require.Equal(t, []string{"logs/group"}, p.Types())
}

// refusing is an API that no call may reach, or that refuses all.
type refusing struct {
	t    *testing.T
	with error
}

func (r refusing) answer() error {
	if r.with == nil {
		r.t.Error("a call was made")
	}
	return r.with
}

func (r refusing) DescribeLogGroups(context.Context, *sdk.DescribeLogGroupsInput, ...func(*sdk.Options)) (*sdk.DescribeLogGroupsOutput, error) {
	return nil, r.answer()
}

func (r refusing) DeleteLogGroup(context.Context, *sdk.DeleteLogGroupInput, ...func(*sdk.Options)) (*sdk.DeleteLogGroupOutput, error) {
	return nil, r.answer()
}

// Plans do not need log groups, and identities that may only plan need not read them.
func TestObserve_asksNothingUnlessSomethingMayBeDeleted(t *testing.T) {
	require.Empty(t, observe(t, New(refusing{t: t}), false, "web"))
}

func TestErrors_sayWhatWasTriedAndHowToGoOn(t *testing.T) {
	p := New(refusing{t, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}})
	_, _, err := p.Observe(t.Context(), reconcile.Query{Users: true, Specs: []state.Spec{{Service: "web"}}})
	require.EqualError(t, err, "list log groups below /aws/apprunner/web/: AccessDeniedException: no")
	var hint interface{ Hint() string }
	require.ErrorAs(t, err, &hint)
	require.NotEmpty(t, hint.Hint())
	require.EqualError(t, remove(t, p, "/aws/apprunner/web/0/service"), "delete log group /aws/apprunner/web/0/service: AccessDeniedException: no")
}
