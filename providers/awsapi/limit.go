package awsapi

import (
	"context"
	"fmt"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// limits holds one rate limiter for each API, and for operations that have a lower rate
// of their own, shared by all clients of a run, so that a large plan does not throttle
// itself or its neighbours. The map is fixed once made.
type limits map[string]*rate.Limiter

// newLimits uses the published rates where there are some and stays modest elsewhere:
// App Runner publishes none.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
// https://docs.aws.amazon.com/waf/latest/developerguide/limits.html
// https://docs.aws.amazon.com/tag-editor/latest/userguide/reference.html
func newLimits() limits {
	return limits{
		"AppRunner": rate.NewLimiter(20, 40),
		"ECR":       rate.NewLimiter(100, 200),
		// Of the 2,000 that AWS allows.
		"ECR BatchGetImage": rate.NewLimiter(1000, 200),
		"IAM":               rate.NewLimiter(20, 40),
		"SSM":               rate.NewLimiter(40, 40),
		"SSM PutParameter":  rate.NewLimiter(3, 6),
		"Secrets Manager":   rate.NewLimiter(50, 50),
		"CloudWatch Logs":   rate.NewLimiter(5, 10),
		"CloudWatch":        rate.NewLimiter(20, 40),
		"Route 53":          rate.NewLimiter(5, 5),
		"WAFV2":             rate.NewLimiter(1, 2),

		"Resource Groups Tagging API": rate.NewLimiter(15, 15),
	}
}

func (l limits) middleware() middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc("apron.Limit", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if err := l.wait(ctx, awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		return next.HandleFinalize(ctx, in)
	})
}

// wait blocks until a call may be made. It returns the context's cause if that ended
// first, and at once if its deadline is too early.
func (l limits) wait(ctx context.Context, service, operation string) error {
	limiter, ok := l[service+" "+operation]
	if !ok {
		limiter, ok = l[service]
	}
	if !ok {
		return nil
	}
	err := limiter.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s %s: wait for the rate limit: %w (%v)", service, operation, context.DeadlineExceeded, err)
}
