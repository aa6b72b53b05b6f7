package cloudwatch_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/cloudwatch"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// noon is a whole hour, so that periods are easy to read.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

type rig struct {
	s   *cloudwatch.Service
	api *sdk.Client
	cfg aws.Config
}

func open(t *testing.T, dir string) *rig {
	t.Helper()
	st, err := store.Open(dir)
	require.NoError(t, err)
	s, err := cloudwatch.New(cloudwatch.Options{Store: st, Now: func() time.Time { return noon.Add(time.Hour) }})
	require.NoError(t, err)
	cfg := wiretest.Config(t, func(m *wire.Mux) { m.AddCompatible(s.API()) })
	return &rig{s, sdk.NewFromConfig(cfg), cfg}
}

func (r *rig) put(name string, minute int, values ...float64) {
	for _, v := range values {
		r.s.Put(cloudwatch.Datum{
			Namespace: "AWS/AppRunner", Name: name, Unit: "Milliseconds", Value: v,
			Dimensions: []cloudwatch.Dimension{{Name: "ServiceName", Value: "shop"}, {Name: "ServiceID", Value: "1"}},
			At:         noon.Add(time.Duration(minute) * time.Minute),
		})
	}
}

var dimensions = []types.Dimension{ // in another order than they are put
	{Name: aws.String("ServiceID"), Value: aws.String("1")}, {Name: aws.String("ServiceName"), Value: aws.String("shop")},
}

func statistics(adjust func(*sdk.GetMetricStatisticsInput)) *sdk.GetMetricStatisticsInput {
	in := &sdk.GetMetricStatisticsInput{
		Namespace: aws.String("AWS/AppRunner"), MetricName: aws.String("RequestLatency"), Dimensions: dimensions,
		StartTime: aws.Time(noon), EndTime: aws.Time(noon.Add(time.Hour)), Period: aws.Int32(300),
		Statistics: []types.Statistic{"Average", "Sum", "Minimum", "Maximum", "SampleCount"}, ExtendedStatistics: []string{"p90"},
	}
	if adjust != nil {
		adjust(in)
	}
	return in
}

func data(stat string, adjust func(*sdk.GetMetricDataInput)) *sdk.GetMetricDataInput {
	in := &sdk.GetMetricDataInput{
		StartTime: aws.Time(noon), EndTime: aws.Time(noon.Add(time.Hour)),
		MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("a"), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String("AWS/AppRunner"), MetricName: aws.String("RequestLatency"), Dimensions: dimensions},
			Period: aws.Int32(60), Stat: &stat,
		}}},
	}
	if adjust != nil {
		adjust(in)
	}
	return in
}

func TestGetMetricStatistics_sumsMinutesUp(t *testing.T) {
	r := open(t, t.TempDir())
	for i := range 100 {
		r.put("RequestLatency", i/25, float64(i+1))
	}
	r.put("RequestLatency", 5, 7)
	r.put("RequestLatency", 60, 1000) // after the end
	out, err := r.api.GetMetricStatistics(t.Context(), statistics(nil))
	require.NoError(t, err)
	require.Len(t, out.Datapoints, 2)
	last, first := out.Datapoints[0], out.Datapoints[1] // not chronological
	require.Equal(t, noon.Add(5*time.Minute), last.Timestamp.UTC())
	require.Equal(t, noon, first.Timestamp.UTC())
	require.Equal(t, 100.0, *first.SampleCount)
	require.Equal(t, 5050.0, *first.Sum)
	require.Equal(t, 50.5, *first.Average)
	require.Equal(t, 1.0, *first.Minimum)
	require.Equal(t, 100.0, *first.Maximum)
	require.InEpsilon(t, 90, first.ExtendedStatistics["p90"], 0.01)
	require.Equal(t, types.StandardUnitMilliseconds, first.Unit)
}

