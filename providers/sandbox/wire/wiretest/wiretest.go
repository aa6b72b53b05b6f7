// Package wiretest puts the real AWS SDK in front of an emulated service, over HTTP. An
// emulator that only agrees with its own tests agrees with nobody.
package wiretest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Who calls, and from where.
const (
	Account   = "123456789012"
	Region    = "us-east-1"
	AccessKey = "AKIASANDBOX"
	SecretKey = "sandbox-secret"
)

// Config returns what a client of the SDK needs to reach the services that mount adds.
// The client does not retry. An error that is not AWS's own fails the test.
func Config(t testing.TB, mount func(*wire.Mux)) aws.Config {
	t.Helper()
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: Verifier(),
		Log: func(e wire.Entry) {
			if e.Detail != "" {
				t.Errorf("%s %s: %s", e.Service, e.Operation, e.Detail)
			}
		},
	})
	mount(mux)
	return ConfigOf(Serve(t, mux))
}

// Serve serves h until the test ends, and returns its URL.
func Serve(t testing.TB, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// ConfigOf returns what a client of the SDK needs to reach url.
func ConfigOf(url string) aws.Config {
	return aws.Config{
		Region: Region, BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// Verifier knows the one caller.
func Verifier() *wire.Verifier {
	return &wire.Verifier{
		Secret: func(key string) (string, bool) { return SecretKey, key == AccessKey },
		Region: Region, Global: []string{"iam", "sts", "route53"}, Now: time.Now,
	}
}

// Refused wants an error as the SDK understands it: its code, and a part of its text.
func Refused(t testing.TB, err error, code, text string) {
	t.Helper()
	var refusal smithy.APIError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.ErrorCode(), refusal.ErrorMessage())
	require.Contains(t, refusal.ErrorMessage(), text)
}
