package apprunner

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// createScaling makes a scaling configuration. One of this name has this content, and
// creating it again would only add a revision, of which there are five: it may have come
// up since the plan, or the answer got lost.
func (r run) createScaling(ctx context.Context) (state.Outcome, error) {
	want := r.a.Want
	number := func(path string) *int32 {
		var n int32
		if _, err := fmt.Sscanf(want.Value(path), "%d", &n); err != nil {
			return nil // the API's default
		}
		return &n
	}
	in := &sdk.CreateAutoScalingConfigurationInput{AutoScalingConfigurationName: aws.String(r.name()),
		MinSize: number("min"), MaxSize: number("max"), MaxConcurrency: number("concurrency"), Tags: tags(want)}
	there, err := r.scalingThere(ctx)
	if err != nil || there != "" {
		return state.Outcome{ID: there}, err
	}
	out, err := r.p.api.CreateAutoScalingConfiguration(ctx, in, onlyThrottled)
	if err != nil {
		if awsapi.Code(err) == "" { // no answer
			if there, lookErr := r.scalingThere(ctx); lookErr == nil && there != "" {
				return state.Outcome{ID: there}, nil
			}
		}
		if awsapi.Is(err, "ServiceQuotaExceededException") {
			err = r.p.fullScaling(ctx, err)
		}
		return r.fail("create", err)
	}
	return state.Outcome{ID: aws.ToString(out.AutoScalingConfiguration.AutoScalingConfigurationArn)}, nil
}

// fullScaling adds to App Runner's refusal which configurations could make room: there are
// ten names to an account and Region, and five revisions of each that cannot be raised.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
func (p *Provider) fullScaling(ctx context.Context, err error) error {
	u, lookErr := p.Usage(ctx)
	if lookErr != nil {
		return err // which has a way out of its own
	}
	return &awsapi.Error{Why: awsapi.Code(err) + ": " + awsapi.Message(err), Err: err,
		Fix: wayOut(u.Unused) + "; revisions: aws apprunner delete-auto-scaling-configuration --delete-all-revisions"}
}

// onlyThrottled keeps the client from repeating a call that may have taken effect.
func onlyThrottled(o *sdk.Options) {
	o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
		so.MaxAttempts = attempts
		so.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	})
}

// scalingThere returns the ARN of the wanted configuration if apron has made it already.
func (r run) scalingThere(ctx context.Context) (string, error) {
	found := findings{live: state.Live{}}
	err := r.p.observeScaling(ctx, map[string]bool{r.name(): true}, nil, &found)
	o, want := found.live[r.a.Target], r.a.Want
	same := o.Value("min") == want.Value("min") && o.Value("max") == want.Value("max") && o.Value("concurrency") == want.Value("concurrency")
	if err == nil && o.Owner == state.Shared && same {
		return o.ID, nil
	}
	return "", err
}

// deleteScaling deletes a scaling configuration.
func (r run) deleteScaling(ctx context.Context) (state.Outcome, error) {
	return state.Outcome{}, r.deleteShared(ctx, func() error {
		_, err := r.p.api.DeleteAutoScalingConfiguration(ctx, &sdk.DeleteAutoScalingConfigurationInput{AutoScalingConfigurationArn: &r.a.Have.ID})
		return err
	})
}
