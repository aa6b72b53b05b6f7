package iam

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/state"
)

func TestRoleName_saysWhatItIsFor(t *testing.T) {
	require.Equal(t, "apron-us-east-1-web-access", RoleName("us-east-1", "web", Access))
	require.Equal(t, "apron-us-east-1-web-instance", RoleName("us-east-1", "web", Instance))
	require.Equal(t, "arn:aws:iam::123456789012:role/apron/apron-us-east-1-web-access", ARN("123456789012", RoleName("us-east-1", "web", Access)))
}

func TestRoleName_isShortLegalAndUnique(t *testing.T) {
	legal := regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		region := rapid.SampledFrom([]string{"us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "eu-central-1"}).Draw(t, "region")
		service := rapid.StringMatching(`[A-Za-z0-9](a{30})?[A-Za-z0-9_-]{3,9}`).Draw(t, "service")
		purpose := rapid.SampledFrom([]Purpose{Access, Instance}).Draw(t, "purpose")
		name := RoleName(region, service, purpose)
		require.Regexp(t, legal, name)
		require.True(t, strings.HasSuffix(name, "-"+string(purpose)))
		id := region + "/" + service + "/" + string(purpose)
		if other, ok := seen[name]; ok {
			require.Equal(t, other, id, "two services share the role %s", name)
		}
		seen[name] = id
	})
}

const (
	parameterARN = "arn:aws:ssm:us-east-1:123456789012:parameter/apron/web/TOKEN"
	secretARN    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/openai-a1b2c3"
)

func in(secrets ...string) Inputs {
	return Inputs{Account: "123456789012", Region: "us-east-1", Partition: "aws", Secrets: secrets}
}

func lines(r state.Resource) []string {
	var out []string
	for _, f := range r.Fields {
		out = append(out, f.Path+" = "+f.Value)
	}
	return out
}

