package apprunner

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// listed is an App Runner that can list services, two to a page.
type listed struct {
	api
	all []types.ServiceSummary
}

func (l listed) ListServices(_ context.Context, in *sdk.ListServicesInput, _ ...func(*sdk.Options)) (*sdk.ListServicesOutput, error) {
	n := 0
	_, _ = fmt.Sscan(aws.ToString(in.NextToken), &n)
	out := &sdk.ListServicesOutput{ServiceSummaryList: l.all[n:min(n+2, len(l.all))]}
	if n+2 < len(l.all) {
		out.NextToken = aws.String(fmt.Sprint(n + 2))
	}
	return out, nil
}

func summary(name, id string, status types.ServiceStatus) types.ServiceSummary {
	return types.ServiceSummary{ServiceName: &name, ServiceArn: aws.String("arn:aws:apprunner:us-east-1:123456789012:service/" + name + "/" + id), Status: status}
}

func TestFind(t *testing.T) {
	p := &Provider{id: awsapi.Identity{Account: "123456789012"}, region: "us-east-1", api: listed{all: []types.ServiceSummary{
		summary("gone", "1", types.ServiceStatusDeleted), summary("web", "1", types.ServiceStatusDeleted), summary("web", "2", types.ServiceStatusRunning),
		summary("twins", "1", types.ServiceStatusRunning), summary("twins", "2", types.ServiceStatusCreateFailed)}}}
	const arn = "arn:aws:apprunner:us-east-1:123456789012:service/"
	for asked, want := range map[string]struct{ arn, err, hint string }{
		"web":           {arn: arn + "web/2"},
		arn + "web/2":   {arn: arn + "web/2"},
		arn + "twins/2": {arn: arn + "twins/2"},
		arn + "web/1":   {err: "there is no App Runner service " + arn + "web/1 in account 123456789012 in us-east-1", hint: "there is twins, web; --region looks in another Region"},
		"gone":          {err: "there is no App Runner service gone in account 123456789012 in us-east-1", hint: "there is twins, web; --region looks in another Region"},
		"twins":         {err: "2 services are named twins", hint: "say which by its ARN: " + arn + "twins/1, " + arn + "twins/2"},
	} {
		got, err := p.Find(t.Context(), asked)
		if want.err == "" {
			require.NoError(t, err, asked)
			require.Equal(t, want.arn, got)
			continue
		}
		require.EqualError(t, err, want.err)
		require.Equal(t, want.hint, err.(interface{ Hint() string }).Hint())
	}
}

func TestNotFound_namesTheFirstOfMany(t *testing.T) {
	require.Contains(t, (&NotFoundError{}).Hint(), "there is none at all")
	require.Equal(t, "there are a, b, c, d, e, f, g, h, i, j and 2 more; --region looks in another Region",
		(&NotFoundError{There: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}}).Hint())
}

// What somebody else made is kept as long as it is just what is asked.
func TestDesired_keepsWhatTheServiceUses(t *testing.T) {
	spec := state.Spec{Service: "web", Tracing: "xray", Scaling: &state.Scaling{Min: ptr(1), Max: ptr(2), Concurrency: ptr(50)},
		Network: &state.Network{Egress: &state.Egress{Subnets: []string{"subnet-0a"}, SecurityGroups: []string{"sg-0a"}}}}
	theirs := func(addr state.Address, fields ...state.Field) state.Observed {
		return state.Observed{Resource: state.Resource{Address: addr, Fields: state.Sort(fields)}, Owner: state.Theirs}
	}
	field := func(path, value string) state.Field { return state.Field{Path: path, Value: value} }
	live := func(most, vendor, subnets string) state.Live {
		l := state.Live{}
		for _, o := range []state.Observed{
			theirs(Service("web"), field("scaling", Scaling("zeta").String()), field("tracing", Tracing("zeta").String()), field("network.egress", Connector("zeta").String())),
			theirs(Scaling("zeta"), field("min", "1"), field("max", most), field("concurrency", "50")),
			theirs(Tracing("zeta"), field("vendor", vendor)),
			theirs(Connector("zeta"), field("subnets", subnets), field("security_groups", "sg-0a")),
			theirs(Connector("alpha"), field("subnets", "subnet-0a"), field("security_groups", "sg-0a")), // alike, and not this service's
		} {
			l[o.Address] = o
		}
		return l
	}
	for name, tc := range map[string]struct {
		live state.Live
		want [3]string
		made int
	}{
		"just what is asked": {live("2", xray, "subnet-0a"), [3]string{"scaling/zeta", "observability/zeta", "vpc-connector/zeta"}, 0},
		"something else":     {live("3", "OTHER", "subnet-0b"), [3]string{"scaling/apron-1-2-50", "observability/apron-xray", "vpc-connector/alpha"}, 2},
		"nothing":            {state.Live{}, [3]string{"scaling/apron-1-2-50", "observability/apron-xray", ""}, 3},
	} {
		resources := Desired(spec, Inputs{Live: tc.live})
		require.Len(t, resources, tc.made+1, name)
		service := resources[tc.made]
		for i, path := range []string{"scaling", "tracing", "network.egress"} {
			if tc.want[i] != "" {
				require.Equal(t, "apprunner/"+tc.want[i], service.Value(path), name)
			}
		}
	}
}

// An image of ECR Public is pulled without a role, and one of another account is told as it
// stands.
func TestDefine_ofAnImageThatIsNotCopied(t *testing.T) {
	for from, kind := range map[string]types.ImageRepositoryType{
		"public.ecr.aws/nginx/nginx:1.27":                          types.ImageRepositoryTypeEcrPublic,
		"210987654321.dkr.ecr.us-east-1.amazonaws.com/shop:v1":     types.ImageRepositoryTypeEcr,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:v1":     types.ImageRepositoryTypeEcr,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256": types.ImageRepositoryTypeEcr,
	} {
		spec := state.Spec{Service: "web", Image: state.Image{From: from, InPlace: true}}
		resources := Desired(spec, Inputs{Image: scope.Image(from)})
		d, err := define(resources[0], nil, scope)
		require.NoError(t, err)
		require.Equal(t, from, *d.source.ImageRepository.ImageIdentifier)
		require.Equal(t, kind, d.source.ImageRepository.ImageRepositoryType)
		require.Nil(t, d.source.AuthenticationConfiguration)
	}
}

func TestObserved_namesTheSourcesOfAService(t *testing.T) {
	o := observed(&types.Service{ServiceName: aws.String("web"), SourceConfiguration: &types.SourceConfiguration{CodeRepository: &types.CodeRepository{
		RepositoryUrl: aws.String("https://github.com/acme/shop"), SourceCodeVersion: &types.SourceCodeVersion{Type: types.SourceCodeVersionTypeBranch, Value: aws.String("main")}}}},
		nil, nil, scope, func(_, _ string) bool { return false })
	require.Equal(t, "https://github.com/acme/shop at branch main", o.Detail.(Live).Sources)
}
