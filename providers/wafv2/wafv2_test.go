package wafv2

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	emulator "github.com/apron-deploy/apron/providers/sandbox/wafv2"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const service = "arn:aws:apprunner:us-east-1:123456789012:service/web/0123456789abcdef0123456789abcdef"

var web = state.Address{Target: "apprunner", Kind: "service", Name: "web"}

func arns(_ context.Context, names []string) (map[string]string, error) {
	return map[string]string{"web": service}, nil
}

func client(t *testing.T) *sdk.Client {
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	waf, err := emulator.New(emulator.Options{Store: disk, Account: "123456789012", Region: "us-east-1", Propagation: -1,
		Status: func(arn string) (string, bool) { return "RUNNING", arn == service }})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: &wire.Verifier{
		Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now}})
	mux.Add(waf.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")})
}

func acl(t *testing.T, c *sdk.Client, name string) string {
	out, err := c.CreateWebACL(t.Context(), &sdk.CreateWebACLInput{Name: &name, Scope: types.ScopeRegional,
		DefaultAction:    &types.DefaultAction{Allow: &types.AllowAction{}},
		VisibilityConfig: &types.VisibilityConfig{MetricName: &name}})
	require.NoError(t, err)
	return *out.Summary.ARN
}

// converge observes, plans and applies, and returns what was done.
func converge(t *testing.T, p *Provider, spec state.Spec) []plan.ID {
	t.Helper()
	live, _, err := p.Observe(t.Context(), reconcile.Query{Specs: []state.Spec{spec}})
	require.NoError(t, err)
	served := state.Resource{Address: web}
	live[web] = state.Observed{Resource: served, ID: service, Owner: state.Ours, Phase: state.Ready}
	d := state.Desired{web: served}
	for _, r := range Desired(spec, web) {
		d[r.Address] = r
	}
	pl, err := plan.Build(d, live, plan.Options{})
	require.NoError(t, err)
	var ids []plan.ID
	for _, a := range pl.Actions {
		ids = append(ids, a.ID)
	}
	_, err = apply.Run(t.Context(), pl, reconcile.Known(live), p, apply.Options{})
	require.NoError(t, err)
	return ids
}

func TestSandbox_agreesOnTheLifeOfAnAssociation(t *testing.T) {
	c := client(t)
	one, two := acl(t, c, "one"), acl(t, c, "two")
	p := New(c, Options{ARNs: arns})
	for _, step := range []struct {
		acl  string
		does []plan.ID
	}{
		{"", nil},
		{None, nil},
		{one, []plan.ID{"create wafv2/association/web"}},
		{one, nil},
		{"", nil}, // left out is left alone
		{two, []plan.ID{"update wafv2/association/web"}},
		{two, nil},
		{None, []plan.ID{"delete wafv2/association/web"}},
		{None, nil},
	} {
		require.Equal(t, step.does, converge(t, p, state.Spec{Service: "web", WebACL: step.acl}), "web_acl: %s", step.acl)
	}
}

func TestObserve_theWebACLOfAServiceOfSomebodyElseStays(t *testing.T) {
	c := client(t)
	p := New(c, Options{ARNs: arns})
	spec := state.Spec{Service: "web", WebACL: acl(t, c, "one")}
	converge(t, p, spec)
	for owner, deletes := range map[state.Owner]int{state.Ours: 2, state.Theirs: 0} {
		live, _, err := p.Observe(t.Context(), reconcile.Query{Specs: []state.Spec{spec}})
		require.NoError(t, err)
		live[web] = state.Observed{Resource: state.Resource{Address: web}, ID: service, Owner: owner, Phase: state.Ready}
		pl, err := plan.Build(nil, live, plan.Options{})
		require.NoError(t, err)
		require.Len(t, pl.Actions, deletes, "destroy of a service that is %s", owner)
	}
}

func TestAssociate_saysWhatIsWrong(t *testing.T) {
	p := New(client(t), Options{ARNs: arns})
	want := Desired(state.Spec{Service: "web", WebACL: "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/gone/01234567-89ab-cdef-0123-456789abcdef"}, web)[0]
	a := plan.Action{Op: plan.Create, Target: want.Address, Want: want}
	_, err := p.Execute(t.Context(), a, apply.Env{Lookup: func(state.Address) (state.Outcome, bool) { return state.Outcome{ID: service}, true }})
	require.ErrorContains(t, err, `web ACL of service "web": create: `)
	var hinted interface{ Hint() string }
	require.ErrorAs(t, err, &hinted)
	require.Contains(t, hinted.Hint(), "does not exist in this Region")
	_, err = p.Execute(t.Context(), a, apply.Env{Lookup: func(state.Address) (state.Outcome, bool) { return state.Outcome{}, false }})
	require.ErrorContains(t, err, "apprunner/service/web is not known")
}

// slow knows a web ACL only after some attempts.
type slow struct {
	api
	attempts, after int
	looks, unseen   int // and shows it only after some looks
}

func (s *slow) AssociateWebACL(context.Context, *sdk.AssociateWebACLInput, ...func(*sdk.Options)) (*sdk.AssociateWebACLOutput, error) {
	if s.attempts++; s.attempts <= s.after {
		return nil, &smithy.GenericAPIError{Code: "WAFUnavailableEntityException", Message: "Retry your request."}
	}
	return &sdk.AssociateWebACLOutput{}, nil
}

func (s *slow) GetWebACLForResource(context.Context, *sdk.GetWebACLForResourceInput, ...func(*sdk.Options)) (*sdk.GetWebACLForResourceOutput, error) {
	if s.looks++; s.looks <= s.unseen {
		return &sdk.GetWebACLForResourceOutput{}, nil
	}
	return &sdk.GetWebACLForResourceOutput{WebACL: &types.WebACL{ARN: aws.String("acl")}}, nil
}

func TestAssociate_waitsForANewWebACL(t *testing.T) {
	for s, fails := range map[slow]bool{{after: 3}: false, {after: 1000}: true, {unseen: 3}: false, {unseen: 1000}: true} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := New(&s, Options{}).associate(t.Context(), service, "acl", func(string) {})
			require.Equal(t, fails, err != nil)
			require.Less(t, time.Since(start), 6*time.Minute)
		})
	}
}
