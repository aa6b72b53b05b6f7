package apprunner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	subnetA, subnetB = "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"
	groupA           = "sg-0123456789abcdef0"
)

// out is a manifest whose traffic leaves through subnets.
func out(subnets ...string) state.Spec {
	return with(bare, func(s *state.Spec) {
		s.Network = &state.Network{Egress: &state.Egress{Subnets: subnets, SecurityGroups: []string{groupA}}}
	})
}

func (r *rig) connector(name string, subnets []string, tags ...types.Tag) string {
	r.t.Helper()
	made, err := r.client.CreateVpcConnector(r.t.Context(), &sdk.CreateVpcConnectorInput{VpcConnectorName: &name,
		Subnets: subnets, SecurityGroups: []string{groupA}, Tags: tags})
	require.NoError(r.t, err)
	return *made.VpcConnector.VpcConnectorArn
}

func (r *rig) connectors() []string {
	list, err := r.client.ListVpcConnectors(r.t.Context(), &sdk.ListVpcConnectorsInput{})
	require.NoError(r.t, err)
	var names []string
	for _, c := range list.VpcConnectors {
		names = append(names, *c.VpcConnectorName)
	}
	return names
}

func TestConnector_isMadeForItsContentAndAnotherForAnother(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	done, err := r.apply(out(subnetB, subnetA), plan.Options{})
	require.NoError(t, err)
	require.Len(t, done, 2)
	require.Contains(t, done[0], "create apprunner/vpc-connector/apron-")
	first := r.settled(out(subnetA, subnetB)).Value("network.egress") // in any order

	done, err = r.apply(out(subnetA), plan.Options{})
	require.NoError(t, err)
	require.Len(t, done, 3)
	require.Equal(t, "update apprunner/service/shop", done[1], "the new one comes before it and the old one goes after it")
	require.Equal(t, "delete "+first, done[2])
	require.NotEqual(t, first, r.settled(out(subnetA)).Value("network.egress"))

	_, err = r.apply(out(), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, "internet", r.settled(out()).Value("network.egress"))
	require.Empty(t, r.connectors())
}

// What is left out is left alone.
func TestConnector_staysWhenTheManifestSaysNothing(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(out(subnetA), plan.Options{})
	require.NoError(t, err)
	r.settled(bare)
	require.Len(t, r.connectors(), 1)
}

func TestConnector_ofSomebodyElseIsUsedAndNeverDeleted(t *testing.T) {
	r := newRig(t, 1, Options{})
	r.connector("theirs", []string{subnetA, subnetB})
	done, err := r.apply(out(subnetB, subnetA), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/service/shop"}, done)
	require.Equal(t, "apprunner/vpc-connector/theirs", r.settled(out(subnetA, subnetB)).Value("network.egress"))
	_, err = r.apply(out(), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"theirs"}, r.connectors())
}

func TestConnector_thatAnotherServiceUsesIsKept(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(out(subnetA), plan.Options{})
	require.NoError(t, err)
	other := with(out(subnetA), func(s *state.Spec) { s.Service = "other" })
	_, err = r.apply(other, plan.Options{})
	require.NoError(t, err)
	require.Len(t, r.connectors(), 1, "it is shared")

	r.api = older{r.api, 2 * time.Hour}
	done, err := r.apply(out(), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"update apprunner/service/shop"}, done)
	p, _, err := r.plan(t.Context(), out(), plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Notes, 1)
	require.Equal(t, "is kept: service other uses it", p.Notes[0].Text)
}

// A manifest that is destroyed wants what it shares to the last, which must not hide who else
// uses it.
func TestBeside_thatAnotherServiceUsesSurvivesADestroy(t *testing.T) {
	r := newRig(t, 1, Options{})
	traced := func(s *state.Spec) { s.Tracing = "xray" }
	spec := with(out(subnetA), traced)
	_, err := r.apply(spec, plan.Options{})
	require.NoError(t, err)
	_, err = r.apply(with(spec, func(s *state.Spec) { s.Service = "other" }), plan.Options{})
	require.NoError(t, err)
	q := reconcile.Query{Users: true, Specs: []state.Spec{spec}}
	for _, d := range Desired(spec, Inputs{}) {
		q.Want = append(q.Want, d.Address)
	}
	live, _, err := r.Observe(t.Context(), q)
	require.NoError(t, err)
	p, err := plan.Build(nil, live, plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Actions, 1)
	require.Equal(t, Service("shop"), p.Actions[0].Target)
}

func TestConnector_thatCameUpSinceThePlanIsUsed(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, want := connectorFor(out(subnetA), nil)
	there := r.connector(want.Address.Name, []string{subnetA}, managed)
	got, err := r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: want.Address, Want: *want}, apply.Env{})
	require.NoError(t, err)
	require.Equal(t, there, got.ID)
}

func TestConnector_lostAnswer(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, want := connectorFor(out(subnetA), nil)
	r.arm(1, true)
	got, err := r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: want.Address, Want: *want}, apply.Env{})
	require.NoError(t, err)
	require.NotEmpty(t, got.ID)
	require.Len(t, r.connectors(), 1)
}

