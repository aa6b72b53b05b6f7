package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/lock"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// lockFlags are how a run keeps others from writing to its services meanwhile.
type lockFlags struct {
	none bool
	wait time.Duration
}

func (l *lockFlags) register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&l.wait, "lock-timeout", 0, "how long to wait while another run holds the lock of a service, such as 10m (default not at all)")
	cmd.Flags().BoolVar(&l.none, "no-lock", false, "do not keep other runs from writing to the same services meanwhile")
}

// lockSlack is how long a lock outlives the longest operation that a run waits for.
const lockSlack = 5 * time.Minute

// locker acquires locks for a run of verb.
func (s *session) locker(verb string, life time.Duration) *lock.Locker {
	who := lock.Here(verb, s.id.ARN, s.actor().CI, s.a.ciJob())
	return lock.New(ssmsdk.NewFromConfig(s.cfg), who, life, lock.Options{})
}

// ciJob names a job of a CI run, the same each time that it is tried; or "".
func (a *app) ciJob() string {
	get := func(name string) string { return a.fallback(name, "") }
	switch {
	case get("GITHUB_RUN_ID") != "":
		return fmt.Sprintf("%s/%s/actions/runs/%s job %s", get("GITHUB_SERVER_URL"), get("GITHUB_REPOSITORY"), get("GITHUB_RUN_ID"), get("GITHUB_JOB"))
	case get("CI_PIPELINE_URL") != "":
		return get("CI_PIPELINE_URL") + " job " + get("CI_JOB_NAME")
	}
	return ""
}

// written are the services that a plan writes to, or that must not change under it.
func (s *session) written(p planned) []string {
	var names []string
	for _, spec := range s.specs {
		if slices.ContainsFunc(p.plan.Actions, func(a plan.Action) bool { return p.about(spec, a) }) {
			names = append(names, spec.Service)
		}
	}
	if p.plan.Empty() {
		return names
	}
	for _, name := range p.locks {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// about reports whether an action changes something of a service, also where the plan is
// of a part.
func (p planned) about(spec state.Spec, a plan.Action) bool {
	return a.Target == serviceAddress(spec) || a.Target.Target == "ssm" && strings.HasPrefix(a.Target.Name, ssm.ParameterName(spec.Service, "")) ||
		p.recording != nil && p.concerns(spec, a)
}

// locked makes this run the only one that writes to the plan's services, until unlock is
// called. If it had to wait for another run, or goes on without a service that another run
// writes to, it plans again, and asks again where that is another plan. An empty plan is
// returned unlocked.
func (s *session) locked(ctx context.Context, p planned, o applyFlags) (again planned, unlock func(), err error) {
	if o.lock.none {
		return p, func() {}, nil
	}
	l := s.locker(p.command(), o.timeout+lockSlack)
	var mine []string
	release := func() { s.unlock(ctx, l, mine) }
	for {
		more := slices.DeleteFunc(s.written(p), func(name string) bool { return slices.Contains(mine, name) })
		held, waited, err := s.acquire(ctx, l, more, o)
		if err == nil {
			mine = append(mine, slices.DeleteFunc(more, func(name string) bool { return slices.Contains(held, name) })...)
		}
		if err != nil {
			release()
			return p, nil, interruptible(ctx, lockRights(err))
		}
		if !waited && len(held) == 0 {
			stop := l.Keep(ctx, mine, func(e *lock.LostError) { s.a.warn("%v", e) })
			return p, func() { stop(); release() }, nil
		}
		if p, err = s.replanned(ctx, p, o, len(held) > 0); err != nil || p.plan.Empty() {
			release()
			return p, func() {}, err
		}
	}
}

// acquire gets the locks of services. Where others hold some of them, and the run goes on
// without those, it says which.
func (s *session) acquire(ctx context.Context, l *lock.Locker, services []string, o applyFlags) (held []string, waited bool, err error) {
	tell := func(e *lock.HeldError) {
		s.a.say("apron: %v", e)
		s.a.say("apron: waiting for that run, for up to %s", o.lock.wait)
	}
	if !s.isolates {
		waited, err = l.AcquireAll(ctx, services, o.lock.wait, tell)
		return nil, waited, err
	}
	got, missed, waited, err := l.AcquireEach(ctx, services, o.lock.wait, tell)
	if err != nil || len(missed) == 0 {
		return nil, waited, err
	}
	if err := s.without(multierror.Append(nil, missed...)); err != nil {
		s.unlock(ctx, l, got)
		return nil, waited, err
	}
	for _, e := range missed {
		s.a.warn("%v", e)
		held = append(held, about(e))
	}
	return held, waited, nil
}

// replanned plans again after another run has written to the services, or without those
// that it writes to, and has another plan agreed to. Less of the same needs nobody's yes.
func (s *session) replanned(ctx context.Context, before planned, o applyFlags, less bool) (planned, error) {
	p, err := before.again(ctx)
	if err != nil {
		return p, err
	}
	p.again = before.again
	added, changed, gone := s.fingerprint(p).Since(s.fingerprint(before))
	narrower := less && len(added)+len(changed) == 0
	switch {
	case o.approved != nil && !narrower:
		if err := s.check(ctx, o.approved, p); err != nil || !p.plan.Empty() {
			return p, err
		}
		return p, s.show(p, o) // what was agreed to is done already
	case p.missing != nil:
		return p, p.missing
	case narrower && p.plan.Empty(): // all there was to do is somebody else's
		return p, s.show(p, o)
	case narrower, len(added)+len(changed)+len(gone) == 0:
		return p, nil
	}
	s.a.say("What is live has changed meanwhile. What there is to do now:")
	if err := s.show(p, o); err != nil || p.plan.Empty() {
		return p, err
	}
	return p, s.a.confirm(ctx, o.yes)
}

// lockRights says of a lock that may not be put that there is a way without.
func lockRights(err error) error {
	if e, ok := errors.AsType[*awsapi.Error](err); ok && e.Credentials {
		return &awsapi.Error{Why: err.Error(), Credentials: true, Err: err,
			Fix: "let the identity use ssm:GetParameters, PutParameter and DeleteParameters on parameter/apron/lock/*, or do without a lock: --no-lock"}
	}
	return err
}

// unlock gives locks back, also after an interrupt. A run that is being killed does not.
func (s *session) unlock(ctx context.Context, l *lock.Locker, services []string) {
	going, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if signal := (errInterrupted{}); !errors.As(context.Cause(ctx), &signal) {
			cancel()
		}
	})()
	if err := l.ReleaseAll(going, services); err != nil && going.Err() == nil {
		s.a.warn("%v", err)
		s.a.say("apron: hint: the lock expires by itself; `apron unlock` takes it away")
	}
}

