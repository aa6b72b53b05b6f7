package awsapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestExplain_saysWhyAndWhatNext(t *testing.T) {
	for name, tc := range map[string]struct {
		status      int
		code        string
		message     string
		call        call
		why         string
		fix         string
		credentials bool
	}{
		"an expired token": {400, "ExpiredTokenException", "The security token included in the request is expired", reads["SSM gets parameters"],
			"ExpiredTokenException: The security token included in the request is expired", "aws sso login", true},
		"an expired token, as STS says it": {403, "ExpiredToken", "The security token included in the request is expired", reads["STS tells who asks"],
			"ExpiredToken: ", "aws sso login", true},
		"a permission that is missing": {400, "AccessDeniedException", "User: arn:aws:iam::1:user/me is not authorized to perform: apprunner:ListServices", reads["App Runner lists"],
			"is not authorized to perform: apprunner:ListServices", "apron docs permissions", true},
		"the same, as IAM says it": {403, "AccessDenied", "no", reads["IAM gets a role"], "AccessDenied: no", "apron docs permissions", true},
		"credentials AWS does not know": {403, "InvalidClientTokenId", "The security token included in the request is invalid.", reads["STS tells who asks"],
			"InvalidClientTokenId", "AWS_PROFILE", true},
		"a clock that is wrong": {403, "RequestExpired", "Request has expired.", reads["STS tells who asks"], "RequestExpired", "clock", true},
		"App Runner is closed": {400, "SubscriptionRequiredException", "The AWS Access Key Id needs a subscription for the service", reads["App Runner lists"],
			"needs a subscription", "App Runner has been closed to new accounts", true},
		"another service is not signed up for": {400, "OptInRequired", "sign up", reads["SSM gets parameters"], "OptInRequired: sign up", "some Regions have to be enabled first", true},
		"throttling":                           {400, "ThrottlingException", "Rate exceeded", reads["SSM gets parameters"], "ThrottlingException: Rate exceeded", "try again in a minute", false},
		"throttling, in another word":          {400, "RequestThrottledException", "", reads["ECR gives a token"], "RequestThrottledException", "try again in a minute", false},
		"a quota":                              {400, "ServiceQuotaExceededException", "too many services", reads["App Runner lists"], "too many services", "Service Quotas", false},
		"a quota, named like throttle":         {400, "LimitExceededException", "too many repositories", reads["ECR gives a token"], "too many repositories", "Service Quotas", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, refuse(tc.status, tc.code, tc.message))
			err := awsapi.Explain(tc.call(t.Context(), impatient(load(t, s, awsapi.Options{}))))
			var e *awsapi.Error
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Error(), tc.why)
			require.NotRegexp(t, `: $`, e.Error())
			require.Contains(t, e.Hint(), tc.fix)
			require.Equal(t, tc.credentials, e.Credentials)
			require.Equal(t, tc.code, awsapi.Code(err), "the cause stays within reach")
			require.Same(t, err, awsapi.Explain(err), "once is enough")
		})
	}
}

func TestExplain_leavesAloneWhatItCannotExplain(t *testing.T) {
	s := serve(t, refuse(400, "ResourceNotFoundException", "no such thing"))
	err := reads["Secrets Manager describes"](t.Context(), impatient(load(t, s, awsapi.Options{})))
	require.Same(t, err, awsapi.Explain(err))
	require.True(t, awsapi.Is(err, "Other", "ResourceNotFoundException"))
	require.Equal(t, "no such thing", awsapi.Message(err))

	require.NoError(t, awsapi.Explain(nil))
	require.Same(t, context.Canceled, awsapi.Explain(context.Canceled))
	other := errors.New("disk full")
	require.Same(t, other, awsapi.Explain(other))
	require.Equal(t, "disk full", awsapi.Message(other))
	require.False(t, awsapi.Is(other, ""), "no code equals no code")
}

func TestExplain_doesNotRetryAClosedAccount(t *testing.T) {
	s := serve(t, refuse(400, "SubscriptionRequiredException", "The AWS Access Key Id needs a subscription for the service"))
	require.Error(t, reads["App Runner lists"](t.Context(), load(t, s, awsapi.Options{})))
	require.Len(t, s.called(), 1)
}

