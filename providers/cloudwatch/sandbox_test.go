package cloudwatch

import (
	"math"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/cloudwatch"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// The real SDK against the sandbox's CloudWatch over HTTP, in the SDK's own protocol.
func TestRead_fromTheSandbox(t *testing.T) {
	disk, err := store.Open(t.TempDir())
	require.NoError(t, err)
	service, err := cloudwatch.New(cloudwatch.Options{Store: disk})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
	})
	mux.AddCompatible(service.API())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r := New(sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}))

	start := time.Now().Add(-10 * time.Minute).Truncate(5 * time.Minute).UTC()
	put := func(id, metric string, minute int, values ...float64) {
		for _, v := range values {
			service.Put(cloudwatch.Datum{Namespace: namespace, Name: metric, At: start.Add(time.Duration(minute) * time.Minute), Value: v,
				Dimensions: []cloudwatch.Dimension{{Name: "ServiceName", Value: "web"}, {Name: "ServiceID", Value: id}}})
		}
	}
	put("0123", Requests, 0, 1, 1, 1)
	put("0123", Requests, 3, 1)
	put("0123", Latency, 0, 100, 200, 1200)
	put("0123", CPU, 0, 90)
	put("other", CPU, 1, 1)
	q := Query{Service: "web", ID: "0123", Since: start, Until: start.Add(5 * time.Minute), Period: time.Minute}
	got, err := r.Read(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []Point{{start, 3}, {start.Add(3 * time.Minute), 1}}, find(got, Requests, Sum))
	require.Equal(t, []Point{{start, 500}}, find(got, Latency, Average))
	p95 := find(got, Latency, P95)
	require.Len(t, p95, 1)
	require.Less(t, math.Abs(p95[0].Value-1200), 20.0, "percentiles are near")
	require.Equal(t, []Point{{start, 90}}, find(got, CPU, Maximum))
	require.Empty(t, find(got, Memory, Average))

	q.Period = 5 * time.Minute
	got, err = r.Read(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []Point{{start, 4}}, find(got, Requests, Sum))
	require.Equal(t, High, Judge(got, nil)[2].Level)
}