func (a *app) unlockCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Take away the lock that a run which is gone has left",
		Long: "unlock deletes the lock of the manifest's services if it has expired, or if the run that\n" +
			"holds it has ended on this machine. A lock that somebody else holds stays, and they are\n" +
			"named: --force takes it away, and what their run goes on to do is not kept apart from\n" +
			"others' any more.",
		Example: "  apron unlock\n  apron unlock -e production --force\n  apron unlock --only web --force",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runUnlock(cmd.Context(), force)
		},
	}
	a.registerOnly(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "take it away from whoever holds it")
	return cmd
}

// unlocked is what unlock says of a service.
type unlocked struct {
	Service string       `json:"service"`
	Removed bool         `json:"removed"`
	Holder  *lock.Holder `json:"holder,omitempty"` // before; absent where there was no lock
}

func (a *app) runUnlock(ctx context.Context, force bool) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	l := s.locker("unlock", lockSlack)
	s.guard.PermitWrites()
	all := []unlocked{}
	var errs []error
	for _, spec := range s.specs {
		u, err := removeLock(ctx, l, spec, force)
		if err != nil {
			errs = append(errs, interruptible(ctx, err))
			continue
		}
		all = append(all, u)
	}
	if render.Format(a.format) == render.JSON {
		errs = append(errs, a.encode(struct {
			FormatVersion string     `json:"format_version"`
			Services      []unlocked `json:"services"`
		}{render.FormatVersion, all}))
		return errors.Join(errs...)
	}
	for _, u := range all {
		if !u.Removed {
			fmt.Fprintf(a.out, "%s is not locked.\n", u.Service)
			continue
		}
		fmt.Fprintf(a.out, "%s is unlocked. The lock was of %s.\n", u.Service, u.Holder)
	}
	return errors.Join(errs...)
}

func removeLock(ctx context.Context, l *lock.Locker, spec state.Spec, force bool) (unlocked, error) {
	u := unlocked{Service: spec.Service}
	found, err := l.Look(ctx, spec.Service)
	if err != nil || found == nil {
		return u, err
	}
	u.Removed, u.Holder = true, &found.Holder
	switch {
	case force:
		return u, l.Break(ctx, *found)
	case l.Free(found.Holder):
		if err := l.Remove(ctx, *found); err != nil {
			return u, err
		}
		if found, err = l.Look(ctx, spec.Service); err != nil || found == nil {
			return u, err
		}
		// somebody else has taken it over
	}
	return u, &lock.HeldError{Found: *found}
}
