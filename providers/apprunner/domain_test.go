package apprunner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// named is a manifest with domains.
func named(domains ...state.Domain) state.Spec {
	return with(bare, func(s *state.Spec) { s.Domains = append([]state.Domain{}, domains...) })
}

func TestDomain_isAssociatedAndItsRecordsAreKnownThen(t *testing.T) {
	r := newRig(t, 1, Options{})
	spec := named(state.Domain{Name: "app.example.com"}, state.Domain{Name: "example.com", WWW: true})
	done, err := r.apply(spec, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"create apprunner/service/shop", "create apprunner/domain/app.example.com", "create apprunner/domain/example.com"}, done)
	service := r.settled(spec)
	domains, err := r.Domains(t.Context(), service.ID)
	require.NoError(t, err)
	require.Len(t, domains, 2)
	app, root := domains[0], domains[1]
	require.Equal(t, Record{Name: "app.example.com", Type: "CNAME", Value: "shop.localhost"}, app.Records[0])
	require.Len(t, app.Records, 3)
	require.Equal(t, "www.example.com", root.Records[1].Name)
	require.Len(t, root.Records, 5)
	for _, record := range root.Records[2:] {
		require.True(t, record.Validation)
		require.Regexp(t, `^_.*\.example\.com$`, record.Name)
		require.Regexp(t, `\.acm-validations\.aws$`, record.Value)
	}
	r.settled(bare) // what is left out is left alone

	done, err = r.apply(named(state.Domain{Name: "app.example.com"}), plan.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"delete apprunner/domain/example.com"}, done)
	_, err = r.apply(named(), plan.Options{})
	require.NoError(t, err)
	domains, err = r.Domains(t.Context(), service.ID)
	require.NoError(t, err)
	require.Empty(t, domains)
}

func TestDomain_isWaitedForWhenAsked(t *testing.T) {
	r := newRig(t, 1, Options{Timeout: 500 * time.Millisecond})
	spec := named(state.Domain{Name: "app.example.com", Wait: true})
	_, err := r.apply(spec, plan.Options{})
	var late *DomainTimeoutError
	require.ErrorAs(t, err, &late, "nobody has added the records")
	require.Len(t, late.Waits, 2)
	require.True(t, late.DeadlineExceeded())
	require.ErrorContains(t, err, "not seen | _")

	_, live, err := r.plan(t.Context(), spec, plan.Options{})
	require.NoError(t, err)
	r.publish(live[Service("shop")])
	r.o.Timeout = 10 * time.Second
	_, err = r.apply(spec, plan.Options{})
	require.NoError(t, err)
	r.settled(spec)
	domains, err := r.Domains(t.Context(), live[Service("shop")].ID)
	require.NoError(t, err)
	require.True(t, domains[0].Validated())
	require.Empty(t, domains[0].pending())
}

func TestDomain_wwwNeedsAnotherAssociation(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(named(state.Domain{Name: "example.com"}), plan.Options{})
	require.NoError(t, err)
	spec := named(state.Domain{Name: "example.com", WWW: true, Wait: true})
	r.publish(r.settled(named(state.Domain{Name: "example.com"})))
	_, err = r.apply(spec, plan.Options{})
	require.ErrorContains(t, err, "www cannot be changed once it exists")
	p, _, err := r.plan(t.Context(), with(spec, func(s *state.Spec) { s.Domains[0].Wait = false }), plan.Options{Replace: true})
	require.NoError(t, err)
	require.Len(t, p.Actions, 2)
	spec.Domains[0].Wait = false
	done, err := r.apply(spec, plan.Options{Replace: true})
	require.NoError(t, err)
	require.Equal(t, []string{"delete apprunner/domain/example.com", "create apprunner/domain/example.com"}, done)
	r.settled(spec)
}

func TestDomain_goesAndComesBackWithAReplacedService(t *testing.T) {
	r := newRig(t, 1, Options{})
	started := with(named(state.Domain{Name: "app.example.com"}), func(s *state.Spec) { s.Command = ptr("serve") })
	_, err := r.apply(started, plan.Options{})
	require.NoError(t, err)
	own := with(started, func(s *state.Spec) { s.Command = ptr("") })
	done, err := r.apply(own, plan.Options{Replace: true})
	require.NoError(t, err)
	require.Equal(t, []string{"delete apprunner/domain/app.example.com", "delete apprunner/service/shop",
		"create apprunner/service/shop", "create apprunner/domain/app.example.com"}, done)
	r.settled(own)
}

