package main

import (
	"context"
	"fmt"
	"time"

	cwsdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/cloudwatch"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) metricsCommand() *cobra.Command {
	var since string
	var period time.Duration
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "Plot requests, latency, CPU and memory, and say whether they are normal",
		Long: "metrics reads what App Runner publishes of the service in CloudWatch: Requests, the\n" +
			"responses by status, RequestLatency, Concurrency, ActiveInstances, CPUUtilization and\n" +
			"MemoryUtilization. It says what is normal, and which setting to change when it is not.\n" +
			"See also: apron docs metrics",
		Example: "  apron metrics\n  apron metrics --since 24h\n  apron metrics --since 7d --period 1h --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := metricsSince(since, now)
			if err == nil && period == 0 {
				period = cloudwatch.Period(from, now, plotPoints)
			}
			if err == nil {
				err = checkPeriod(period, from, now)
			}
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runMetrics(cmd.Context(), from, now, period)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "how far back: a duration such as 3h or 7d, or a time as RFC 3339 (default 1h)")
	cmd.Flags().DurationVar(&period, "period", 0, "what a point covers, in whole minutes (default as fine as fits a plot)")
	return cmd
}

// plotPoints is how many points a plot gets unless it is told.
const plotPoints = 90

func metricsSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		text = "1h"
	}
	return sinceTime(text, now)
}

// maxPoints is how many points CloudWatch returns at once; more are pages without end.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
const maxPoints = 100_800

// checkPeriod finds what CloudWatch would refuse, or answer without data.
func checkPeriod(period time.Duration, since, now time.Time) error {
	least := cloudwatch.Period(since, now, maxPoints)
	switch {
	case !since.Before(now):
		return fmt.Errorf("--since %s: is not in the past", since.Format(time.RFC3339))
	case period < time.Minute || period%time.Minute != 0:
		return fmt.Errorf("--period %s: must be whole minutes: App Runner measures once a minute", period)
	case period%least != 0:
		return fmt.Errorf("--period %s: so long ago CloudWatch keeps points of %s only", period, least)
	}
	return nil
}

func (a *app) runMetrics(ctx context.Context, since, until time.Time, period time.Duration) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{})
	f, err := s.services(ctx, w)
	if err != nil {
		return err
	}
	since, until = since.Truncate(period), until.Truncate(time.Minute).Add(time.Minute)
	reader := cloudwatch.New(cwsdk.NewFromConfig(s.cfg))
	var all []render.ServiceMetrics
	for _, spec := range s.specs {
		o, ok := f[serviceAddress(spec)]
		if !ok {
			return &absentError{spec.Service}
		}
		detail, _ := o.Detail.(apprunner.Live)
		results, err := reader.Read(ctx, cloudwatch.Query{Service: spec.Service, ID: detail.ID, Since: since, Until: until, Period: period})
		if err != nil {
			return interruptible(ctx, err)
		}
		all = append(all, metricsOf(spec.Service, o, results, settingsOf(f, o)))
	}
	return a.write(render.NewMetrics(s.id.Account, s.cfg.Region, since, until, period, all))
}

// metricsOf is the view of one service.
func metricsOf(service string, o state.Observed, results []cloudwatch.Result, now cloudwatch.Setting) render.ServiceMetrics {
	v := render.ServiceMetrics{Service: service}
	any := false
	for _, r := range results {
		line := render.Series{Metric: r.Metric, Statistic: r.Statistic, Unit: r.Unit}
		for _, p := range r.Points {
			line.Points = append(line.Points, render.Point{Time: p.At, Value: p.Value})
			any = true
		}
		v.Series = append(v.Series, line)
	}
	switch {
	case o.Phase == state.Paused:
		v.Note = "the service is paused: nothing is measured meanwhile"
	case !any:
		v.Note = "CloudWatch has nothing of this time: metrics arrive some minutes late, and those of requests only when there are some"
	}
	for _, f := range cloudwatch.Judge(results, now) {
		v.Findings = append(v.Findings, render.Finding{Metric: f.Metric, Level: string(f.Level), Text: f.Text, Fix: f.Fix})
	}
	return v
}

// settingsOf is what advice names: the keys of the manifest and what they are live.
func settingsOf(live state.Live, o state.Observed) cloudwatch.Setting {
	now := cloudwatch.Setting{"cpu": o.Value("cpu")}
	if m := o.Value("memory"); m != "" {
		now["memory"] = m + " MiB"
	}
	if addr, err := state.ParseAddress(o.Value("scaling")); err == nil {
		now["scaling.concurrency"], now["scaling.max"] = live[addr].Value("concurrency"), live[addr].Value("max")
	}
	return now
}
