package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// applyFlags are what steers the execution of a plan.
type applyFlags struct {
	builderFlags
	yes         bool
	timeout     time.Duration
	parallelism int
	lock        lockFlags
	approved    *approved // what was agreed to; nil: the plan is shown, and somebody asked
}

func (o *applyFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.DurationVar(&o.timeout, "timeout", 35*time.Minute, "how long to wait for one operation of App Runner")
	f.IntVar(&o.parallelism, "parallelism", 8, "how many actions run at once")
	o.lock.register(cmd)
}

// check finds what cannot work before anything is done.
func (o *applyFlags) check() error {
	switch {
	case o.timeout <= 0:
		return fmt.Errorf("--timeout %s: must be more than nothing", o.timeout)
	case o.parallelism < 1:
		return fmt.Errorf("--parallelism %d: must be at least 1", o.parallelism)
	}
	return o.builderFlags.check()
}

func (a *app) applyCommand() *cobra.Command {
	var flags planFlags
	var o applyFlags
	var agreed string
	var noReview bool
	cmd := &cobra.Command{
		Use:     "apply [PLAN]",
		Aliases: []string{"up", "deploy"},
		Short:   "Build, push, deploy, wait and verify: what plan shows",
		Long: "apply shows the plan, asks, and carries it out: it builds and pushes the image,\n" +
			"deploys it, follows the operation to its end, compares what is live with what was\n" +
			"asked, and requests the real URL. A rollout that was rolled back is a failure.\n\n" +
			"With a PLAN that plan --out saved it plans again, and goes on only if that is what\n" +
			"was approved: what moved since is shown, and refused with exit code 6. --approved does\n" +
			"the same with the plan that a comment on the merged pull request shows and a review\n" +
			"agrees to: see apron docs approvals.",
		Example: "  apron apply --sandbox --yes\n  apron apply -e production\n  apron plan --out plan.json && apron apply plan.json\n  apron apply --approved",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			if err == nil {
				o.approved, err = a.approvalOf(args, agreed, noReview, &flags)
			}
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if o.approved != nil && o.approved.pull {
				if err := a.canAsk(); err != nil {
					return err
				}
			}
			return a.runApply(cmd.Context(), flags, o)
		},
	}
	flags.register(cmd)
	o.register(cmd)
	o.registerBuilder(a, cmd)
	a.registerOnly(cmd)
	cmd.Flags().StringVar(&agreed, "approved", "", "fingerprint of the plan that was approved: do that, or nothing; without one, what the merged pull request of GITHUB_SHA shows and its review approves")
	cmd.Flags().Lookup("approved").NoOptDefVal = byPull
	cmd.Flags().BoolVar(&noReview, "no-review", false, "with --approved alone: take the merge for the approval of what the comment showed before it")
	return cmd
}

// fallback is the default of a flag: an environment variable's value, if it has one.
func (a *app) fallback(name, otherwise string) string {
	if v, ok := a.lookup(name); ok && v != "" {
		return v
	}
	return otherwise
}

func (a *app) runApply(ctx context.Context, flags planFlags, o applyFlags) error {
	s, err := a.openEach(ctx, true)
	if err != nil {
		return err
	}
	w := s.wire(o)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		return goOn(ctx, s, func(ctx context.Context) (planned, error) {
			f, err := s.settled(ctx, w, false)
			if err != nil {
				return planned{}, err
			}
			return s.plan(f, flags.options(), true, everything)
		})
	})
	if err != nil {
		return err
	}
	if err := s.agreed(ctx, p, &o); err != nil {
		return s.failures(err)
	}
	before := len(s.out)
	if p, err = s.feasible(ctx, w, p, flags); err != nil {
		return err
	}
	if len(s.out) > before {
		if err := s.agreed(ctx, p, &o); err != nil {
			return s.failures(err)
		}
	}
	if err := s.failures(s.execute(ctx, w, p, o)); err != nil {
		return err
	}
	if a.sandbox.on {
		a.say("The sandbox goes on running: `apron sandbox stop` ends it, `apron destroy --sandbox` removes the service.")
	}
	return nil
}

