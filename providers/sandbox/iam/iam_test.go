package iam

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const (
	build = "build.apprunner.amazonaws.com"
	tasks = "tasks.apprunner.amazonaws.com"
	arn   = "arn:aws:iam::123456789012:role/apron/web"
)

func trustOf(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
}

// service returns IAM with the role "web" under /apron/ and its hand on the time.
func service(t *testing.T) (*Service, *time.Time) {
	t.Helper()
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := New(Options{Store: st, Account: "123456789012", Now: func() time.Time { return now }})
	require.NoError(t, err)
	_, err = s.createRole(context.Background(), createRoleIn{RoleName: "web", Path: "/apron/", AssumeRolePolicyDocument: trustOf(build)})
	require.NoError(t, err)
	return s, &now
}

func TestAssume_waitsForANewRoleToPropagate(t *testing.T) {
	s, now := service(t)
	require.ErrorIs(t, s.Assume(arn, build), ErrNotReady)
	*now = now.Add(DefaultPropagation)
	require.NoError(t, s.Assume(arn, build))
	require.ErrorIs(t, s.Assume(arn, tasks), ErrTrust)
	require.ErrorIs(t, s.Assume(arn+"x", build), ErrNoRole)
	require.ErrorIs(t, s.Assume("arn:aws:iam::123456789012:role/web", build), ErrNoRole)
}

func TestAssume_seesTheOldTrustForAWhile(t *testing.T) {
	s, now := service(t)
	*now = now.Add(time.Hour)
	_, err := s.updateTrust(context.Background(), updateTrustIn{"web", trustOf(tasks)})
	require.NoError(t, err)
	require.NoError(t, s.Assume(arn, build))
	require.ErrorIs(t, s.Assume(arn, tasks), ErrNotReady)
	*now = now.Add(DefaultPropagation)
	require.NoError(t, s.Assume(arn, tasks))
	require.ErrorIs(t, s.Assume(arn, build), ErrTrust)
}

func TestAllowed_isWhatThePoliciesSay(t *testing.T) {
	s, _ := service(t)
	ctx := context.Background()
	_, err := s.attach(ctx, attachIn{"web", "arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess"})
	require.NoError(t, err)
	_, err = s.putInline(ctx, putInlineIn{"web", "secrets", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["ssm:GetParameters"],"Resource":"arn:aws:ssm:*:*:parameter/web/*"},
		{"Effect":"Deny","Action":"ssm:*","Resource":"arn:aws:ssm:*:*:parameter/web/root"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:s3:::bucket/?"}]}`})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		action, resource string
		want             bool
	}{
		"managed policy":            {"ecr:BatchGetImage", "arn:aws:ecr:us-east-1:123456789012:repository/web", true},
		"actions have no case":      {"ECR:batchgetimage", "*", true},
		"managed policy stops":      {"ecr:PutImage", "*", false},
		"inline policy":             {"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/web/key", true},
		"singular action":           {"ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/web/key", false},
		"other resource":            {"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/api/key", false},
		"deny wins":                 {"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/web/root", false},
		"all actions but":           {"s3:GetObject", "arn:aws:s3:::bucket/a", true},
		"all actions but, excepted": {"iam:PassRole", "arn:aws:s3:::bucket/a", false},
		"question mark is one":      {"s3:GetObject", "arn:aws:s3:::bucket/ab", false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, s.Allowed(arn, tc.action, tc.resource))
		})
	}
}

func TestDocuments_refusedAsAWSRefusesThem(t *testing.T) {
	for name, tc := range map[string]struct {
		check func(string) error
		text  string
		want  string
	}{
		"not JSON":             {checkTrust, `{`, "This policy contains invalid Json"},
		"no statement":         {checkTrust, `{"Version":"2012-10-17","Statement":[]}`, "Syntax errors in policy."},
		"unknown version":      {checkTrust, `{"Version":"2026-01-01","Statement":[{}]}`, "Syntax errors in policy."},
		"trust on a resource":  {checkTrust, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}}`, "Has prohibited field Resource"},
		"trust without whom":   {checkTrust, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}`, "Missing required field Principal"},
		"the guide's own typo": {checkTrust, trustOf("tasks.apprunner.aws.com"), `Invalid principal in policy: "SERVICE":"tasks.apprunner.aws.com"`},
		"trust of s3":          {checkTrust, `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Principal":"*"}}`, "AssumeRole policy may only specify STS AssumeRole actions."},
		"permission for whom":  {checkIdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"s3:*","Principal":"*","Resource":"*"}}`, "Policy document should not specify a principal."},
		"permission on what":   {checkIdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"s3:*"}}`, "Policy statement must contain resources."},
		"not an ARN":           {checkIdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}}`, `Resource bucket must be in ARN format or "*".`},
		"action of no service": {checkIdentityPolicy, `{"Statement":{"Effect":"Allow","Action":"Get","Resource":"*"}}`, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
	} {
		t.Run(name, func(t *testing.T) {
			var e *wire.Error
			require.ErrorAs(t, tc.check(tc.text), &e)
			require.Equal(t, "MalformedPolicyDocument", e.Code)
			require.Equal(t, tc.want, e.Message)
		})
	}
	require.NoError(t, checkTrust(trustOf(build)))
	for arn, text := range managed {
		require.NoError(t, checkIdentityPolicy(text), arn)
	}
}
