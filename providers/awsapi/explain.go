package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/smithy-go"
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
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return &Error{Why: fmt.Sprintf("no such host %s", dns.Name), Err: err,
			Fix: "check the network, and that the Region offers the service: App Runner is in eleven Regions only"}
	}
	if text := err.Error(); strings.Contains(text, "failed to refresh cached credentials") || strings.Contains(text, "no EC2 IMDS role found") {
		return &Error{Why: "no AWS credentials were found", Credentials: true, Err: err,
			Fix: "run aws configure or aws sso login, set AWS_PROFILE, or try --sandbox, which needs none"}
	}
	return err
}

func explainCode(err error, api smithy.APIError) error {
	e := &Error{Err: err, Why: api.ErrorCode() + ": " + api.ErrorMessage()}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized":
		e.Credentials = true
		e.Fix = "let the identity do this, or use another one; `apron docs permissions` lists what each command needs"
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",
		"MissingAuthenticationToken", "IncompleteSignature":
		e.Credentials = true
		e.Fix = "these credentials are not valid here: check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock"
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		e.Credentials = true
		e.Fix = "sign in again: aws sso login, or renew the session token"
	case "SubscriptionRequiredException", "OptInRequired":
		e.Credentials = true
		e.Fix = "App Runner has been closed to new accounts since 2026-04-30, and a brand-new account is held for verification; " +
			"AWS points to ECS Express Mode: https://docs.aws.amazon.com/apprunner/latest/dg/apprunner-availability-change.html"
	case "ServiceQuotaExceededException", "LimitExceededException", "LimitExceeded":
		e.Fix = "raise the quota in Service Quotas, or delete what is not used"
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded":
		e.Fix = "AWS refused the rate of calls even after waiting: try again in a minute"
	default:
		return err
	}
	return e
}
