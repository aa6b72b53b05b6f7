package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// doing is what an operation is as an action of a plan.
var doing = map[types.OperationType]plan.Op{
	types.OperationTypeCreateService:   plan.Create,
	types.OperationTypeUpdateService:   plan.Update,
	types.OperationTypeStartDeployment: plan.Redeploy,
	types.OperationTypePauseService:    plan.Pause,
	types.OperationTypeResumeService:   plan.Resume,
	types.OperationTypeDeleteService:   plan.Delete,
}

// idle waits until no operation is under way on any of the services. How one ends is told
// and no error: what is live afterwards decides what there is to do.
func (s *session) idle(ctx context.Context, w wiring, live state.Live) error {
	return s.each(ctx, w, live, func(o state.Observed, follow func() error) error {
		if o.Phase != state.Busy {
			return nil
		}
		var failed interface{ DeploymentFailed() bool }
		if err := follow(); err != nil && (!errors.As(err, &failed) || !failed.DeploymentFailed()) {
			return err
		}
		return nil
	})
}

// await follows what is under way to its end, and tells how the last operation of each
// service ended and whether the service answers.
func (s *session) await(ctx context.Context, w wiring, live state.Live) error {
	err := s.each(ctx, w, live, func(o state.Observed, follow func() error) error {
		if err := follow(); err != nil {
			return err
		}
		ops := o.Detail.(apprunner.Live).Operations
		if len(ops) > 0 && (ops[0].Type == types.OperationTypePauseService || ops[0].Type == types.OperationTypeDeleteService) {
			return nil
		}
		return w.apprunner.Verify(ctx, o.Address.Name, o.URL)
	})
	if err != nil {
		s.a.warnUnlearned(s.learn(ctx, w, live))
	}
	return err
}

// each calls what for each service that exists, with a function that follows its last
// operation to its end, if it has not ended, and tells how it ended.
func (s *session) each(ctx context.Context, w wiring, live state.Live, what func(o state.Observed, follow func() error) error) error {
	stream := render.Events(s.a.err, s.a.events())
	var errs *multierror.Error
	for _, spec := range s.specs {
		o, ok := live[serviceAddress(spec)]
		if !ok {
			continue
		}
		if err := what(o, func() error { return follow(ctx, w, o, stream) }); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if err := stream.Close(); err != nil {
		errs = multierror.Append(errs, err)
	}
	var left *apprunner.LeftError
	if err := errs.ErrorOrNil(); errors.As(err, &left) {
		s.a.say("apron: %v", left)
	}
	return interruptible(ctx, errs.ErrorOrNil())
}

// follow follows the last operation of a service. What AWS does by itself to maintain it
// is no operation, and is waited for.
func follow(ctx context.Context, w wiring, o state.Observed, stream *render.Stream) error {
	ops := o.Detail.(apprunner.Live).Operations
	a := plan.Action{ID: plan.ID("wait " + o.Address.String()), Op: plan.Update, Target: o.Address, Have: o}
	env := apply.Env{Progress: func(p apply.Progress) {
		p.Action = a.ID
		stream.Progress(p)
	}}
	if len(ops) > 0 {
		a.Op = doing[ops[0].Type]
	}
	if o.Phase != state.Busy {
		if len(ops) == 0 {
			return nil
		}
		return w.apprunner.Follow(ctx, a, ops[0], apply.Env{}) // it has ended: there is nothing to show
	}
	start := time.Now()
	stream.Observe(apply.Event{Action: a, Status: apply.Started})
	var err error
	if len(ops) > 0 {
		err = w.apprunner.Follow(ctx, a, ops[0], env)
	}
	if idleErr := w.apprunner.Idle(ctx, o.ID, func(phase string) { env.Progress(apply.Progress{Phase: phase}) }); err == nil && a.Op != plan.Delete {
		err = idleErr
	}
	ended := apply.Event{Action: a, Status: apply.Done, Err: err, Took: time.Since(start)}
	if err != nil {
		ended.Status = apply.Failed
	}
	stream.Observe(ended)
	return err
}