// roundTripper is a transport that fails.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestExplain_tellsOfAnEndpointThatCannotBeReached(t *testing.T) {
	nobody := serve(t, empty)
	nobody.Close()
	_, port, err := net.SplitHostPort(nobody.Listener.Addr().String())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		fail     error // nil: really dial
		why, fix string
	}{
		"nobody listens":     {nil, "cannot reach 127.0.0.1:" + port + ": ", "AWS_ENDPOINT_URL"},
		"an unknown host":    {&net.DNSError{Name: "apprunner.us-esat-1.amazonaws.com", IsNotFound: true}, "no such host apprunner.us-esat-1.amazonaws.com", "how the Region is spelt"},
		"no name servers":    {&net.DNSError{Name: "sts.us-east-1.amazonaws.com", IsTemporary: true}, "cannot look up sts.us-east-1.amazonaws.com", "the network"},
		"a proxy in between": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "the endpoint's certificate is not trusted: x509: certificate signed by unknown authority", "AWS_CA_BUNDLE"},
		"a network is out":   {&net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: errors.New("no route to host")}, "cannot reach 192.0.2.1:443: no route to host", "HTTPS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := impatient(load(t, nobody, awsapi.Options{}))
			if tc.fail != nil {
				cfg.HTTPClient = roundTripper(func(*http.Request) (*http.Response, error) { return nil, tc.fail })
			}
			err := awsapi.Explain(reads["STS tells who asks"](t.Context(), cfg))
			var e *awsapi.Error
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Error(), tc.why)
			require.Contains(t, e.Hint(), tc.fix)
			require.False(t, e.Credentials)
		})
	}
}

func TestExplain_tellsOfCredentialsThatCannotBeHad(t *testing.T) {
	s := serve(t, empty)
	for name, tc := range map[string]struct {
		fail     error
		why, fix string
	}{
		"a session that is over": {&ssocreds.InvalidTokenError{Err: errors.New("token file: expired")}, "the single sign-on session has expired", "aws sso login"},
		"none anywhere":          {errors.New("no EC2 IMDS role found, operation error ec2imds: GetMetadata"), "no AWS credentials were found", "--sandbox"},
		"a profile that is not":  {config.SharedConfigProfileNotExistError{Profile: "prod"}, `there is no profile "prod"`, "aws configure list-profiles"},
		"a program that fails":   {fmt.Errorf("failed to refresh cached credentials, %w", errors.New("exit status 1")), "no AWS credentials were found", "AWS_PROFILE"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := impatient(load(t, s, awsapi.Options{}))
			cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, tc.fail })
			err := awsapi.Explain(reads["STS tells who asks"](t.Context(), cfg))
			var e *awsapi.Error
			require.ErrorAs(t, err, &e)
			require.Contains(t, e.Error(), tc.why)
			require.Contains(t, e.Hint(), tc.fix)
			require.True(t, e.Credentials)
		})
	}
	require.Zero(t, s.connections.Load())
}

// TestUnread tells what is wrong with one thing from what every call would meet.
func TestUnread(t *testing.T) {
	target := state.Address{Target: "ecr", Kind: "repository", Name: "web"}
	for code, about := range map[string]bool{
		"AccessDeniedException": true, "ThrottlingException": true, "ServerException": true, "InvalidParameterException": true,
		"ExpiredTokenException": false, "UnrecognizedClientException": false, "RequestExpired": false, "OptInRequired": false,
	} {
		s := serve(t, refuse(400, code, "no"))
		err := fmt.Errorf("repository: %w", awsapi.Explain(reads["ECR gives a token"](t.Context(), impatient(load(t, s, awsapi.Options{})))))
		got, ok := reconcile.Unread(awsapi.Unread(target, err))
		require.Equal(t, about, ok, code)
		if ok {
			require.Equal(t, target, got[0].Target)
			require.Equal(t, "ECR GetAuthorizationToken "+code, awsapi.Kind(got[0]))
		}
	}
	for _, err := range []error{nil, context.Canceled, &awsapi.WriteError{}, &net.DNSError{IsNotFound: true}, &net.OpError{Op: "dial", Addr: &net.TCPAddr{}, Err: errors.New("refused")}} {
		_, ok := reconcile.Unread(awsapi.Unread(target, err))
		require.False(t, ok, "%v", err)
	}
	_, ok := reconcile.Unread(awsapi.Unread(target, fmt.Errorf("read: %w", context.DeadlineExceeded)))
	require.True(t, ok, "a call that took too long is one call")
}