func TestDesired(t *testing.T) {
	both := state.Roles{Access: "auto", Instance: "auto"}
	for name, tc := range map[string]struct {
		spec  state.Spec
		in    Inputs
		want  [][]string // by role
		notes []string
	}{
		"the access role reads ECR": {
			spec: state.Spec{Service: "web", Roles: both, Tags: map[string]string{"team": "ai"}},
			in:   in(),
			want: [][]string{{
				"policy.arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess = attached",
				"tags.apron:managed = true",
				"tags.apron:service = web",
				"tags.team = ai",
				"trust = build.apprunner.amazonaws.com",
			}},
		},
		"the instance role may send traces": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Tracing: "xray"},
			in:   in(),
			want: [][]string{{
				"policy.arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess = attached",
				"tags.apron:managed = true", "tags.apron:service = web", "trust = tasks.apprunner.amazonaws.com",
			}},
		},
		"an instance role that sends no traces any more stays, and loses the policy": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Tracing: "none"},
			in:   Inputs{Account: "123456789012", Region: "us-east-1", Instance: true},
			want: [][]string{{"tags.apron:managed = true", "tags.apron:service = web", "trust = tasks.apprunner.amazonaws.com"}},
		},
		"what may read secrets stays when the manifest says nothing of secrets": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Permissions: []state.Permission{{Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:1:q"}}},
			in: Inputs{Account: "123456789012", Region: "us-east-1", Instance: true, Live: []state.Field{
				{Path: "permission.s3:GetObject arn:aws:s3:::b/*", Value: "allow"}, {Path: "permission.ssm:GetParameters arn:aws:ssm:us-east-1:1:parameter/x", Value: "allow"},
				{Path: "permission.statement 0a", Value: "{}"}, {Path: "trust"}}},
			want: [][]string{{"permission.sqs:SendMessage arn:aws:sqs:us-east-1:1:q = allow", "permission.ssm:GetParameters arn:aws:ssm:us-east-1:1:parameter/x = allow",
				"tags.apron:managed = true", "tags.apron:service = web", "trust = tasks.apprunner.amazonaws.com"}},
		},
		"all stays when it says nothing of permissions either": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Tracing: "none"},
			in: Inputs{Account: "123456789012", Region: "us-east-1", Instance: true, Live: []state.Field{
				{Path: "permission.s3:GetObject arn:aws:s3:::b/*", Value: "allow"}}},
			want: [][]string{{"permission.s3:GetObject arn:aws:s3:::b/* = allow",
				"tags.apron:managed = true", "tags.apron:service = web", "trust = tasks.apprunner.amazonaws.com"}},
		},
		"a role of somebody else's must let traces be sent": {
			spec:  state.Spec{Service: "web", Roles: state.Roles{Instance: "mine"}, Tracing: "xray"},
			in:    in(),
			notes: []string{`role "mine" is not apron's to change; it must allow what arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess allows`},
		},
		"a secret has a key of its own": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Secrets: map[string]state.SecretRef{"KEY": {}}},
			in:   in(secretARN, "arn:aws:kms:us-east-1:123456789012:key/1"),
			want: [][]string{{"permission.kms:Decrypt arn:aws:kms:us-east-1:123456789012:key/1 = allow", "permission.secretsmanager:GetSecretValue " + secretARN + " = allow",
				"tags.apron:managed = true", "tags.apron:service = web", "trust = tasks.apprunner.amazonaws.com"}},
		},
		"none asks for no instance role": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "none"}, Permissions: []state.Permission{}},
			in:   Inputs{Account: "123456789012", Region: "us-east-1", Instance: true},
		},
		"the instance role may do exactly what the manifest needs": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}, Permissions: []state.Permission{
				{Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*"},
				{Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*"},
			}},
			in: in(secretARN+":key::", secretARN, parameterARN),
			want: [][]string{{
				"permission.s3:GetObject arn:aws:s3:::bucket/* = allow",
				"permission.secretsmanager:GetSecretValue " + secretARN + " = allow",
				"permission.ssm:GetParameters " + parameterARN + " = allow",
				"tags.apron:managed = true",
				"tags.apron:service = web",
				"trust = tasks.apprunner.amazonaws.com",
			}},
		},
		"an application that needs nothing has no instance role": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}}, in: in(),
		},
		"roles of others are left alone": {
			spec: state.Spec{Service: "web", Roles: state.Roles{Access: "puller", Instance: "arn:aws:iam::123456789012:role/app"}}, in: in(parameterARN),
			notes: []string{`role "arn:aws:iam::123456789012:role/app" is not apron's to change; it must allow ssm:GetParameters on ` + parameterARN},
		},
		"roles left out are left alone": {
			spec:  state.Spec{Service: "web"},
			in:    in(parameterARN),
			notes: []string{"roles.instance is left out; the role that the service has must allow ssm:GetParameters on " + parameterARN},
		},
	} {
		t.Run(name, func(t *testing.T) {
			roles, notes, err := Desired(tc.spec, tc.in)
			require.NoError(t, err)
			var got [][]string
			for _, r := range roles {
				got = append(got, lines(r))
			}
			require.Equal(t, tc.want, got)
			var texts []string
			for _, n := range notes {
				texts = append(texts, n.Text)
			}
			require.Equal(t, tc.notes, texts)
		})
	}
}

func TestDesired_marksWhatWidens(t *testing.T) {
	roles, _, err := Desired(state.Spec{Service: "web", Roles: state.Roles{Access: "auto", Instance: "auto"}}, in(parameterARN))
	require.NoError(t, err)
	for _, r := range roles {
		require.Equal(t, []string{"permission.", "policy."}, r.Whole)
		for _, f := range r.Fields {
			granting := strings.HasPrefix(f.Path, "permission.") || strings.HasPrefix(f.Path, "policy.")
			require.Equal(t, granting, f.Grant, f.Path)
		}
	}
}

func TestDesired_namesEveryReferenceThatIsNone(t *testing.T) {
	_, _, err := Desired(state.Spec{Service: "web"}, in("arn:aws:s3:::bucket", parameterARN, "prod/openai"))
	require.ErrorContains(t, err, `"arn:aws:s3:::bucket" is the ARN of no parameter, secret or key`)
	require.ErrorContains(t, err, `"prod/openai" is the ARN of no parameter, secret or key`)
}

func TestDesired_refusesMoreThanARoleHolds(t *testing.T) {
	spec := state.Spec{Service: "web", Roles: state.Roles{Instance: "auto"}}
	for i := range 300 {
		spec.Permissions = append(spec.Permissions, state.Permission{Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/" + strings.Repeat("x", i)})
	}
	_, _, err := Desired(spec, in())
	var limit *LimitError
	require.ErrorAs(t, err, &limit)
	require.NotEmpty(t, limit.Hint())
}
