// Package cloudwatch reads what App Runner measures of a service, and judges it.
//
// App Runner publishes nine metrics a minute in the namespace AWS/AppRunner, under two
// dimensions that belong together: ServiceName and ServiceID. There is none for the
// instances that wait, for cold starts, or for requests that were turned away.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cw.html
package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

const namespace = "AWS/AppRunner"

// The names of the metrics.
const (
	Requests        = "Requests"
	Status2xx       = "2xxStatusResponses"
	Status4xx       = "4xxStatusResponses"
	Status5xx       = "5xxStatusResponses"
	Latency         = "RequestLatency"
	ActiveInstances = "ActiveInstances" // that served requests: 0 means no requests
	Concurrency     = "Concurrency"
	CPU             = "CPUUtilization"    // percent of what is reserved
	Memory          = "MemoryUtilization" // percent of what is reserved
)

// Statistics of CloudWatch.
const (
	Sum     = "Sum"
	Average = "Average"
	Maximum = "Maximum"
	P95     = "p95"
)

// Series names what is read: a metric in a statistic.
type Series struct{ Metric, Statistic, Unit string }

// All is what there is to read of a service, in the order to show it.
var All = []Series{
	{Requests, Sum, "requests"},
	{Status2xx, Sum, "responses"},
	{Status4xx, Sum, "responses"},
	{Status5xx, Sum, "responses"},
	{Latency, Average, "ms"},
	{Latency, P95, "ms"},
	{Concurrency, Average, "requests at once"},
	{Concurrency, Maximum, "requests at once"},
	{ActiveInstances, Maximum, "instances"},
	{CPU, Average, "%"},
	{CPU, Maximum, "%"},
	{Memory, Average, "%"},
	{Memory, Maximum, "%"},
}

// Point is a value over the period that starts at At.
type Point struct {
	At    time.Time
	Value float64
}

// Result is a series that was read, its points in order of time. A period without data
// has no point.
type Result struct {
	Series
	Points []Point
}

// api is the part of the SDK's client that this package calls.
type api interface {
	GetMetricData(context.Context, *sdk.GetMetricDataInput, ...func(*sdk.Options)) (*sdk.GetMetricDataOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Reader reads metrics.
type Reader struct{ api api }

// New returns a reader that calls CloudWatch through client, an [sdk.Client].
func New(client api) *Reader { return &Reader{client} }

// Query says what to read.
type Query struct {
	Service, ID  string // of App Runner
	Since, Until time.Time
	Period       time.Duration // a multiple of a minute
	Series       []Series      // nil is [All]
}

// Period is the shortest time for which CloudWatch still has points since some time, and
// that divides the time until now into at most so many. Points of a minute are kept for
// fifteen days, those of five minutes for 63, and those of an hour for fifteen months.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
func Period(since, now time.Time, points int) time.Duration {
	const day = 24 * time.Hour
	span := now.Sub(since)
	step := time.Minute
	switch {
	case span > 63*day:
		step = time.Hour
	case span > 15*day:
		step = 5 * time.Minute
	}
	n := max((span+time.Duration(points)*step-1)/(time.Duration(points)*step), 1)
	return n * step
}

// Read reads series of a service. Those without a point are in the result, too.
func (r *Reader) Read(ctx context.Context, q Query) ([]Result, error) {
	if q.Series == nil {
		q.Series = All
	}
	in := &sdk.GetMetricDataInput{StartTime: &q.Since, EndTime: &q.Until, ScanBy: types.ScanByTimestampAscending}
	byID := map[string]*Result{}
	results := make([]Result, len(q.Series))
	for i, s := range q.Series {
		results[i].Series = s
		id := fmt.Sprintf("m%d", i)
		byID[id] = &results[i]
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: &id, ReturnData: aws.Bool(true), MetricStat: &types.MetricStat{
			Stat: &s.Statistic, Period: aws.Int32(int32(q.Period / time.Second)),
			Metric: &types.Metric{Namespace: aws.String(namespace), MetricName: &s.Metric, Dimensions: []types.Dimension{
				{Name: aws.String("ServiceName"), Value: &q.Service}, {Name: aws.String("ServiceID"), Value: &q.ID}}},
		}})
	}
	pages := sdk.NewGetMetricDataPaginator(r.api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("service %q: read its metrics: %w", q.Service, awsapi.Explain(err))
		}
		for _, got := range page.MetricDataResults {
			into := byID[aws.ToString(got.Id)]
			if into == nil {
				continue
			}
			switch got.StatusCode {
			case types.StatusCodeComplete, types.StatusCodePartialData, "":
			default:
				return nil, fmt.Errorf("service %q: read %s: CloudWatch answers %s", q.Service, into.Metric, got.StatusCode)
			}
			for i := range min(len(got.Timestamps), len(got.Values)) {
				into.Points = append(into.Points, Point{got.Timestamps[i].UTC(), got.Values[i]})
			}
		}
	}
	for i := range results {
		slices.SortStableFunc(results[i].Points, func(a, b Point) int { return a.At.Compare(b.At) })
	}
	return results, nil
}
