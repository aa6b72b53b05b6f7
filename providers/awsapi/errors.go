package awsapi

import (
	"errors"

	"github.com/aws/smithy-go"
)

// Code returns the AWS error code in err, such as "RepositoryNotFoundException", or "".
func Code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// Kind says which call failed and how, such as "ECR DescribeRepositories
// AccessDeniedException": errors of one kind have one cause, as a rule. It is "" for what AWS
// has not answered.
func Kind(err error) string {
	code := Code(err)
	op, ok := errors.AsType[*smithy.OperationError](err)
	if code == "" || !ok {
		return ""
	}
	return op.Service() + " " + op.Operation() + " " + code
}

// Is reports whether err carries one of the AWS error codes.
func Is(err error, codes ...string) bool {
	got := Code(err)
	for _, c := range codes {
		if got != "" && got == c {
			return true
		}
	}
	return false
}

// Message returns the text that AWS sent with the error, or err's own text.
func Message(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorMessage()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}