func TestDomain_ofAnotherServiceIsNotTaken(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(named(state.Domain{Name: "app.example.com"}), plan.Options{})
	require.NoError(t, err)
	other := with(named(state.Domain{Name: "app.example.com"}), func(s *state.Spec) { s.Service = "other" })
	_, err = r.apply(other, plan.Options{})
	require.ErrorContains(t, err, "already associated with")
}

func TestDomain_lostAnswersMakeNothingTwice(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	spec := named(state.Domain{Name: "app.example.com"})
	r.arm(1, true)
	_, err = r.apply(spec, plan.Options{})
	require.NoError(t, err)
	live := r.settled(spec)
	want := domainsOf(spec)[0]
	have := state.Observed{Resource: want, ID: live.ID}
	for range 2 {
		_, err = r.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: want.Address, Have: have}, apply.Env{})
		require.NoError(t, err)
	}
}

// A domain by hand on apron's service goes when the manifest's list lacks it; on somebody
// else's service nothing does.
func TestDomain_isWhoseTheServiceIs(t *testing.T) {
	r := newRig(t, 1, Options{})
	_, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	arn := r.settled(bare).ID
	_, err = r.client.AssociateCustomDomain(t.Context(), &sdk.AssociateCustomDomainInput{ServiceArn: &arn, DomainName: aws.String("by-hand.example.com")})
	require.NoError(t, err)
	p, _, err := r.plan(t.Context(), named(), plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Actions, 1)
	require.Equal(t, plan.Delete, p.Actions[0].Op)
	_, err = r.client.UntagResource(t.Context(), &sdk.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{tagService}})
	require.NoError(t, err)
	_, live, err := r.plan(t.Context(), named(), plan.Options{Adopt: true})
	require.NoError(t, err)
	require.Equal(t, state.Theirs, live[Domain("by-hand.example.com")].Owner)
}

// slowDNS is an App Runner that never says which records it asks for, or that gave up.
type slowDNS struct {
	api
	status types.CustomDomainAssociationStatus
}

func (s slowDNS) DescribeCustomDomains(context.Context, *sdk.DescribeCustomDomainsInput, ...func(*sdk.Options)) (*sdk.DescribeCustomDomainsOutput, error) {
	return &sdk.DescribeCustomDomainsOutput{DNSTarget: aws.String("x.awsapprunner.com"), VpcDNSTargets: []types.VpcDNSTarget{{DomainName: aws.String("vpce.x.awsapprunner.com.")}},
		CustomDomains: []types.CustomDomain{{DomainName: aws.String("app.example.com"), EnableWWWSubdomain: aws.Bool(false), Status: s.status}}}, nil
}

func (slowDNS) AssociateCustomDomain(context.Context, *sdk.AssociateCustomDomainInput, ...func(*sdk.Options)) (*sdk.AssociateCustomDomainOutput, error) {
	return &sdk.AssociateCustomDomainOutput{}, nil
}

func TestRequired_waitsNoLongerThanForAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(newFake(), Options{})
		p.api = slowDNS{status: "creating"}
		start := time.Now()
		_, err := p.Required(t.Context(), fakeARN, "app.example.com")
		var late *DomainTimeoutError
		require.ErrorAs(t, err, &late)
		require.Equal(t, 35*time.Minute, time.Since(start))
		d, err := p.Required(t.Context(), fakeARN, "other.example.com")
		require.NoError(t, err)
		require.Nil(t, d)
		p.api = slowDNS{status: "create_failed"}
		d, err = p.Required(t.Context(), fakeARN, "app.example.com")
		require.NoError(t, err)
		require.Equal(t, "vpce.x.awsapprunner.com", d.Target, "a service that is not public is reached through its VPC")
	})
}

func TestDomain_thatAppRunnerGaveUpIsAFailureAndAssociatedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(newFake(), Options{})
		p.api = slowDNS{status: "CREATE_FAILED"}
		want := domainsOf(named(state.Domain{Name: "app.example.com", Wait: true}))
		env := apply.Env{Lookup: func(state.Address) (state.Outcome, bool) { return state.Outcome{ID: fakeARN}, true }}
		for _, r := range want {
			_, err := p.Execute(t.Context(), plan.Action{Op: plan.Create, Target: r.Address, Want: r}, env)
			var failed *DomainError
			require.ErrorAs(t, err, &failed)
		}
		o := observedDomain(CustomDomain{Name: "app.example.com", Status: types.CustomDomainAssociationStatusCreateFailed}, Service("shop"), fakeARN)
		o.Owner = state.Ours
		pl, err := plan.Build(state.Desired{o.Address: want[0]}, state.Live{o.Address: o}, plan.Options{})
		require.NoError(t, err)
		require.True(t, pl.Actions[0].Rebuild)
	})
}
