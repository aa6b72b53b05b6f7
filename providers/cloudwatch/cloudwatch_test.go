package cloudwatch

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// gauge is a CloudWatch that answers each metric with its points, one a page, and
// nothing where the dimensions are not App Runner's.
type gauge struct {
	points map[string][]Point // metric and statistic
	status types.StatusCode
	err    error
	asked  []*sdk.GetMetricDataInput
}

func (g *gauge) GetMetricData(_ context.Context, in *sdk.GetMetricDataInput, _ ...func(*sdk.Options)) (*sdk.GetMetricDataOutput, error) {
	g.asked = append(g.asked, in)
	if g.err != nil {
		return nil, g.err
	}
	n := 0
	if in.NextToken != nil {
		var err error
		if n, err = strconv.Atoi(*in.NextToken); err != nil {
			return nil, err
		}
	}
	out, more := &sdk.GetMetricDataOutput{}, false
	for _, q := range in.MetricDataQueries {
		d := q.MetricStat.Metric.Dimensions
		if *q.MetricStat.Metric.Namespace != "AWS/AppRunner" || len(d) != 2 || *d[0].Name != "ServiceName" || *d[1].Name != "ServiceID" {
			continue
		}
		all := g.points[*q.MetricStat.Metric.MetricName+" "+*q.MetricStat.Stat]
		res := types.MetricDataResult{Id: q.Id, StatusCode: g.status}
		if n < len(all) {
			res.Timestamps, res.Values = []time.Time{all[n].At}, []float64{all[n].Value}
			more = more || n+1 < len(all)
		}
		out.MetricDataResults = append(out.MetricDataResults, res)
	}
	if more {
		out.NextToken = aws.String(strconv.Itoa(n + 1))
	}
	return out, nil
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func at(minutes int, v float64) Point {
	return Point{noon.Add(time.Duration(minutes) * time.Minute), v}
}

func TestRead_joinsPages(t *testing.T) {
	g := &gauge{points: map[string][]Point{"Requests Sum": {at(0, 1), at(2, 3), at(1, 2)}, "RequestLatency p95": {at(0, 250)}}}
	got, err := New(g).Read(t.Context(), Query{Service: "web", ID: "0123", Since: noon, Until: noon.Add(time.Hour), Period: 5 * time.Minute})
	require.NoError(t, err)
	require.Len(t, got, len(All))
	require.Equal(t, []Point{at(0, 1), at(1, 2), at(2, 3)}, find(got, Requests, Sum))
	require.Equal(t, []Point{at(0, 250)}, find(got, Latency, P95))
	require.Empty(t, find(got, CPU, Average))
	in := g.asked[0]
	require.EqualValues(t, 300, *in.MetricDataQueries[0].MetricStat.Period)
	require.Equal(t, "web", *in.MetricDataQueries[0].MetricStat.Metric.Dimensions[0].Value)
	require.Equal(t, "0123", *in.MetricDataQueries[0].MetricStat.Metric.Dimensions[1].Value)
}

func TestRead_saysWhatCannotBeRead(t *testing.T) {
	q := Query{Service: "web", Since: noon, Until: noon, Period: time.Minute}
	_, err := New(&gauge{err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}}).Read(t.Context(), q)
	require.EqualError(t, err, `service "web": read its metrics: AccessDenied: no`)
	_, err = New(&gauge{status: types.StatusCodeForbidden}).Read(t.Context(), q)
	require.EqualError(t, err, `service "web": read Requests: CloudWatch answers Forbidden`)
}

func TestPeriod_isAsFineAsCloudWatchKeeps(t *testing.T) {
	for back, want := range map[time.Duration]time.Duration{
		time.Second: time.Minute, 15 * time.Minute: time.Minute, 90 * time.Minute: time.Minute, 91 * time.Minute: 2 * time.Minute,
		24 * time.Hour: 16 * time.Minute, 16 * 24 * time.Hour: 260 * time.Minute, 100 * 24 * time.Hour: 27 * time.Hour,
	} {
		require.Equal(t, want, Period(noon.Add(-back), noon, 90), back)
	}
}

func TestJudge(t *testing.T) {
	data := func(metric, statistic string, values ...float64) Result {
		r := Result{Series: Series{Metric: metric, Statistic: statistic}}
		for i, v := range values {
			r.Points = append(r.Points, at(i, v))
		}
		return r
	}
	s := Setting{"cpu": "256", "memory": "512 MiB", "scaling.concurrency": "100"}
	for name, tc := range map[string]struct {
		have  Result
		more  Result
		which int
		level Level
		text  string
		fix   string
	}{
		"cpu is normal":        {have: data(CPU, Average, 10, 70), which: 2, level: Normal, text: "CPU is 40 % on average: 10 to 70 % are normal"},
		"cpu is high":          {have: data(CPU, Average, 71, 99), which: 2, level: High, text: "CPU is 85 % on average", fix: "raise cpu: (now 256), or lower scaling.concurrency: (now 100) so that App Runner adds instances sooner, up to scaling.max:"},
		"cpu is low":           {have: data(CPU, Average, 1.26), which: 2, level: Low, text: "CPU is 1.3 % on average: below 10 % less would do", fix: "lower cpu: (now 256)"},
		"its bounds are":       {have: data(CPU, Average, 70), which: 2, level: Normal, text: "70 %"},
		"memory is normal":     {have: data(Memory, Average, 40), which: 3, level: Normal, text: "40 to 80 % are normal"},
		"memory is high":       {have: data(Memory, Average, 81), which: 3, level: High, text: "above 80 %", fix: "raise memory: (now 512 MiB)"},
		"memory is low":        {have: data(Memory, Average, 39), which: 3, level: Low, text: "below 40 %", fix: "lower memory: (now 512 MiB)"},
		"latency is normal":    {have: data(Latency, Average, 1999), which: 1, level: Normal, text: "1999 ms"},
		"latency is high":      {have: data(Latency, Average, 2000, 3000), which: 1, level: High, text: "2.5 s on average: less than 2 s is normal", fix: "apron logs"},
		"each request counts":  {have: data(Latency, Average, 100, 4000), more: data(Requests, Sum, 99, 1), which: 1, level: Normal, text: "139 ms"},
		"nothing is known":     {which: 2, level: None, text: "there is no data of CPUUtilization"},
		"there was nobody":     {which: 0, level: None, text: "there were no requests"},
		"no request fails":     {have: data(Requests, Sum, 5, 7), which: 0, level: Normal, text: "none of 12 requests failed"},
		"some requests failed": {have: data(Requests, Sum, 5, 7), more: data(Status5xx, Sum, 1, 2), which: 0, level: High, text: "3 of 12 requests failed with a status of 5xx (25 %)", fix: "apron logs"},
	} {
		t.Run(name, func(t *testing.T) {
			all := Judge([]Result{tc.have, tc.more}, s)
			require.Len(t, all, 4)
			f := all[tc.which]
			require.Equal(t, tc.level, f.Level)
			require.Contains(t, f.Text, tc.text)
			require.Contains(t, f.Fix, tc.fix)
			require.Equal(t, f.Level == High || f.Level == Low, f.Fix != "")
		})
	}
}
