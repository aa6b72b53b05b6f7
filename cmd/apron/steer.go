package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) redeployCommand() *cobra.Command {
	return a.steerCommand(plan.Redeploy, &cobra.Command{
		Short: "Deploy again what is configured: rotated secrets, a tag that was moved",
		Long: "redeploy is App Runner's StartDeployment: the configuration stays as it is, and the new\n" +
			"instances read the secrets as they are now and run the image that the tag names now.\n" +
			"It follows that very deployment to its end and requests the real URL; one that was\n" +
			"rolled back exits with 7.",
		Example: "  apron redeploy\n  apron redeploy -e production --yes",
	})
}

func (a *app) pauseCommand() *cobra.Command {
	return a.steerCommand(plan.Pause, &cobra.Command{
		Short: "Take the service's instances away until it is resumed",
		Long: "pause takes the service down without deleting it: its URL does not answer, what its\n" +
			"instances hold in memory and files is lost, and computing is not charged. The URL and\n" +
			"every setting stay. A paused service cannot be changed or deployed. AWS advises against\n" +
			"it for a bad version: deploy a good one instead.\n" +
			"https://docs.aws.amazon.com/apprunner/latest/dg/manage-pause.html",
		Example: "  apron pause\n  apron pause --wait --yes",
	})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.steerCommand(plan.Resume, &cobra.Command{
		Short: "Start a paused service again",
		Long: "resume starts the version that ran before the service was paused, not an image that was\n" +
			"pushed meanwhile, follows the operation to its end and requests the real URL.",
		Example: "  apron resume\n  apron resume --yes",
	})
}

// steerCommand completes a command whose verb changes no setting.
func (a *app) steerCommand(op plan.Op, cmd *cobra.Command) *cobra.Command {
	var o applyFlags
	var wait bool
	cmd.Use = string(op)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return &usageError{err: err, command: cmd.CommandPath()}
		}
		return a.runSteer(cmd.Context(), op, o, wait)
	}
	o.register(cmd)
	a.registerOnly(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for an operation that is under way, and refuse only without it")
	return cmd
}

func (a *app) runSteer(ctx context.Context, op plan.Op, o applyFlags, wait bool) error {
	s, err := a.openEach(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(o)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		return goOn(ctx, s, func(ctx context.Context) (planned, error) {
			live, err := s.services(ctx, w)
			if err == nil && wait && s.busy(live) {
				if err = s.idle(ctx, w, live); err == nil {
					live, err = s.services(ctx, w)
				}
			}
			if err != nil {
				return planned{}, err
			}
			var all []state.Address
			wanted := map[string][]state.Resource{}
			for _, spec := range s.specs {
				all = append(all, serviceAddress(spec))
				wanted[spec.Service] = []state.Resource{{Address: serviceAddress(spec)}}
			}
			p, err := plan.Steer(op, all, live, plan.SteerOptions{Wait: wait})
			if err != nil {
				return planned{}, s.refusals(err, wanted)
			}
			return planned{plan: p, facts: facts{live: live}, verb: string(op)}, nil
		})
	})
	if err != nil {
		return err
	}
	return s.failures(s.execute(ctx, w, p, o))
}

// services observes the services of the manifests and what App Runner has beside them, and
// nothing else.
func (s *session) services(ctx context.Context, w wiring) (state.Live, error) {
	q := reconcile.Query{Account: s.id.Account, Region: s.cfg.Region, Specs: s.specs}
	for _, addr := range s.addresses() {
		if slices.Contains(w.apprunner.Types(), addr.Type()) {
			q.Want = append(q.Want, addr)
		}
	}
	live, _, err := w.apprunner.Observe(ctx, q)
	if err != nil {
		return nil, interruptible(ctx, s.unread(err, nil))
	}
	s.seen = live
	return live, nil
}