// Dashboards with some of the dimensions, or with names that do not exist, stay empty.
func TestGetMetricStatistics_wantsAllDimensions(t *testing.T) {
	r := open(t, t.TempDir())
	r.put("RequestLatency", 0, 1)
	for name, adjust := range map[string]func(*sdk.GetMetricStatisticsInput){
		"one dimension": func(in *sdk.GetMetricStatisticsInput) { in.Dimensions = dimensions[:1] },
		"another name":  func(in *sdk.GetMetricStatisticsInput) { in.MetricName = aws.String("ResponseTime") },
		"another unit":  func(in *sdk.GetMetricStatisticsInput) { in.Unit = types.StandardUnitSeconds },
	} {
		out, err := r.api.GetMetricStatistics(t.Context(), statistics(adjust))
		require.NoError(t, err, name)
		require.Empty(t, out.Datapoints, name)
	}
}

func TestGetMetricStatistics_refuses(t *testing.T) {
	r := open(t, t.TempDir())
	for name, tc := range map[string]struct {
		adjust     func(*sdk.GetMetricStatisticsInput)
		code, text string
	}{
		"no time":        {func(in *sdk.GetMetricStatisticsInput) { in.EndTime = in.StartTime }, "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime."},
		"no statistic":   {func(in *sdk.GetMetricStatisticsInput) { in.Statistics, in.ExtendedStatistics = nil, nil }, "InvalidParameterCombination", "Must specify either"},
		"a wrong period": {func(in *sdk.GetMetricStatisticsInput) { in.Period = aws.Int32(61) }, "InvalidParameterValue", "multiple of 60"},
		"too much": {func(in *sdk.GetMetricStatisticsInput) {
			in.StartTime, in.Period = aws.Time(noon.Add(-48*time.Hour)), aws.Int32(60)
		}, "InvalidParameterCombination", "You have requested up to 2940 datapoints, which exceeds the limit of 1440."},
		"unknown": {func(in *sdk.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p101"} }, "InvalidParameterValue", "not a valid statistic"},
		"unbuilt": {func(in *sdk.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"tm99"} }, "InvalidParameterValue", "The sandbox does not compute tm99"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.api.GetMetricStatistics(t.Context(), statistics(tc.adjust))
			wiretest.Refused(t, err, tc.code, tc.text)
		})
	}
}

func TestGetMetricData_pagesTheNewestFirst(t *testing.T) {
	r := open(t, t.TempDir())
	for minute := range 5 {
		r.put("RequestLatency", minute, float64(minute))
	}
	var values []float64
	pages := sdk.NewGetMetricDataPaginator(r.api, data("Sum", nil), func(o *sdk.GetMetricDataPaginatorOptions) { o.Limit = 2 })
	n := 0
	for ; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		values = append(values, out.MetricDataResults[0].Values...)
	}
	require.Equal(t, 3, n)
	require.Equal(t, []float64{4, 3, 2, 1, 0}, values)
	out, err := r.api.GetMetricData(t.Context(), data("Maximum", func(in *sdk.GetMetricDataInput) { in.ScanBy = types.ScanByTimestampAscending }))
	require.NoError(t, err)
	require.Equal(t, []float64{0, 1, 2, 3, 4}, out.MetricDataResults[0].Values)
	require.Equal(t, "RequestLatency", *out.MetricDataResults[0].Label)
	require.Equal(t, types.StatusCodeComplete, out.MetricDataResults[0].StatusCode)
}

func TestGetMetricData_refusesAllAtOnce(t *testing.T) {
	r := open(t, t.TempDir())
	_, err := r.api.GetMetricData(t.Context(), data("Mean", func(in *sdk.GetMetricDataInput) {
		in.MetricDataQueries[0].Id = aws.String("A")
	}))
	wiretest.Refused(t, err, "ValidationError", "The value A for parameter MetricDataQueries.member.1.Id is not matching")
	wiretest.Refused(t, err, "ValidationError", "The value Mean for parameter MetricDataQueries.member.1.MetricStat.Stat is not a valid statistic.")
	_, err = r.api.GetMetricData(t.Context(), data("Sum", func(in *sdk.GetMetricDataInput) { in.NextToken = aws.String("?") }))
	wiretest.Refused(t, err, "InvalidNextToken", "")
}