func (o older) ListVpcConnectors(ctx context.Context, in *sdk.ListVpcConnectorsInput, opts ...func(*sdk.Options)) (*sdk.ListVpcConnectorsOutput, error) {
	list, err := o.api.ListVpcConnectors(ctx, in, opts...)
	for i := range list.VpcConnectors {
		list.VpcConnectors[i].CreatedAt = aws.Time(list.VpcConnectors[i].CreatedAt.Add(-o.by))
	}
	return list, err
}

func TestTracing_isSharedAndSwitchedOff(t *testing.T) {
	r := newRig(t, 1, Options{})
	traced := with(bare, func(s *state.Spec) { s.Tracing = "xray" })
	done, err := r.apply(traced, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/observability/apron-xray", "create apprunner/service/shop"}, done)
	require.Equal(t, "apprunner/observability/apron-xray", r.settled(traced).Value("tracing"))
	r.settled(bare)
	other := with(traced, func(s *state.Spec) { s.Service = "other" })
	done, err = r.apply(other, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/service/other"}, done)

	off := with(bare, func(s *state.Spec) { s.Tracing = "none" })
	done, err = r.apply(off, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"update apprunner/service/shop"}, done)
	require.Equal(t, "none", r.settled(off).Value("tracing"))
	other.Tracing = "none"
	_, err = r.apply(other, plan.Options{})
	require.NoError(t, err)
	list, err := r.client.ListObservabilityConfigurations(t.Context(), &sdk.ListObservabilityConfigurationsInput{ObservabilityConfigurationName: aws.String(tracingName)})
	require.NoError(t, err)
	require.Empty(t, list.ObservabilityConfigurationSummaryList)
}

func TestKey_cannotBeChanged(t *testing.T) {
	r := newRig(t, 1, Options{})
	keyed := with(bare, func(s *state.Spec) {
		s.KMSKey = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
	})
	_, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	_, err = r.apply(keyed, plan.Options{})
	require.ErrorContains(t, err, "kms_key cannot be changed once it exists")
	done, err := r.apply(keyed, plan.Options{Replace: true})
	require.NoError(t, err)
	require.Equal(t, []string{"delete apprunner/service/shop", "create apprunner/service/shop"}, done)
	r.settled(keyed)
	r.settled(bare)
}

func TestCommand_cannotBeTakenAway(t *testing.T) {
	r := newRig(t, 1, Options{})
	started := with(bare, func(s *state.Spec) { s.Command = ptr("serve") })
	_, err := r.apply(started, plan.Options{})
	require.NoError(t, err)
	own := with(bare, func(s *state.Spec) { s.Command = ptr("") })
	_, err = r.apply(own, plan.Options{})
	require.ErrorContains(t, err, "command cannot be taken away once it is set")
	_, err = r.apply(own, plan.Options{Replace: true})
	require.NoError(t, err)
	r.settled(own)
}

// Public is red, and only when it becomes so.
func TestPublic_widens(t *testing.T) {
	r := newRig(t, 1, Options{})
	closed := with(bare, func(s *state.Spec) { s.Network = &state.Network{Public: ptr(false)} })
	open := with(bare, func(s *state.Spec) { s.Network = &state.Network{Public: ptr(true), IP: "dual_stack"} })
	_, err := r.apply(closed, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, "false", r.settled(closed).Value("network.public"))
	p, _, err := r.plan(t.Context(), open, plan.Options{})
	require.NoError(t, err)
	require.True(t, p.Actions[0].Widens())
	_, err = r.apply(open, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, "dual_stack", r.settled(open).Value("network.ip"))
	p, _, err = r.plan(t.Context(), closed, plan.Options{})
	require.NoError(t, err)
	require.False(t, p.Actions[0].Widens())
}

// What a manifest leaves out of the network is sent as it is live.
func TestDefine_fillsInTheNetworkFromWhatIsLive(t *testing.T) {
	have := &types.Service{NetworkConfiguration: &types.NetworkConfiguration{
		EgressConfiguration:  &types.EgressConfiguration{EgressType: types.EgressTypeVpc, VpcConnectorArn: aws.String("arn")},
		IngressConfiguration: &types.IngressConfiguration{IsPubliclyAccessible: true}, IpAddressType: types.IpAddressTypeIpv4}}
	d, err := define(state.Resource{Fields: []state.Field{{Path: "network.public", Value: "false"}}}, have, scope)
	require.NoError(t, err)
	require.Equal(t, types.EgressTypeVpc, d.network.EgressConfiguration.EgressType)
	require.Equal(t, types.IpAddressTypeIpv4, d.network.IpAddressType)
	require.False(t, d.network.IngressConfiguration.IsPubliclyAccessible)
	require.True(t, have.NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible, "what was read is not changed")
}

// inside is a manifest of a service that only a VPC reaches.
func inside(endpoint string) state.Spec {
	return with(bare, func(s *state.Spec) {
		s.Network = &state.Network{Public: ptr(false), Ingress: &state.Ingress{VPC: "vpc-0123456789abcdef0", Endpoint: endpoint}}
	})
}

const endpointA, endpointB = "vpce-0123456789abcdef0", "vpce-0123456789abcdef1"

func TestIngress_isMadeChangedAndDeletedWithTheService(t *testing.T) {
	r := newRig(t, 1, Options{})
	done, err := r.apply(inside(endpointA), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/service/shop", "create apprunner/vpc-ingress/shop"}, done)
	r.settled(inside(endpointA))
	done, err = r.apply(with(inside(endpointB), func(s *state.Spec) { s.Tags = map[string]string{"team": "ai"} }), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"update apprunner/service/shop", "update apprunner/vpc-ingress/shop"}, done)
	r.settled(inside(endpointB))

	closed := with(bare, func(s *state.Spec) { s.Network = &state.Network{Public: ptr(false)} })
	r.settled(closed) // what is left out is left alone

	open := with(bare, func(s *state.Spec) { s.Network = &state.Network{Public: ptr(true)} })
	done, err = r.apply(open, plan.Options{})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"update apprunner/service/shop", "delete apprunner/vpc-ingress/shop"}, done)
	r.settled(open)
}

