package ecr

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// scannedImage is the sandbox's ECR with one image in it that nobody has scanned.
func scannedImage(t *testing.T) (s *Scans, service *ecr.Service, digest string) {
	t.Helper()
	var server *httptest.Server
	service, err := ecr.New(ecr.Options{Dir: t.TempDir(), Account: account, Region: region, Endpoint: func() string { return server.URL }})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: region, Now: time.Now}})
	mux.Add(service.API())
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2") {
			service.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := aws.Config{Region: region, BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		// The SDK closes a request's body as soon as the answer begins, and on loopback that
		// can take a long answer's connection away: it counts on being repeated.
		// https://github.com/aws/aws-sdk-go-v2/issues/2737
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.RateLimiter = 20, ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}}
	_, err = sdk.NewFromConfig(cfg).CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: aws.String("web")})
	require.NoError(t, err)
	endpoint, user, pass, err := New(cfg, awsapi.Identity{Account: account, Partition: "aws"}).Registry(t.Context())
	require.NoError(t, err)
	img, err := random.Image(100, 1)
	require.NoError(t, err)
	ref, err := name.ParseReference(strings.TrimPrefix(endpoint, "http://") + "/web:one")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: user, Password: pass})))
	d, err := img.Digest()
	require.NoError(t, err)
	return NewScans(cfg), service, d.String()
}

func TestGate_againstTheSandbox(t *testing.T) {
	s, service, digest := scannedImage(t)
	o := GateOptions{FailOn: "HIGH", Poll: time.Millisecond, Timeout: 10 * time.Second}
	r, err := s.Gate(t.Context(), "web", digest, o)
	require.NoError(t, err, "a scan that the gate started found nothing")
	require.Equal(t, "COMPLETE", r.Status)
	require.WithinDuration(t, time.Now(), r.ScannedAt, time.Minute)

	scan := ecr.Scan{}
	for i := range pageSize + 5 { // two pages
		scan.Findings = append(scan.Findings, ecr.ScanFinding{Name: fmt.Sprintf("CVE-2026-%04d", i), Severity: "LOW", Package: "libc"})
	}
	scan.Findings[pageSize+1].Severity = "CRITICAL"
	for _, enhanced := range []bool{false, true} {
		scan.Enhanced = enhanced
		require.NoError(t, service.SetScan("web", digest, scan))
		r, err = s.Gate(t.Context(), "web", digest, o)
		require.ErrorContains(t, err, "1 finding at or above HIGH: CVE-2026-1001 libc")
		require.Equal(t, map[string]int{"CRITICAL": 1, "LOW": pageSize + 4}, r.Counts)
		require.Equal(t, map[bool]string{false: "basic", true: "enhanced"}[enhanced], r.Kind)
	}

	require.NoError(t, service.SetScan("web", digest, ecr.Scan{Status: "UNSUPPORTED_IMAGE"}))
	_, err = s.Gate(t.Context(), "web", digest, o)
	require.ErrorContains(t, err, "no findings to judge it by: UNSUPPORTED_IMAGE")
}
