package wire_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

func sha256Hex(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestSignature_acceptsWhatAWSClientsSign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, adjust := range map[string]func(*request){
		"plainly":             func(*request) {},
		"a path and a query":  func(r *request) { r.path = "/a%20b/ü?z=1&a=b%2Fc&a=&A=~" },
		"its payload's hash":  func(r *request) { r.header.Set("X-Amz-Content-Sha256", sha256Hex("{}")) },
		"all but its payload": func(r *request) { r.hash = "UNSIGNED-PAYLOAD"; r.header.Set("X-Amz-Content-Sha256", r.hash) },
		"spaces in a header":  func(r *request) { r.header.Set("X-Amz-Meta", "  two   words ") },
		"a header twice":      func(r *request) { r.header.Add("X-Amz-Meta", "1"); r.header.Add("X-Amz-Meta", "2") },
		"14 minutes late":     func(r *request) { r.at = r.at.Add(-14 * time.Minute) },
		"14 minutes early":    func(r *request) { r.at = r.at.Add(14 * time.Minute) },
	} {
		r := signedFor("echo")
		r.header.Set("X-Amz-Target", "Echo_2026.Echo")
		adjust(&r)
		res, body := w.send(r, "{}")
		require.Equal(t, 200, res.StatusCode, "signed %s: %s", name, body)
	}
}

// The JSON protocols and the query protocol name the same refusal differently.
func TestSignature_isRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const forged = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."
	for name, tc := range map[string]struct {
		adjust      func(*request)
		json, query string
		text        string
	}{
		"no signature": {func(r *request) { r.key = "" }, "MissingAuthenticationTokenException", "MissingAuthenticationToken", "Request is missing Authentication Token"},
		"wrong secret": {func(r *request) { r.secret = "wrong" }, "InvalidSignatureException", "SignatureDoesNotMatch", forged},
		"unknown key":  {func(r *request) { r.key = "AKIAREAL" }, "UnrecognizedClientException", "InvalidClientTokenId", "The security token included in the request is invalid."},
		"wrong region": {func(r *request) { r.region = "eu-west-1" }, "InvalidSignatureException", "SignatureDoesNotMatch", "Credential should be scoped to a valid region."},
		"another body": {func(r *request) { r.hash = sha256Hex("another") }, "InvalidSignatureException", "SignatureDoesNotMatch", forged},
		"a false hash": {func(r *request) { r.header.Set("X-Amz-Content-Sha256", sha256Hex("another")) }, "InvalidSignatureException", "SignatureDoesNotMatch",
			"The value passed in as x-amz-content-sha256 does not match the computed payload hash."},
		"too late":  {func(r *request) { r.at = r.at.Add(-16 * time.Minute) }, "InvalidSignatureException", "SignatureDoesNotMatch", "Signature expired: "},
		"too early": {func(r *request) { r.at = r.at.Add(16 * time.Minute) }, "InvalidSignatureException", "SignatureDoesNotMatch", "Signature not yet current: "},
		"another algorithm": {func(r *request) { r.key = ""; r.header.Set("Authorization", "Basic QTpC") },
			"IncompleteSignatureException", "IncompleteSignature", "Authorization header requires the algorithm AWS4-HMAC-SHA256"},
		"half a header": {func(r *request) {
			r.key = ""
			r.header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request")
		},
			"IncompleteSignatureException", "IncompleteSignature", "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."},
		"half a credential": {func(r *request) {
			r.key = ""
			r.header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0")
			r.header.Set("X-Amz-Date", "20260301T120000Z")
		}, "IncompleteSignatureException", "IncompleteSignature", "Credential must have exactly 5 slash-delimited elements"},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedFor("echo")
			r.header.Set("X-Amz-Target", "Echo_2026.Echo")
			tc.adjust(&r)
			res, body := w.send(r, "{}")
			require.Equal(t, 400, res.StatusCode)
			require.Equal(t, tc.json, res.Header.Get("X-Amzn-ErrorType"))
			require.Contains(t, body, tc.text)

			r = signedFor("forms")
			r.header.Set("Content-Type", "application/x-www-form-urlencoded")
			tc.adjust(&r)
			res, body = w.send(r, "Action=Nothing&Version=2026-01-01")
			require.Equal(t, 403, res.StatusCode)
			require.Contains(t, body, "<Code>"+tc.query+"</Code>")
		})
	}

	r := signedFor("forms")
	r.header.Set("X-Amz-Target", "Echo_2026.Echo")
	res, body := w.send(r, "{}")
	require.Equal(t, "InvalidSignatureException", res.Header.Get("X-Amzn-ErrorType"))
	require.Contains(t, body, "Credential should be scoped to correct service: 'echo'. ")
	r = signedFor("echo")
	r.header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, body = w.send(r, "Action=Nothing&Version=2026-01-01")
	require.Contains(t, body, "The sandbox does not emulate the service echo")
}

// What a user of the SDK sees whose credentials are not the sandbox's.
func TestSignature_isRefusedToTheSDK(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := wiretest.Config(t, func(m *wire.Mux) {
		m.Add(wire.API{Target: "AmazonSSM", Version: "1.1", SigningName: "ssm", MessageKey: "message"})
		m.AddQuery(wire.QueryAPI{SigningName: "iam", Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/"})
	})
	_, err := ssm.NewFromConfig(cfg).DescribeParameters(ctx, &ssm.DescribeParametersInput{})
	wiretest.Refused(t, err, "UnknownOperationException", "The sandbox has no such operation.")
	_, err = iam.NewFromConfig(cfg).ListRoles(ctx, &iam.ListRolesInput{})
	wiretest.Refused(t, err, "InvalidAction", "Could not find operation ListRoles for version 2010-05-08")
	cfg.Credentials = credentials.NewStaticCredentialsProvider(wiretest.AccessKey, "of a real account", "")
	_, err = ssm.NewFromConfig(cfg).DescribeParameters(ctx, &ssm.DescribeParametersInput{})
	wiretest.Refused(t, err, "InvalidSignatureException", "does not match")
	_, err = iam.NewFromConfig(cfg).ListRoles(ctx, &iam.ListRolesInput{})
	wiretest.Refused(t, err, "SignatureDoesNotMatch", "does not match")
}