// agreed refuses a plan that is not the one that was approved, if one was.
func (s *session) agreed(ctx context.Context, p planned, o *applyFlags) error {
	if o.approved == nil {
		return nil
	}
	o.yes = true // somebody said it before
	return s.check(ctx, o.approved, p)
}

// feasible leaves out the services whose rollout cannot succeed, as far as that is known
// before, or that lack the value of a secret, and plans what is left.
func (s *session) feasible(ctx context.Context, w wiring, p planned, flags planFlags) (planned, error) {
	for {
		wrong := s.verified(ctx, w, p, flags)
		if p.missing != nil && s.several() { // of one service the plan is shown first
			wrong = multierror.Append(wrong, p.missing)
		}
		if wrong == nil {
			return p, nil
		}
		if err := s.without(wrong); err != nil {
			return p, err
		}
		again, err := p.again(ctx)
		if err != nil {
			return p, err
		}
		again.again = p.again
		p = again
	}
}

// settled observes, and waits for operations that are under way before it does so again:
// how they end decides what there is to do.
func (s *session) settled(ctx context.Context, w wiring, users bool) (facts, error) {
	f, err := s.observe(ctx, w, users)
	if err != nil || !s.busy(f.live) {
		return f, err
	}
	if err := s.idle(ctx, w, f.live); err != nil {
		return facts{}, err
	}
	return s.observe(ctx, w, users)
}

// verify requests what the manifests want verified where there is nothing to apply: a
// service that failed it the last time is no better for having been left alone.
func (s *session) verify(ctx context.Context, w wiring, p planned) error {
	if p.destroy || p.part {
		return nil
	}
	var errs *multierror.Error
	for _, spec := range s.specs {
		if o := p.facts.live[serviceAddress(spec)]; o.Phase == state.Ready {
			if err := w.apprunner.Verify(ctx, spec.Service, o.URL); err != nil {
				errs = multierror.Append(errs, err)
			}
		}
	}
	return interruptible(ctx, errs.ErrorOrNil())
}

// execute shows a plan, asks, and carries it out while nobody else does so with its services.
func (s *session) execute(ctx context.Context, w wiring, p planned, o applyFlags) error {
	a := s.a
	if err := s.show(p, o); err != nil {
		return err
	}
	if p.missing != nil {
		return p.missing
	}
	if p.plan.Empty() {
		return s.unchanged(ctx, w, p)
	}
	if !o.yes {
		if err := s.warnLeftOut(); err != nil { // nobody agrees to what they do not know
			return err
		}
	}
	if err := a.confirm(ctx, o.yes); err != nil {
		return err
	}
	s.guard.PermitWrites()
	p, unlock, err := s.locked(ctx, p, o)
	if err != nil {
		return err
	}
	defer unlock()
	if !p.plan.Empty() {
		if p, err = s.fresh(ctx, w, p, o); err != nil {
			return err
		}
	}
	if p.plan.Empty() {
		return s.unchanged(ctx, w, p)
	}
	started := time.Now()
	report, err := s.walk(ctx, w, p, o)
	if err != nil {
		a.warnUnlearned(s.learn(ctx, w, p.facts.live))
	}
	interrupted := ctx.Err() != nil
	numbers := s.record(ctx, w, p, ran{started, time.Since(started), report, err})
	h := s.header(p.facts.live)
	h.Destroy, h.Verb = p.destroy, p.verb
	h.Services = s.rows(p)
	for i, spec := range s.specs {
		h.Services[i].Changes = nil
		if s.several() {
			h.Services[i].Result = render.ResultOf(slices.DeleteFunc(slices.Clone(report.Results), func(r apply.Result) bool {
				return !p.about(spec, r.Action)
			}))
		}
		h.Services[i].Release = numbers[spec.Service]
		for _, r := range report.Results {
			if r.Action.Target == apprunner.Service(spec.Service) && r.Outcome.URL != "" {
				h.Services[i].URL = r.Outcome.URL
			}
			if r.Action.Target == apprunner.Service(spec.Service) && r.Action.Op == plan.Delete && r.Status == apply.Done {
				h.Services[i].URL = ""
			}
		}
	}
	err = s.failures(err)
	v := render.NewReport(report, err, h)
	if writeErr := errors.Join(a.write(v), a.summarize(v), s.tellDeployed(p, report, h.Services)); err == nil {
		err = writeErr
	}
	if !p.destroy && !p.part && !interrupted {
		s.tellDomains(ctx, w)
	}
	if interrupted {
		for _, r := range report.Results {
			var left *apprunner.LeftError
			if errors.As(r.Err, &left) {
				a.say("apron: %v", left)
			}
		}
		switch {
		case p.part:
			a.say("What was done stays: `apron %s` again to go on.", p.command())
		case !p.destroy && onlyImages(report):
			a.say("Nothing was deployed: `apron %s` again to go on.", p.command())
		default:
			a.say("What AWS was told to do goes on without apron: follow it with `apron status --wait`, and `apron %s` again to go on.", p.command())
		}
		return context.Cause(ctx)
	}
	return err
}

