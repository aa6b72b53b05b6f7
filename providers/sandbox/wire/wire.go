// Package wire holds what the sandbox's services share of AWS's wire protocols: the
// JSON 1.0 and 1.1 protocols, RPC v2 with CBOR, the query protocol and EC2's with their XML, REST with XML, the shape of
// errors, page tokens and Signature Version 4. It knows no service.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error is an error as AWS sends it: a code, a text and an HTTP status.
type Error struct {
	Code    string
	Message string
	Status  int // HTTP status; 0 means 400
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// HTTPStatus is the status that the error travels with.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Errorf makes an error with status 400, AWS's usual one for a client's mistake.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Operation answers one call: the request's body in, the value to encode out.
type Operation func(ctx context.Context, body []byte) (any, error)

// Handle adapts a typed function to an [Operation] of a JSON protocol. Members of In
// and Out carry json tags with AWS's own member names.
func Handle[In, Out any](f func(ctx context.Context, in In) (Out, error)) Operation {
	return func(ctx context.Context, body []byte) (any, error) {
		var in In
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, unreadable(err)
			}
		}
		return f(ctx, in)
	}
}

// unreadable says what is wrong with a body, without repeating any value of it.
func unreadable(err error) *Error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		found, _, _ := strings.Cut(kind.Value, " ")
		return Errorf("SerializationException", "%s: a JSON %s can not be converted to %s", kind.Field, found, kind.Type.Kind())
	}
	return Errorf("SerializationException", "the request's body is not the JSON that the operation takes")
}

// API is one service that speaks a JSON protocol.
type API struct {
	// Target is the prefix of X-Amz-Target before the dot: "AppRunner".
	Target string
	// Version is the JSON protocol's: "1.0" or "1.1".
	Version string
	// SigningName is the service's name in Signature Version 4: "apprunner".
	SigningName string
	// MessageKey is the member that holds an error's text: "Message" or "message".
	MessageKey string
	Operations map[string]Operation
	// QueryCodes is set by [Mux.AddCompatible].
	QueryCodes map[string]string
}
