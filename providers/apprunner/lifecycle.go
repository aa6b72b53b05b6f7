package apprunner

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// redeploy deploys a service again as it is configured.
// https://docs.aws.amazon.com/apprunner/latest/api/API_StartDeployment.html
func (r run) redeploy(ctx context.Context) (done state.Outcome, err error) {
	defer func() { err = hide(err, r.a.Have.Fields) }()
	arn := r.a.Have.ID
	if _, err := r.p.idle(ctx, arn, r.progress); err != nil {
		return state.Outcome{}, err
	}
	before, err := r.p.newest(ctx, arn)
	if err != nil {
		return state.Outcome{}, err
	}
	r.progress("redeploying")
	var op string
	err = r.whenIdle(ctx, arn, func() error {
		out, err := r.p.api.StartDeployment(ctx, &sdk.StartDeploymentInput{ServiceArn: &arn})
		if err == nil {
			op = aws.ToString(out.OperationId)
			return nil
		}
		// The answer may have got lost and the deployment be under way. Whoever started one
		// since this run looked: it does just what is asked.
		now, lookErr := r.p.newest(ctx, arn)
		if lookErr == nil && now.Type == types.OperationTypeStartDeployment && aws.ToString(now.Id) != aws.ToString(before.Id) {
			op = aws.ToString(now.Id)
			return nil
		}
		return err
	})
	if err != nil {
		return r.fail("redeploy", err)
	}
	return r.settle(ctx, arn, op, state.Resource{Address: r.a.Target})
}

// RollsOut reports whether an operation starts instances of a version.
func RollsOut(t types.OperationType) bool {
	switch t {
	case types.OperationTypeCreateService, types.OperationTypeUpdateService, types.OperationTypeStartDeployment:
		return true
	}
	return false
}

// newest returns the last operation of a service, which is zero when it never had any.
func (p *Provider) newest(ctx context.Context, arn string) (types.OperationSummary, error) {
	out, err := p.api.ListOperations(ctx, &sdk.ListOperationsInput{ServiceArn: &arn, MaxResults: aws.Int32(1)})
	if err != nil {
		return types.OperationSummary{}, fmt.Errorf("service %q: list operations: %w", serviceName(arn), awsapi.Explain(err))
	}
	if len(out.OperationSummaryList) == 0 {
		return types.OperationSummary{}, nil
	}
	return out.OperationSummaryList[0], nil
}

// pause takes a service's instances away. One that is paused already is not an error: the
// answer to an earlier attempt may have got lost.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-pause.html
func (r run) pause(ctx context.Context) (state.Outcome, error) {
	return r.turn(ctx, "pause", types.ServiceStatusPaused, func(arn string) (*string, error) {
		out, err := r.p.api.PauseService(ctx, &sdk.PauseServiceInput{ServiceArn: &arn})
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
}

// resume starts a paused service, and asks its URL unless something else follows.
func (r run) resume(ctx context.Context) (state.Outcome, error) {
	done, err := r.turn(ctx, "resume", types.ServiceStatusRunning, func(arn string) (*string, error) {
		out, err := r.p.api.ResumeService(ctx, &sdk.ResumeServiceInput{ServiceArn: &arn})
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err == nil && r.a.Alone {
		r.progress("asking " + done.URL)
		err = r.p.Verify(ctx, r.name(), done.URL)
	}
	return done, err
}

// turn brings a service to a status by a call that starts an operation, or none when
// there is nothing to do, and wants to see that status in the end.
func (r run) turn(ctx context.Context, verb string, want types.ServiceStatus, call func(arn string) (*string, error)) (state.Outcome, error) {
	arn, followed := r.a.Have.ID, false
	var last error
	for range attempts {
		s, err := r.p.idle(ctx, arn, r.progress)
		switch {
		case err != nil:
			return state.Outcome{}, err
		case s.Status == want:
			return state.Outcome{ID: arn, URL: serviceURL(aws.ToString(s.ServiceUrl))}, nil
		case followed:
			return state.Outcome{}, &MismatchError{Service: r.name(), Paths: []string{"status"}}
		}
		op, err := call(arn)
		if awsapi.Is(err, "InvalidStateException") {
			if last = err; awsapi.Sleep(ctx, r.p.o.Poll) != nil {
				return state.Outcome{}, context.Cause(ctx)
			}
			continue // perhaps for this very operation: its answer may have got lost
		}
		if err != nil {
			return r.fail(verb, err)
		}
		if op != nil {
			if err := r.follow(ctx, arn, *op); err != nil {
				return state.Outcome{}, err
			}
			followed = true
		}
	}
	return r.fail(verb, busy(last))
}
