package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/cloudwatch"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestMetrics_refusesWhatCloudWatchWould(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for name, tc := range map[string]struct {
		back, period time.Duration
		err          string
	}{
		"a minute":                   {back: time.Hour, period: time.Minute},
		"half a minute":              {back: time.Hour, period: 30 * time.Second, err: "--period 30s: must be whole minutes"},
		"a minute and a half":        {back: time.Hour, period: 90 * time.Second, err: "must be whole minutes"},
		"the future":                 {back: -time.Hour, period: time.Minute, err: "is not in the past"},
		"minutes of long ago":        {back: 20 * day, period: time.Minute, err: "--period 1m0s: so long ago CloudWatch keeps points of 5m0s only"},
		"five minutes of long ago":   {back: 20 * day, period: 5 * time.Minute},
		"ten minutes of months ago":  {back: 70 * day, period: 10 * time.Minute, err: "keeps points of 1h0m0s only"},
		"what it chooses for itself": {back: 70 * day, period: cloudwatch.Period(now.Add(-70*day), now, plotPoints)},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkPeriod(tc.period, now.Add(-tc.back), now)
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.err)
		})
	}
}

func TestSince_isADurationOrATime(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": now.Add(-15 * time.Minute), "90s": now.Add(-90 * time.Second), "2d": now.Add(-48 * time.Hour), "1.5d": now.Add(-36 * time.Hour),
		"2026-11-25": time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), "2026-11-26T13:00:00+02:00": now.Add(-time.Hour),
	} {
		got, err := sinceTime(text, now)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	for _, text := range []string{"yesterday", "15", "-5m", "0m", "d", "1w"} {
		_, err := sinceTime(text, now)
		require.ErrorContains(t, err, "--since", text)
	}
}

func TestMetrics_adviceNamesWhatIsLive(t *testing.T) {
	scaling := apprunner.Scaling("apron-1-3-80")
	live := state.Live{scaling: {Resource: state.Resource{Address: scaling, Fields: []state.Field{{Path: "concurrency", Value: "80"}, {Path: "max", Value: "3"}}}}}
	o := state.Observed{Phase: state.Paused, Resource: state.Resource{Fields: []state.Field{{Path: "cpu", Value: "256"}, {Path: "memory", Value: "512"},
		{Path: "scaling", Value: scaling.String(), Ref: true}}}}
	require.Equal(t, cloudwatch.Setting{"cpu": "256", "memory": "512 MiB", "scaling.concurrency": "80", "scaling.max": "3"}, settingsOf(live, o))
	v := metricsOf("web", o, nil, nil)
	require.Contains(t, v.Note, "is paused")
	o.Phase = state.Ready
	v = metricsOf("web", o, []cloudwatch.Result{{Series: cloudwatch.All[0]}}, nil)
	require.Contains(t, v.Note, "CloudWatch has nothing of this time")
	v = metricsOf("web", o, []cloudwatch.Result{{Series: cloudwatch.All[0], Points: []cloudwatch.Point{{At: time.Now(), Value: 1}}}}, nil)
	require.Empty(t, v.Note)
	require.Len(t, v.Series[0].Points, 1)
	require.Equal(t, "normal", v.Findings[0].Level)
}
