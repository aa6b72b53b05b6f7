package awsapi

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// limits holds one rate limiter for each API, shared by all clients of a run, so that a
// large plan does not throttle itself or its neighbours. The map is fixed once made.
type limits map[string]*rate.Limiter

// newLimits uses the published rates where there are some and stays modest elsewhere:
// App Runner publishes none.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
// https://docs.aws.amazon.com/general/latest/gr/ssm.html
func newLimits() limits {
	return limits{
		"AppRunner":       rate.NewLimiter(20, 40),
		"ECR":             rate.NewLimiter(100, 200),
		"IAM":             rate.NewLimiter(20, 40),
		"SSM":             rate.NewLimiter(40, 40),
		"Secrets Manager": rate.NewLimiter(50, 50),
		"CloudWatch Logs": rate.NewLimiter(5, 10),
	}
}

func (l limits) middleware() middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc("apron.Limit", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if limiter, ok := l[awsmiddleware.GetServiceID(ctx)]; ok {
			if err := limiter.Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
		}
		return next.HandleFinalize(ctx, in)
	})
}