func TestIngress_goesBeforeItsService(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(inside(endpointA), plan.Options{})
	require.NoError(t, err)
	live, _, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("shop")}, Users: true})
	require.NoError(t, err)
	p, err := plan.Build(nil, live, plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Actions, 2)
	require.Equal(t, Ingress("shop"), p.Actions[0].Target)
	for range 2 { // what is gone already is no error
		_, err = apply.Run(t.Context(), p, reconcile.Known(live), r, apply.Options{})
		require.NoError(t, err)
	}
}

func TestIngress_lostAnswer(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(with(inside(endpointA), func(s *state.Spec) { s.Network.Ingress = nil }), plan.Options{})
	require.NoError(t, err)
	r.arm(1, true)
	_, err = r.apply(inside(endpointA), plan.Options{})
	require.NoError(t, err)
	r.settled(inside(endpointA))
}

func TestIngress_ofSomebodyElseIsAdoptedOnlyWhenAsked(t *testing.T) {
	r := newRig(t, 1, Options{})
	closed := with(inside(endpointA), func(s *state.Spec) { s.Network.Ingress = nil })
	_, err := r.apply(closed, plan.Options{})
	require.NoError(t, err)
	_, err = r.client.CreateVpcIngressConnection(t.Context(), &sdk.CreateVpcIngressConnectionInput{VpcIngressConnectionName: aws.String("theirs"),
		ServiceArn:              aws.String(r.settled(closed).ID),
		IngressVpcConfiguration: &types.IngressVpcConfiguration{VpcId: aws.String("vpc-0123456789abcdef0"), VpcEndpointId: aws.String(endpointA)}})
	require.NoError(t, err)
	_, err = r.apply(inside(endpointA), plan.Options{})
	require.ErrorContains(t, err, "apprunner/vpc-ingress/theirs: exists already and was not made by apron")
	_, err = r.apply(inside(endpointA), plan.Options{Adopt: true})
	require.NoError(t, err)
	r.settled(inside(endpointA))
}

// clinging is an App Runner that takes its time to know that nothing uses a connector.
type clinging struct {
	api
	attempts *int
	until    int
}

func (c clinging) DeleteVpcConnector(context.Context, *sdk.DeleteVpcConnectorInput, ...func(*sdk.Options)) (*sdk.DeleteVpcConnectorOutput, error) {
	if *c.attempts++; *c.attempts <= c.until {
		return nil, refused("InvalidRequestException", "Provided VPC connector arn is being used by other services. ARN: x")
	}
	return &sdk.DeleteVpcConnectorOutput{}, nil
}

func TestConnector_isDeletedOnceAppRunnerKnowsThatNothingUsesIt(t *testing.T) {
	for until, fails := range map[int]bool{0: false, 5: false, 1000: true} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			p := provider(newFake(), Options{})
			p.api = clinging{nil, &attempts, until}
			_, err := p.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: Connector("x"), Have: state.Observed{ID: "x"}}, apply.Env{})
			require.Equal(t, fails, err != nil)
			if !fails {
				require.Equal(t, until+1, attempts)
			}
		})
	}
}

func TestTaken_saysTheWayOutOfAGroupThatHasAConnector(t *testing.T) {
	err := taken(&smithy.GenericAPIError{Code: "InvalidRequestException", Message: "The security groups combination provided in the request already exists on existing vpc connector. Existing VPC connector arn: x"})
	var explained *awsapi.Error
	require.ErrorAs(t, err, &explained)
	require.Contains(t, explained.Why, "already exists on existing vpc connector")
	require.Contains(t, explained.Fix, "security group of its own")
	other := &smithy.GenericAPIError{Code: "InvalidRequestException", Message: "The subnet ID 'x' does not exist"}
	require.Equal(t, error(other), taken(other))
}