func TestListMetrics_filtersAndPages(t *testing.T) {
	r := open(t, t.TempDir())
	for i := range 501 {
		r.put(fmt.Sprintf("Metric%03d", i), 0, 1)
	}
	out, err := r.api.ListMetrics(t.Context(), &sdk.ListMetricsInput{})
	require.NoError(t, err)
	require.Len(t, out.Metrics, 500)
	out, err = r.api.ListMetrics(t.Context(), &sdk.ListMetricsInput{NextToken: out.NextToken})
	require.NoError(t, err)
	require.Len(t, out.Metrics, 1)
	require.Nil(t, out.NextToken)
	for value, want := range map[string]int{"shop": 1, "other": 0} {
		out, err := r.api.ListMetrics(t.Context(), &sdk.ListMetricsInput{
			MetricName: aws.String("Metric007"),
			Dimensions: []types.DimensionFilter{{Name: aws.String("ServiceName"), Value: &value}},
		})
		require.NoError(t, err)
		require.Len(t, out.Metrics, want, value)
	}
}

func TestService_survivesARestart(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	first.put("RequestLatency", 0, 1, 2)
	first.put("RequestLatency", 1, 3) // which saves the minute before, as if killed next
	killed := open(t, dir)
	read := func(r *rig) []float64 {
		out, err := r.api.GetMetricData(t.Context(), data("Sum", nil))
		require.NoError(t, err)
		return out.MetricDataResults[0].Values
	}
	require.Equal(t, []float64{3}, read(killed))
	require.NoError(t, first.s.Close())
	require.Equal(t, []float64{3, 3}, read(open(t, dir)))
}

// send makes a request as clients without RPC v2 do, and returns the answer.
func (r *rig) send(t *testing.T, kind, target, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, *r.cfg.BaseEndpoint+"/", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	if target != "" {
		req.Header.Set("X-Amz-Target", "GraniteServiceVersion20100801."+target)
	}
	credentials, err := r.cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(body))
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), credentials, req, hex.EncodeToString(sum[:]), "monitoring", wiretest.Region, time.Now()))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

// AWS's CLI speaks the query protocol, or JSON, depending on its age.
func TestAPI_speaksQueryAndJSON(t *testing.T) {
	r := open(t, t.TempDir())
	r.put("RequestLatency", 0, 1, 2)
	form := url.Values{
		"Action": {"GetMetricStatistics"}, "Version": {"2010-08-01"}, "Namespace": {"AWS/AppRunner"}, "MetricName": {"RequestLatency"},
		"Dimensions.member.1.Name": {"ServiceName"}, "Dimensions.member.1.Value": {"shop"},
		"Dimensions.member.2.Name": {"ServiceID"}, "Dimensions.member.2.Value": {"1"},
		"StartTime": {"2026-03-04T12:00:00Z"}, "EndTime": {"2026-03-04T13:00:00Z"}, "Period": {"60"},
		"Statistics.member.1": {"Sum"}, "ExtendedStatistics.member.1": {"p100"},
	}
	res, body := r.send(t, "application/x-www-form-urlencoded", "", form.Encode())
	require.Equal(t, 200, res.StatusCode, body)
	require.Contains(t, body, "<Datapoints><member><Timestamp>2026-03-04T12:00:00Z</Timestamp><Sum>3</Sum><Unit>Milliseconds</Unit>"+
		"<ExtendedStatistics><entry><key>p100</key><value>2</value></entry></ExtendedStatistics></member></Datapoints>")
	form.Del("Period")
	res, body = r.send(t, "application/x-www-form-urlencoded", "", form.Encode())
	require.Equal(t, 400, res.StatusCode)
	require.Contains(t, body, "<Code>MissingParameter</Code><Message>The parameter Period is required.</Message>")

	res, body = r.send(t, "application/x-amz-json-1.0", "ListMetrics", `{"Namespace":"AWS/AppRunner"}`)
	require.Equal(t, 200, res.StatusCode, body)
	require.Contains(t, body, `"MetricName":"RequestLatency"`)
	res, body = r.send(t, "application/x-amz-json-1.0", "GetMetricStatistics", `{}`)
	require.Equal(t, 400, res.StatusCode)
	require.Equal(t, "MissingParameter;Sender", res.Header.Get("X-Amzn-Query-Error"))
	require.Contains(t, body, "MissingRequiredParameterException")
}