// unchanged ends a run that has nothing to do: what is live must be as good as if it had just
// been made.
func (s *session) unchanged(ctx context.Context, w wiring, p planned) error {
	if err := s.verify(ctx, w, p); err != nil {
		return err
	}
	s.confess(ctx, w, p)
	return errors.Join(s.summarizePlan(p), s.tellDeployed(p, &apply.Report{}, s.header(p.facts.live).Services))
}

// fresh plans again, under the locks, where what the plan was made from may be gone: somebody
// was asked, which takes its time, or another run has ended since and left a release.
func (s *session) fresh(ctx context.Context, w wiring, p planned, o applyFlags) (planned, error) {
	if p.again == nil {
		return p, nil
	}
	if o.yes && !p.twice {
		if o.lock.none || p.recording == nil {
			return p, nil
		}
		now, _, err := s.recent(ctx, w)
		if err != nil {
			return p, interruptible(ctx, err)
		}
		if !slices.ContainsFunc(s.written(p), func(service string) bool { return now[service].Newest != p.facts.recent[service].Newest }) {
			return p, nil
		}
	}
	return s.replanned(ctx, p, o, true)
}

// onlyImages reports whether a run came no further than to its images, which are no more than
// a start.
func onlyImages(report *apply.Report) bool {
	return !slices.ContainsFunc(report.Results, func(r apply.Result) bool {
		return r.Status != apply.Skipped && r.Action.Target.Type() != image.Type
	})
}

// walk does what a plan says, and shows how it goes.
func (s *session) walk(ctx context.Context, w wiring, p planned, o applyFlags) (*apply.Report, error) {
	stream := render.Events(s.a.err, s.a.events())
	report, err := apply.Run(ctx, p.plan, reconcile.Known(p.facts.live), w.all, apply.Options{
		Parallelism: o.parallelism, Observe: stream.Observe, Progress: stream.Progress, Parts: s.parts(p)})
	if closeErr := stream.Close(); err == nil {
		err = closeErr
	}
	return report, err
}

// parts names the services that an action is about. One service's are not told apart: there
// is nothing that another one could want of them.
func (s *session) parts(p planned) func(plan.Action) []string {
	if !s.several() {
		return nil
	}
	return func(a plan.Action) (services []string) {
		for _, spec := range s.specs {
			if p.about(spec, a) || p.concerns(spec, a) {
				services = append(services, spec.Service)
			}
		}
		return services
	}
}

// show writes a plan that is to be carried out to where it is read.
func (s *session) show(p planned, o applyFlags) error {
	switch {
	case render.Format(s.a.format) == render.Text || p.plan.Empty():
		return s.a.write(s.view(p))
	case !o.yes, p.twice: // stdout is for the report, and nobody agrees to what they have not seen
		return render.Write(s.a.err, s.view(p), render.Options{Color: s.a.colorErr})
	}
	return nil
}

func (a *app) events() render.EventOptions {
	o := render.EventOptions{Style: render.Lines, Color: a.colorErr, Width: a.width, Folds: a.err}
	if a.ttyErr {
		o.Style = render.Live
	}
	return o
}
