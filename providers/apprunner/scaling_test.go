package apprunner

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// scale makes a scaling configuration of the given name and content.
func (r *rig) scale(name string, most int32, tags ...types.Tag) string {
	r.t.Helper()
	out, err := r.client.CreateAutoScalingConfiguration(r.t.Context(), &sdk.CreateAutoScalingConfigurationInput{
		AutoScalingConfigurationName: &name, MaxSize: &most, MaxConcurrency: aws.Int32(50), Tags: tags})
	require.NoError(r.t, err)
	return *out.AutoScalingConfiguration.AutoScalingConfigurationArn
}

var managed = types.Tag{Key: aws.String(tagManaged), Value: aws.String("true")}

func TestScaling_thatCameUpSinceThePlanIsUsedWhenItIsApronsAndTheSame(t *testing.T) {
	for name, tc := range map[string]struct {
		most  int32
		tags  []types.Tag
		calls []string
	}{
		"apron's and the same": {2, []types.Tag{managed}, nil},
		"somebody else's":      {2, nil, []string{"CreateAutoScalingConfiguration"}},
		"of other content":     {9, []types.Tag{managed}, []string{"CreateAutoScalingConfiguration"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, Options{})
			there := r.scale("apron-1-2-50", tc.most, tc.tags...)
			r.called()
			want := wants(full)[Scaling("apron-1-2-50")]
			out, err := r.Execute(t.Context(), plan.Action{Op: plan.Create, Target: want.Address, Want: want}, apply.Env{})
			require.NoError(t, err)
			require.Equal(t, tc.calls, r.called())
			require.Equal(t, tc.calls == nil, out.ID == there)
		})
	}
}

func TestScaling_ofSomebodyElseIsAdoptedOnlyWhenAsked(t *testing.T) {
	r := newRig(t, 1, Options{})
	r.scale("apron-1-2-50", 2)
	_, err := r.apply(full, plan.Options{})
	require.ErrorContains(t, err, "apprunner/scaling/apron-1-2-50: exists already and was not made by apron")
	_, err = r.apply(full, plan.Options{Adopt: true})
	require.NoError(t, err)
	_, live, err := r.plan(t.Context(), full, plan.Options{})
	require.NoError(t, err)
	require.Equal(t, state.Shared, live[Scaling("apron-1-2-50")].Owner)
	r.settled(full)
}

// older is the real client, in a world that is older.
type older struct {
	api
	by time.Duration
}

func (o older) ListAutoScalingConfigurations(ctx context.Context, in *sdk.ListAutoScalingConfigurationsInput, opts ...func(*sdk.Options)) (*sdk.ListAutoScalingConfigurationsOutput, error) {
	out, err := o.api.ListAutoScalingConfigurations(ctx, in, opts...)
	for i := range out.AutoScalingConfigurationSummaryList {
		s := &out.AutoScalingConfigurationSummaryList[i]
		s.CreatedAt = aws.Time(s.CreatedAt.Add(-o.by))
	}
	return out, err
}

// Another run may have made it a moment ago for a service that comes next.
func TestScaling_thatNobodyUsesIsSweptAfterAnHour(t *testing.T) {
	r := newRig(t, 1, Options{})
	r.scale("apron-1-9-50", 9, managed)
	r.scale("theirs", 9, managed) // of no name of apron's
	q := reconcile.Query{Want: []state.Address{Service("shop")}}
	live, _, err := r.Observe(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, live)

	r.api = older{r.api, 2 * time.Hour}
	live, _, err = r.Observe(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, live, 1)
	done, err := r.apply(bare, plan.Options{})
	require.NoError(t, err)
	require.Contains(t, done, "delete apprunner/scaling/apron-1-9-50")
	require.Empty(t, r.settled(bare).Users)
}

// However fresh it is, and whoever uses it.
func TestScaling_thatIsWantedIsFoundAtOnce(t *testing.T) {
	r := newRig(t, 1, Options{})
	arn := r.scale("apron-1-2-50", 2, managed)
	live, _, err := r.Observe(t.Context(), reconcile.Query{Want: []state.Address{Scaling("apron-1-2-50")}})
	require.NoError(t, err)
	require.Equal(t, arn, live[Scaling("apron-1-2-50")].ID)
	require.Equal(t, state.Shared, live[Scaling("apron-1-2-50")].Owner)
	for path, want := range map[string]string{"min": "1", "max": "2", "concurrency": "50"} {
		require.Equal(t, want, live[Scaling("apron-1-2-50")].Value(path))
	}
}
