package apprunner

import (
	"context"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// blind is an App Runner that lets nobody describe what a text is part of the ARN of.
type blind struct {
	api
	part string
}

func (b blind) DescribeService(ctx context.Context, in *sdk.DescribeServiceInput, o ...func(*sdk.Options)) (*sdk.DescribeServiceOutput, error) {
	if strings.Contains(*in.ServiceArn, b.part) {
		return nil, refused("AccessDeniedException", "not this one")
	}
	return b.api.DescribeService(ctx, in, o...)
}

func (b blind) DescribeAutoScalingConfiguration(ctx context.Context, in *sdk.DescribeAutoScalingConfigurationInput, o ...func(*sdk.Options)) (*sdk.DescribeAutoScalingConfigurationOutput, error) {
	if strings.Contains(*in.AutoScalingConfigurationArn, b.part) {
		return nil, refused("AccessDeniedException", "not this one")
	}
	return b.api.DescribeAutoScalingConfiguration(ctx, in, o...)
}

// TestObserve_saysWhatCannotBeRead and reads the rest. What nobody asks for is left alone, and
// a service that cannot be read may use everything.
func TestObserve_saysWhatCannotBeRead(t *testing.T) {
	r := newRig(t, 1, Options{})
	scaled := func(s *state.Spec) { s.Scaling = &state.Scaling{Min: ptr(1), Max: ptr(3), Concurrency: ptr(70)} }
	_, err := r.apply(with(out(subnetA), scaled), plan.Options{})
	require.NoError(t, err)
	other := with(bare, func(s *state.Spec) { s.Service = "other" })
	_, err = r.apply(other, plan.Options{})
	require.NoError(t, err)
	whole := r.api

	r.api = blind{whole, "/other/"}
	_, _, err = r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("shop"), Service("other")}})
	unread, ok := reconcile.Unread(err)
	require.True(t, ok, "%v", err)
	require.Len(t, unread, 1)
	require.Equal(t, Service("other"), unread[0].Target)
	require.ErrorContains(t, err, "/other/")
	require.ErrorContains(t, err, ": describe: AccessDeniedException: not this one")
	_, err = r.Deployed(t.Context())
	require.ErrorContains(t, err, "not this one", "who counts on all of them must have all")

	r.api = older{r.api, 2 * time.Hour}
	p, _, err := r.plan(t.Context(), with(out(), scaled), plan.Options{})
	require.NoError(t, err)
	require.Len(t, p.Actions, 1)
	require.Equal(t, Service("shop"), p.Actions[0].Target)
	require.Len(t, p.Notes, 1)
	require.Equal(t, "is kept: service other (which cannot be read) uses it", p.Notes[0].Text)

	name := Scaling("apron-1-3-70")
	r.api = blind{whole, "/" + name.Name + "/"}
	_, _, err = r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("shop"), name}})
	unread, ok = reconcile.Unread(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, name, unread[0].Target)
	live, notes, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Service("shop")}})
	require.NoError(t, err)
	require.NotContains(t, live, name)
	require.Len(t, notes, 1)
	require.Equal(t, name, notes[0].Target)
	require.True(t, notes[0].Warning)
	require.Contains(t, notes[0].Text, "cannot be read, and is left as it is: arn:aws:apprunner:")
	_, err = r.Whole(t.Context(), live[Service("shop")].ID)
	require.ErrorContains(t, err, "not this one", "an import leaves nothing out")
}
