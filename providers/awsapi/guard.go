package awsapi

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// Guard lets only reads through until writes are permitted. Planning, drift and status
// run behind it: a dry run is not a mode of an executor, it is a client that cannot
// write. The zero value permits reads only.
type Guard struct{ writes atomic.Bool }

// PermitWrites opens the guard: somebody has said yes to a plan.
func (g *Guard) PermitWrites() { g.writes.Store(true) }

// readPrefixes are how AWS names operations that change nothing.
var readPrefixes = []string{"Describe", "List", "Get", "BatchGet", "BatchCheck", "Filter", "Lookup", "Simulate", "AssumeRole"}

func isRead(operation string) bool {
	for _, p := range readPrefixes {
		if strings.HasPrefix(operation, p) {
			return true
		}
	}
	return false
}

// WriteError says that a call would have changed something while only reads may run.
type WriteError struct{ Service, Operation string }

var _ error = (*WriteError)(nil)

func (e *WriteError) Error() string {
	return fmt.Sprintf("%s %s is not a read and was not sent: this command changes nothing", e.Service, e.Operation)
}

func (g *Guard) middleware() middleware.InitializeMiddleware {
	return middleware.InitializeMiddlewareFunc("apron.Guard", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		op := awsmiddleware.GetOperationName(ctx)
		if (g == nil || !g.writes.Load()) && !isRead(op) {
			return middleware.InitializeOutput{}, middleware.Metadata{}, &WriteError{awsmiddleware.GetServiceID(ctx), op}
		}
		return next.HandleInitialize(ctx, in)
	})
}

// logging writes one debug line for each call: what, how long, and the request id that
// AWS support asks for. Inputs and outputs hold secrets and are never logged.
func logging(log *slog.Logger) middleware.InitializeMiddleware {
	return middleware.InitializeMiddlewareFunc("apron.Log", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		if log == nil || !log.Enabled(ctx, slog.LevelDebug) {
			return next.HandleInitialize(ctx, in)
		}
		start := time.Now()
		out, meta, err := next.HandleInitialize(ctx, in)
		id, _ := awsmiddleware.GetRequestIDMetadata(meta)
		log.Debug("aws", "service", awsmiddleware.GetServiceID(ctx), "operation", awsmiddleware.GetOperationName(ctx),
			"ms", time.Since(start).Milliseconds(), "request", id, "code", Code(err))
		return out, meta, err
	})
}
