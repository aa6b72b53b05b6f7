package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Error is an AWS error with what to do about it.
type Error struct {
	What string // what failed, when the caller has not said it
	Why  string
	Fix  string
	// Credentials says that the caller's credentials or permissions are the cause.
	Credentials bool
	Err         error
}

var _ error = (*Error)(nil)

func (e *Error) Error() string {
	if e.What == "" {
		return e.Why
	}
	return e.What + ": " + e.Why
}

// Hint says what to do next; it may be empty.
func (e *Error) Hint() string { return e.Fix }

func (e *Error) Unwrap() error { return e.Err }

// Explain adds to an AWS error why it happened and what to do next, judged by its code.
// It returns err itself when there is nothing to add.
// https://docs.aws.amazon.com/apprunner/latest/api/CommonErrors.html
func Explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var write *WriteError
	if errors.As(err, &write) {
		return write
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return explainCode(err, api)
	}
	if e := explainCredentials(err); e != nil {
		return e
	}
	if e := explainNetwork(err); e != nil {
		return e
	}
	return err
}

// Unread is err of a read that is about one thing: a [reconcile.ReadError], so that a run
// goes on with what it can read. It is err itself where every other call would meet the same:
// credentials that are no good, an endpoint that cannot be reached, an account that is not
// signed up, a write where there may be none, or a run that was ended.
func Unread(target state.Address, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, new(*WriteError)) {
		return err
	}
	var api smithy.APIError
	switch {
	case !errors.As(err, &api):
		if explainCredentials(err) != nil || explainNetwork(err) != nil {
			return err
		}
	case slices.Contains(everywhere, api.ErrorCode()):
		return err
	}
	return &reconcile.ReadError{Target: target, Err: err}
}

// everywhere are the codes of what is wrong with whoever calls, whatever the call is.
var everywhere = slices.Concat(invalidCodes, expiredCodes, clockCodes, subscriptionCodes)

var (
	invalidCodes = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",
		"MissingAuthenticationToken", "IncompleteSignature"}
	expiredCodes      = []string{"ExpiredToken", "ExpiredTokenException"}
	clockCodes        = []string{"RequestExpired", "RequestTimeTooSkewed"}
	subscriptionCodes = []string{"SubscriptionRequiredException", "OptInRequired"}
)

// explainCredentials tells of credentials that could not be had; nil if err is another.
func explainCredentials(err error) error {
	if e, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return &Error{Why: fmt.Sprintf("there is no profile %q in the AWS configuration", e.Profile), Credentials: true, Err: err,
			Fix: "aws configure list-profiles names those there are; check --profile and AWS_PROFILE"}
	}
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](err); ok {
		return &Error{Why: "the single sign-on session has expired", Credentials: true, Err: err, Fix: "sign in again: aws sso login"}
	}
	// The SDK has no type for these two.
	if text := err.Error(); strings.Contains(text, "failed to refresh cached credentials") || strings.Contains(text, "no EC2 IMDS role found") {
		return &Error{Why: "no AWS credentials were found", Credentials: true, Err: err,
			Fix: "run aws configure or aws sso login, set AWS_PROFILE, or try --sandbox, which needs none"}
	}
	return nil
}

// explainNetwork tells of an endpoint that could not be reached; nil if err is another.
func explainNetwork(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if !dns.IsNotFound {
			return &Error{Why: "cannot look up " + dns.Name, Err: err, Fix: "check the network, and try again"}
		}
		return &Error{Why: "no such host " + dns.Name, Err: err,
			Fix: "check how the Region is spelt and that it offers the service (App Runner is in eleven Regions only), or else the network"}
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &Error{Why: "the endpoint's certificate is not trusted: " + cert.Err.Error(), Err: err,
			Fix: "behind a proxy that looks into TLS, name its certificate with AWS_CA_BUNDLE"}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && op.Addr != nil {
		return &Error{Why: fmt.Sprintf("cannot reach %s: %v", op.Addr, op.Err), Err: err,
			Fix: "check the network, a proxy (HTTPS_PROXY) and the endpoint (AWS_ENDPOINT_URL)"}
	}
	return nil
}

func explainCode(err error, api smithy.APIError) error {
	e := &Error{Err: err, Why: strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")}
	if _, ok := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; ok {
		e.Fix = "AWS refused the rate of calls even after waiting: try again in a minute"
	}
	is := func(codes ...string) bool { return slices.Contains(codes, api.ErrorCode()) }
	switch {
	case is("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"):
		e.Credentials = true
		e.Fix = "let the identity do this, or use another one; `apron docs permissions` lists what each command needs"
	case is(invalidCodes...):
		e.Credentials = true
		e.Fix = "these credentials are not valid here: check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock"
	case is(expiredCodes...):
		e.Credentials = true
		e.Fix = "sign in again: aws sso login, or renew the session token"
	case is(clockCodes...):
		e.Credentials = true
		e.Fix = "AWS takes a request for a few minutes only: check this machine's clock"
	case is(subscriptionCodes...):
		e.Credentials = true
		e.Fix = "the account is not signed up for this service: a brand-new account is held until AWS has verified it, and some Regions have to be enabled first"
		if op, ok := errors.AsType[*smithy.OperationError](err); ok && op.Service() == "AppRunner" {
			e.Fix = "App Runner has been closed to new accounts since 2026-04-30, and a brand-new account is held for verification; " +
				"AWS points to ECS Express Mode, which is target: ecs-express here: https://docs.aws.amazon.com/apprunner/latest/dg/apprunner-availability-change.html"
		}
	case is("ServiceQuotaExceededException", "LimitExceededException", "LimitExceeded"):
		e.Fix = "raise the quota in Service Quotas, or delete what is not used"
	}
	if e.Fix == "" {
		return err
	}
	return e
}
