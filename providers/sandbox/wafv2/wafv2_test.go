package wafv2_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wafv2"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

const service = "arn:aws:apprunner:us-east-1:123456789012:service/web/0123456789abcdef0123456789abcdef"

// world is WAF behind the real SDK, beside one App Runner service with the status.
type world struct {
	*testing.T
	dir    string
	now    time.Time
	status string
	client *sdk.Client
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), status: "RUNNING"}
	w.open()
	return w
}

func (w *world) open() {
	st, err := store.Open(w.dir)
	require.NoError(w, err)
	s, err := wafv2.New(wafv2.Options{Store: st, Account: wiretest.Account, Region: wiretest.Region, Now: func() time.Time { return w.now },
		Status: func(arn string) (string, bool) { return w.status, arn == service }})
	require.NoError(w, err)
	w.client = sdk.NewFromConfig(wiretest.Config(w, func(m *wire.Mux) { m.Add(s.API()) }))
}

func (w *world) create(name string, adjust ...func(*sdk.CreateWebACLInput)) (*types.WebACLSummary, error) {
	visibility := &types.VisibilityConfig{MetricName: &name}
	in := &sdk.CreateWebACLInput{Name: &name, Scope: types.ScopeRegional, DefaultAction: &types.DefaultAction{Allow: &types.AllowAction{}}, VisibilityConfig: visibility,
		Rules: []types.Rule{{Name: aws.String("limit"), Priority: 1, Action: &types.RuleAction{Block: &types.BlockAction{}}, VisibilityConfig: visibility,
			Statement: &types.Statement{RateBasedStatement: &types.RateBasedStatement{AggregateKeyType: "IP", Limit: aws.Int64(100)}}}}}
	for _, f := range adjust {
		f(in)
	}
	out, err := w.client.CreateWebACL(w.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.Summary, nil
}

func (w *world) associate(acl, resource string) error {
	_, err := w.client.AssociateWebACL(w.Context(), &sdk.AssociateWebACLInput{WebACLArn: &acl, ResourceArn: &resource})
	return err
}

// of is the name of the service's web ACL, "" if it has none.
func (w *world) of() (string, error) {
	out, err := w.client.GetWebACLForResource(w.Context(), &sdk.GetWebACLForResourceInput{ResourceArn: aws.String(service)})
	if err != nil || out.WebACL == nil {
		return "", err
	}
	return *out.WebACL.Name, nil
}

func TestWebACL_comesBackAsItWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made, err := w.create("front", func(in *sdk.CreateWebACLInput) { in.Description = aws.String("the front door") })
	require.NoError(t, err)
	require.Equal(t, "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/front/"+*made.Id, *made.ARN)
	w.open()
	got, err := w.client.GetWebACL(t.Context(), &sdk.GetWebACLInput{Name: made.Name, Id: made.Id, Scope: types.ScopeRegional})
	require.NoError(t, err)
	require.Equal(t, *made.LockToken, *got.LockToken)
	require.Equal(t, "the front door", *got.WebACL.Description)
	require.NotNil(t, got.WebACL.DefaultAction.Allow)
	require.Equal(t, int64(100), *got.WebACL.Rules[0].Statement.RateBasedStatement.Limit)
	_, err = w.create("back")
	require.NoError(t, err)
	page, err := w.client.ListWebACLs(t.Context(), &sdk.ListWebACLsInput{Scope: types.ScopeRegional, Limit: aws.Int32(1)})
	require.NoError(t, err)
	rest, err := w.client.ListWebACLs(t.Context(), &sdk.ListWebACLsInput{Scope: types.ScopeRegional, NextMarker: page.NextMarker})
	require.NoError(t, err)
	require.Equal(t, "back front", *page.WebACLs[0].Name+" "+*rest.WebACLs[0].Name)

	for code, adjust := range map[string]func(*sdk.CreateWebACLInput){
		"WAFDuplicateItemException":    func(*sdk.CreateWebACLInput) {},
		"WAFInvalidParameterException": func(in *sdk.CreateWebACLInput) { in.DefaultAction.Block = &types.BlockAction{} },
		"ValidationException":          func(in *sdk.CreateWebACLInput) { in.Name = aws.String("no spaces") },
	} {
		_, err = w.create("front", adjust)
		wiretest.Refused(t, err, code, "")
	}
}

func TestAssociation_belongsToAServiceThatIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made, err := w.create("front")
	require.NoError(t, err)
	wiretest.Refused(t, w.associate(*made.ARN, service), "WAFUnavailableEntityException", "Retry your request.")
	w.now = w.now.Add(wafv2.DefaultPropagation)
	name, err := w.of()
	require.NoError(t, err)
	require.Empty(t, name)
	require.NoError(t, w.associate(*made.ARN, service))
	w.open()
	name, err = w.of()
	require.NoError(t, err)
	require.Equal(t, "front", name)
	for kind, want := range map[types.ResourceType][]string{"": {}, types.ResourceTypeAppRunnerService: {service}} {
		of, err := w.client.ListResourcesForWebACL(t.Context(), &sdk.ListResourcesForWebACLInput{WebACLArn: made.ARN, ResourceType: kind})
		require.NoError(t, err)
		require.Equal(t, want, of.ResourceArns)
	}
	remove := &sdk.DeleteWebACLInput{Name: made.Name, Id: made.Id, LockToken: made.LockToken, Scope: types.ScopeRegional}
	_, err = w.client.DeleteWebACL(t.Context(), remove)
	wiretest.Refused(t, err, "WAFAssociatedItemException", "")

	wiretest.Refused(t, w.associate(*made.ARN, service+"0"), "WAFNonexistentItemException", "")
	wiretest.Refused(t, w.associate(*made.ARN+"0", service), "WAFNonexistentItemException", "")
	wiretest.Refused(t, w.associate(*made.ARN, "arn:aws:s3:::a-bucket-of-mine"), "WAFInvalidParameterException", "RESOURCE_ARN")
	for _, w.status = range []string{"CREATE_FAILED", "DELETE_FAILED", "DELETED"} {
		_, err = w.of()
		wiretest.Refused(t, err, "WAFNonexistentItemException", "")
	}
	w.status = "PAUSED"
	_, err = w.client.DisassociateWebACL(t.Context(), &sdk.DisassociateWebACLInput{ResourceArn: aws.String(service)})
	require.NoError(t, err)
	name, err = w.of()
	require.NoError(t, err)
	require.Empty(t, name)
	_, err = w.client.DeleteWebACL(t.Context(), remove)
	require.NoError(t, err)
}
