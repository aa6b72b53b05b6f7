package sandbox_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// TestMetrics_areMeasured reads what a service really did, in each protocol that CloudWatch
// speaks: CBOR by the SDK, JSON and query as other tools do.
func TestMetrics_areMeasured(t *testing.T) {
	s := serve(t, func(o *sandbox.Options) { o.Speed, o.Runner = 1000, greeter{} })
	_, service := deploy(t, s)
	for range 3 {
		code, _ := send(t, http.MethodGet, s.Endpoint()+"/", "shop.localhost", nil)
		require.Equal(t, 200, code)
	}
	client := cloudwatch.NewFromConfig(config(s))
	dimensions := []cwtypes.Dimension{{Name: aws.String("ServiceName"), Value: aws.String("shop")}, {Name: aws.String("ServiceID"), Value: service.ServiceId}}
	from, to := time.Now().Add(-10*time.Minute), time.Now().Add(2*time.Minute)
	values := func(metric, stat string) []float64 {
		out, err := client.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, MetricDataQueries: []cwtypes.MetricDataQuery{{
			Id: aws.String("m"), MetricStat: &cwtypes.MetricStat{Stat: &stat, Period: aws.Int32(3600), Metric: &cwtypes.Metric{
				Namespace: aws.String("AWS/AppRunner"), MetricName: &metric, Dimensions: dimensions}}}}})
		require.NoError(t, err)
		require.Len(t, out.MetricDataResults, 1)
		return out.MetricDataResults[0].Values
	}
	eventually(t, func() bool { // a request is counted when it is over
		requests := values("Requests", "Sum")
		return len(requests) == 1 && requests[0] == 3
	})
	require.Equal(t, []float64{3}, values("2xxStatusResponses", "Sum"))
	require.Empty(t, values("5xxStatusResponses", "Sum"))
	require.Greater(t, values("RequestLatency", "p95")[0], 0.0)
	require.Equal(t, []float64{1}, values("ActiveInstances", "Maximum"))
	require.Len(t, values("MemoryUtilization", "Average"), 1)

	listed, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/AppRunner"), Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("ServiceID")}}})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(listed.Metrics), 5)
	_, err = client.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String("AWS/AppRunner"), MetricName: aws.String("Requests"),
		StartTime: &to, EndTime: &from, Period: aws.Int32(60), Statistics: []cwtypes.Statistic{cwtypes.StatisticSum}})
	require.ErrorContains(t, err, "InvalidParameter")

	// The AWS CLI's query protocol.
	form := url.Values{"Action": {"GetMetricStatistics"}, "Version": {"2010-08-01"}, "Namespace": {"AWS/AppRunner"}, "MetricName": {"Requests"},
		"Dimensions.member.1.Name": {"ServiceName"}, "Dimensions.member.1.Value": {"shop"},
		"Dimensions.member.2.Name": {"ServiceID"}, "Dimensions.member.2.Value": {*service.ServiceId},
		"StartTime": {from.UTC().Format(time.RFC3339)}, "EndTime": {to.UTC().Format(time.RFC3339)}, "Period": {"3600"}, "Statistics.member.1": {"Sum"}}
	body := signed(t, s, form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	var answer struct {
		Sum []float64 `xml:"GetMetricStatisticsResult>Datapoints>member>Sum"`
	}
	require.NoError(t, xml.Unmarshal([]byte(body), &answer), body)
	require.Equal(t, []float64{3}, answer.Sum, body)

	// JSON 1.0.
	body = signed(t, s, `{"Namespace":"AWS/AppRunner","MetricName":"Requests"}`, http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"GraniteServiceVersion20100801.ListMetrics"}})
	var metrics struct{ Metrics []struct{ MetricName string } }
	require.NoError(t, json.Unmarshal([]byte(body), &metrics), body)
	require.Equal(t, "Requests", metrics.Metrics[0].MetricName)
}

// signed sends a request to CloudWatch that no SDK makes.
func signed(t *testing.T, s *sandbox.Server, body string, header http.Header) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint()+"/", strings.NewReader(body))
	require.NoError(t, err)
	r.Header = header
	credentials, err := config(s).Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), credentials, r, hash(body), "monitoring", region, time.Now()))
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode, string(b))
	return string(b)
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
