package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestExpect(t *testing.T) {
	start := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	op := func(kind types.OperationType, status types.OperationStatus, took time.Duration) types.OperationSummary {
		return types.OperationSummary{Id: aws.String(took.String()), Type: kind, Status: status, StartedAt: &start, EndedAt: aws.Time(start.Add(took))}
	}
	update := types.OperationTypeUpdateService
	done, back := types.OperationStatusSucceeded, types.OperationStatusRollbackSucceeded
	now := types.OperationSummary{Id: aws.String("now"), Type: update, Status: types.OperationStatusInProgress, StartedAt: &start}
	for name, tc := range map[string]struct {
		before         []types.OperationSummary
		kind           types.OperationType
		floor          time.Duration
		sandbox        bool
		usual, longest time.Duration
		basis          string
	}{
		"from the last of its kind":      {before: []types.OperationSummary{op(update, done, 2*time.Minute)}, usual: 2 * time.Minute, longest: 4 * time.Minute, basis: "as the last update took"},
		"from several":                   {before: []types.OperationSummary{op(update, done, 2*time.Minute), op(update, done, 9*time.Minute), op(update, done, 3*time.Minute)}, usual: 3 * time.Minute, longest: 18 * time.Minute, basis: "as the last 3 of this kind took"},
		"not from failures, nor others":  {before: []types.OperationSummary{op(update, back, 20*time.Minute), op(types.OperationTypePauseService, done, time.Second)}, usual: 3 * time.Minute, longest: 8 * time.Minute, basis: "as a rule"},
		"at least its health checks":     {before: []types.OperationSummary{op(update, done, 10*time.Second)}, floor: time.Minute, usual: time.Minute, longest: 2 * time.Minute, basis: "the least that its health checks take"},
		"but not to pause":               {kind: types.OperationTypePauseService, floor: time.Hour, usual: 2 * time.Minute, longest: 5 * time.Minute, basis: "as a rule"},
		"the rule is not a sandbox's":    {sandbox: true},
		"but what it did before is":      {sandbox: true, before: []types.OperationSummary{op(update, done, 4*time.Second)}, usual: 4 * time.Second, longest: 64 * time.Second, basis: "as the last update took"},
		"nothing is known of the unkown": {kind: "NEW_OPERATION"},
	} {
		t.Run(name, func(t *testing.T) {
			o := now
			if tc.kind != "" {
				o.Type = tc.kind
			}
			e := expect(o, append([]types.OperationSummary{o}, tc.before...), tc.floor, !tc.sandbox)
			if tc.basis == "" {
				require.Nil(t, e)
				return
			}
			require.Equal(t, start, e.Since)
			require.Equal(t, tc.usual, e.Usual)
			require.Equal(t, tc.longest, e.Longest)
			require.Equal(t, tc.basis, e.Basis)
			require.Equal(t, RollsOut(o.Type), e.Over != "")
		})
	}
}

func TestHealthFloor_isIntervalTimesThreshold(t *testing.T) {
	r := func(fields ...state.Field) state.Resource { return state.Resource{Fields: state.Sort(fields)} }
	require.Equal(t, 5*time.Second, healthFloor(r()))
	require.Equal(t, 40*time.Second, healthFloor(r(state.Field{Path: "health.interval", Value: "20s"}, state.Field{Path: "health.healthy", Value: "2"})))
	require.Equal(t, 60*time.Second, healthFloor(r(state.Field{Path: "health.interval", Value: "20s"}), r(state.Field{Path: "health.interval", Value: "1s"}, state.Field{Path: "health.healthy", Value: "3"})))
}

// tellings runs an update and returns what was told meanwhile: phases, and lines as "who | line".
func tellings(ctx context.Context, t *testing.T, p *Provider) ([]string, error) {
	t.Helper()
	var said []string
	pl, _ := planned(ctx, t, p, plain(bigger), plan.Options{})
	_, err := p.Execute(ctx, pl.Actions[0], apply.Env{Lookup: known(), Progress: func(p apply.Progress) {
		text := p.Phase
		if p.Source != "" {
			text = p.Source + " | " + p.Line
		} else if p.Expect != nil {
			text += fmt.Sprintf(", about %s %s", p.Expect.Usual, p.Expect.Basis)
		}
		if len(said) == 0 || said[len(said)-1] != text {
			said = append(said, text)
		}
	}})
	return said, err
}

func TestWatch_showsWhatIsSaidMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		learn func(context.Context) error
		logs  error
		want  []string
	}{
		"masked": {want: []string{"app runner | Pulling image.", "application | token is (sensitive)", "application | second line"}},
		"but the application only if its secrets are known": {learn: func(context.Context) error { return errors.New("no") },
			want: []string{"app runner | Pulling image.", "apron | the application's lines are not shown, because its secrets cannot be masked: no"}},
		"and nothing where the logs cannot be read": {logs: refused("AccessDeniedException", "no")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := running(t)
				if tc.logs != nil {
					p.logs = mute{tc.logs}
				}
				p.o.Learn = tc.learn
				f.says = map[string][]string{"service": {"[AppRunner] Pulling image."}, "application": {"token is " + topSecret + "\nsecond line"}}
				said, err := tellings(t.Context(), t, p)
				require.NoError(t, err)
				want := []string{"updating", "waiting for App Runner to begin", "rolling out, about 3m0s as a rule"}
				if len(tc.want) > 0 {
					want = append(append(want, tc.want...), "rolling out, about 3m0s as a rule")
				}
				require.Equal(t, append(want, "rolled out", "asking https://x.us-east-1.awsapprunner.com"), said)
			})
		})
	}
}

// A new version that takes over the traffic may print without end.
func TestWatch_endsAFloodOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		for i := range 3 * maxLines {
			f.says["application"] = append(f.says["application"], fmt.Sprint(i))
		}
		said, err := tellings(t.Context(), t, p)
		require.NoError(t, err)
		require.Contains(t, said, "application | 99")
		require.NotContains(t, said, "application | 100")
		i := slices.Index(said, "apron | the application goes on: see `apron logs -f`")
		require.Equal(t, "application | 99", said[i-1])
	})
}

func TestWait_interruptedSaysWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := running(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("interrupted")
		time.AfterFunc(time.Minute, func() { cancel(stop) })
		_, err := tellings(ctx, t, p)
		var left *LeftError
		require.ErrorAs(t, err, &left)
		require.ErrorIs(t, err, stop)
		require.Contains(t, left.Error(), `service "web": its update 00000000-0000-0000-0000-000000000002 goes on in AWS`)
		require.Contains(t, left.Hint(), "apron status --wait")
	})
}

// The streams, the texts and the order are the emulator's own.
func TestSandbox_showsWhatIsSaidMeanwhile(t *testing.T) {
	r := newRig(t, 1, Options{Look: time.Millisecond, Rehearsal: true})
	p, live, err := r.plan(t.Context(), bare, plan.Options{})
	require.NoError(t, err)
	var said []string
	var mu sync.Mutex
	r.faults.Stick("shop", true) // until something is said: else it could be over before
	_, err = apply.Run(t.Context(), p, reconcile.Known(live), r, apply.Options{Progress: func(p apply.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Source != "" {
			r.faults.Stick("shop", false)
			said = append(said, p.Source+" | "+p.Line)
		}
	}})
	require.NoError(t, err)
	for _, want := range []string{"app runner | Service creation started.", "app runner | Successfully pulled your application image from ECR.",
		"application | started", "app runner | Service creation completed successfully."} {
		require.Contains(t, said, want)
	}
	slices.Sort(said)
	lines := len(said)
	require.Len(t, slices.Compact(said), lines, "each once")
}
