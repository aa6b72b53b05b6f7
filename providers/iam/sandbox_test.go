package iam

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/sandbox/iam"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// sandbox serves the sandbox's IAM over HTTP. The connection breaks at the n-th write
// after arm(n), before or after the write has taken effect.
func sandbox(t *testing.T, tries int) (client *sdk.Client, arm func(n int64, after bool)) {
	t.Helper()
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := iam.New(iam.Options{Store: disk, Account: "123456789012"})
	require.NoError(t, err)
	var left atomic.Int64
	var late atomic.Bool
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{
			Secret: func(string) (string, bool) { return "secret", true },
			Region: region, Global: []string{"iam"}, Now: time.Now,
		},
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
	mux.AddQuery(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client = sdk.New(sdk.Options{
		Region:       region,
		BaseEndpoint: &server.URL,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   server.Client(),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = tries
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
	return client, func(n int64, after bool) { left.Store(n); late.Store(after) }
}

func run(ctx context.Context, client *sdk.Client, s state.Spec) error {
	p := New(client)
	live, _, err := p.Observe(ctx, reconcile.Query{Region: region, Specs: []state.Spec{s}})
	if err != nil {
		return err
	}
	roles, _, err := Desired(s, in())
	if err != nil {
		return err
	}
	want := state.Desired{}
	for _, r := range roles {
		want[r.Address] = r
	}
	for _, a := range actions(want, live) {
		if _, err := p.Execute(ctx, a, apply.Env{}); err != nil {
			return err
		}
	}
	return nil
}

func requireSettled(t *testing.T, client *sdk.Client, s state.Spec) {
	t.Helper()
	live, _, err := New(client).Observe(t.Context(), reconcile.Query{Region: region, Specs: []state.Spec{s}})
	require.NoError(t, err)
	require.Empty(t, actions(desired(t, s), live))
	require.Len(t, live, len(desired(t, s)))
}

func TestSandbox_agreesOnTheLifeOfARole(t *testing.T) {
	client, _ := sandbox(t, 1)
	odd := spec("s3:GetObject arn:aws:s3:::a b+c%20d/*", "sqs:SendMessage *")
	for _, s := range []state.Spec{odd, spec("s3:GetObject arn:aws:s3:::b"), spec()} {
		require.NoError(t, run(t.Context(), client, s))
		requireSettled(t, client, s)
	}
	none := spec()
	none.Roles = state.Roles{}
	require.NoError(t, run(t.Context(), client, none))
	requireSettled(t, client, none)
}

func TestSandbox_pagesAreReadToTheEnd(t *testing.T) {
	client, _ := sandbox(t, 1)
	s := spec()
	require.NoError(t, run(t.Context(), client, s))
	name := RoleName(region, "web", Access)
	for _, policy := range []string{"a", "b", "c"} {
		_, err := client.PutRolePolicy(t.Context(), &sdk.PutRolePolicyInput{RoleName: &name, PolicyName: &policy,
			PolicyDocument: aws.String(permissionsText([]string{"s3:GetObject arn:aws:s3:::" + policy}))})
		require.NoError(t, err)
	}
	role, err := read(t.Context(), client, name)
	require.NoError(t, err)
	require.Len(t, role.inline, 3)
	require.NoError(t, run(t.Context(), client, s))
	requireSettled(t, client, s)
}

func TestSandbox_convergesAfterABrokenConnection(t *testing.T) {
	story := []state.Spec{spec("s3:GetObject arn:aws:s3:::a"), spec("s3:PutObject arn:aws:s3:::a")}
	for _, after := range []bool{false, true} {
		for n := int64(1); ; n++ {
			client, arm := sandbox(t, 1)
			failed := false
			for _, s := range story {
				arm(n, after)
				failed = run(t.Context(), client, s) != nil || failed
				arm(0, false)
				require.NoError(t, run(t.Context(), client, s))
				requireSettled(t, client, s)
			}
			if !failed {
				break
			}
		}
	}
}

// The client tries again by itself when an answer is lost, and then hears that the role
// it has just made exists already.
func TestSandbox_aLostAnswerIsNoConflict(t *testing.T) {
	s := spec()
	a := Address(region, "web", Access)
	for n := int64(1); n <= 2; n++ {
		client, arm := sandbox(t, 3)
		arm(n, true)
		out, err := New(client).Execute(t.Context(), plan.Action{Op: plan.Create, Target: a, Want: desired(t, s)[a]}, apply.Env{})
		require.NoError(t, err)
		require.Equal(t, ARN("123456789012", a.Name), out.ID)
	}
}

// IAM itself says what a role may do, by what is attached to it and what is within it.
func TestSandbox_tellsWhatARoleMayDo(t *testing.T) {
	client, _ := sandbox(t, 1)
	name := aws.String("mine")
	made, err := client.CreateRole(t.Context(), &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustText([]string{"tasks.apprunner.amazonaws.com"}))})
	require.NoError(t, err)
	_, err = client.AttachRolePolicy(t.Context(), &sdk.AttachRolePolicyInput{RoleName: name,
		PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess")})
	require.NoError(t, err)
	_, err = client.PutRolePolicy(t.Context(), &sdk.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("x"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:Get*","Resource":"*"},{"Effect":"Deny","Action":"ssm:*","Resource":"arn:aws:ssm:*:*:parameter/prod/*"}]}`)})
	require.NoError(t, err)
	image := Right{"ecr:BatchGetImage", "arn:aws:ecr:us-east-1:123456789012:repository/web"}
	layer := Right{"ecr:GetDownloadUrlForLayer", image.Resource}
	dev := Right{"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/dev/key"}
	prod := Right{"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/prod/key"}
	secret := Right{"secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-abcdef"}
	said, err := New(client).Rights(t.Context(), *made.Role.Arn, []Right{image, layer, dev, prod, secret})
	require.NoError(t, err)
	require.Equal(t, map[Right]Decision{image: Allowed, layer: Allowed, dev: Allowed, prod: Denied, secret: NotAllowed}, said)

	_, err = New(client).Rights(t.Context(), *made.Role.Arn+"x", []Right{image})
	require.True(t, awsapi.Is(err, codeAbsent), err)
}
