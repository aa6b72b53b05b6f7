package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// driftFlags are what drift does with what it finds.
type driftFlags struct {
	revert  bool
	accept  bool
	explain string // who, or empty
	issue   bool
	notify  notifyFlags
}

func (a *app) driftCommand() *cobra.Command {
	var flags driftFlags
	var o applyFlags
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Say what somebody has changed since the last release: reads only",
		Long: "drift compares what is live with what the newest release that succeeded left, setting by\n" +
			"setting, whatever the manifest says by now. It exits with 2 when anything differs and\n" +
			"with 0 when nothing does. What a later release left that did not succeed differs, too, and\n" +
			"is told as that. Without a record it compares with the manifest, and says so.\n\n" +
			"--revert plans to bring everything back to that release, asks, and does so. --accept\n" +
			"writes what is live into the manifest instead, where it stands: the next apply records it.",
		Example: "  apron drift\n  apron drift --format markdown\n  apron drift --revert",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if flags.explain != "" && flags.explain != "who" {
				return &usageError{err: fmt.Errorf("--explain %q: there is who", flags.explain), command: cmd.CommandPath()}
			}
			if err := flags.notify.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if flags.accept && flags.revert {
				return &usageError{err: errors.New("--accept and --revert are two answers to the same question: give one"), command: cmd.CommandPath()}
			}
			if flags.issue {
				if flags.revert {
					return &usageError{err: errors.New("--issue tells of drift, and --revert undoes it: run one after the other"), command: cmd.CommandPath()}
				}
				if err := a.canOpenIssues(); err != nil {
					return err
				}
			}
			return a.runDrift(cmd.Context(), flags, o)
		},
	}
	o.register(cmd)
	a.registerOnly(cmd)
	cmd.Flags().BoolVar(&flags.revert, "revert", false, "plan to bring back what the last release left, ask, and do so")
	cmd.Flags().BoolVar(&flags.accept, "accept", false, "write what is live into the manifest")
	cmd.Flags().StringVar(&flags.explain, "explain", "", "who: say who changed what is live, by CloudTrail")
	cmd.Flags().BoolVar(&flags.issue, "issue", false, "keep a GitHub issue for each service: opened, edited and closed as what differs comes and goes")
	flags.notify.register(a, cmd)
	return cmd
}

func (a *app) runDrift(ctx context.Context, flags driftFlags, o applyFlags) error {
	s, err := a.openEach(ctx, false)
	if err != nil {
		return err
	}
	place, err := s.onlyPlace("apron drift --revert")
	if flags.revert && err != nil {
		return err
	}
	w := s.wire(o)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	orphans := s.askForOrphans(asking)
	f, err := goOn(ctx, s, func(ctx context.Context) (facts, error) { return s.released(ctx, w) })
	if err != nil {
		return err
	}
	differences, err := goOn(ctx, s, func(ctx context.Context) (map[string]difference, error) { return s.differences(ctx, w, f) })
	if err != nil {
		return err
	}
	v := render.NewDrift(s.header(f.live), s.unsettled(f))
	v.Leftovers = orphans(w)
	found := map[string][]plan.Action{}
	for _, spec := range s.specs {
		d := differences[spec.Service]
		v.Add(spec.Service, f.recent[spec.Service], d.actions, d.compared)
		found[spec.Service] = d.actions
	}
	for _, o := range s.out {
		v.LeaveOut(o.service, o.result, o.err)
	}
	if flags.explain == "who" {
		s.explainWho(ctx, v, f)
	}
	if !flags.revert || !v.Drifted {
		if err := errors.Join(a.write(v), a.summarize(v)); err != nil {
			return err
		}
		var untold *multierror.Error
		if flags.issue {
			untold = multierror.Append(untold, s.issues(ctx, v))
		}
		if !v.Drifted {
			return s.failures(untold.ErrorOrNil())
		}
		untold = multierror.Append(untold, a.notify(ctx, flags.notify, v))
		if flags.accept {
			if complete, err := s.accept(found); err != nil || complete {
				return s.failures(multierror.Append(untold, err).ErrorOrNil())
			}
		}
		if err := untold.ErrorOrNil(); err != nil {
			return s.failures(err)
		}
		return s.failures(errChanges)
	}
	if success := f.recent[place.Service].Success; success != nil {
		if err := s.imageKept(ctx, w, place, *success, f.recent[place.Service].Attempts); err != nil {
			return err
		}
		back, err := s.as(*success)
		if err != nil {
			return err
		}
		return s.goBack(ctx, back, *success, o)
	}
	if runs, ok := f.live[serviceAddress(s.specs[0])]; ok {
		return s.backToManifest(ctx, runs, o)
	}
	return a.runApply(ctx, planFlags{}, o)
}

// backToManifest plans, shows and does what makes a service that no record tells of what its
// manifest says, but for its image: that of the sources was never compared.
func (s *session) backToManifest(ctx context.Context, runs state.Observed, o applyFlags) error {
	one, err := s.asItRuns(s.specs[0], runs)
	if err != nil {
		return err
	}
	w := one.wire(o)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := one.settled(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		p, err := one.plan(f, plan.Options{}, true, everything)
		p.typed = "drift --revert"
		return p, err
	})
	if err != nil {
		return err
	}
	return one.execute(ctx, w, p, o)
}

// foreignError says that a service runs an image that its manifest's repository does not have.
type foreignError struct{ service, image, repository string }

var _ error = (*foreignError)(nil)

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s runs %s, which is not in the repository %s, and no record tells what it ran before; nothing was changed", e.service, e.image, e.repository)
}

// Hint says what deploys an image of the repository.
func (e *foreignError) Hint() string { return "apron apply deploys what the manifest says" }

// asItRuns is the session of a service whose image is the one that runs. Which version that
// is nobody has recorded, and that of the manifest may be still to come.
func (s *session) asItRuns(spec state.Spec, runs state.Observed) (*session, error) {
	one := s.only(spec)
	if spec.Image.InPlace { // the manifest names it
		return one, nil
	}
	tag, ok := strings.CutPrefix(runs.Value("image"), "ecr/image/"+spec.Image.Repository+":")
	if !ok {
		return nil, &foreignError{spec.Service, strings.TrimPrefix(runs.Value("image"), "ecr/image/"), spec.Image.Repository}
	}
	spec.Image.Version = ""
	one.specs[0], one.existing[spec.Service] = spec, tag
	set := *s.set
	one.set, set.Documents = &set, nil
	for _, d := range s.set.Documents {
		if d.Spec.Service == spec.Service {
			d.Spec = spec
			set.Documents = append(set.Documents, d)
		}
	}
	return one, nil
}

// released reads the last releases and, of what they wanted, what is live.
func (s *session) released(ctx context.Context, w wiring) (facts, error) {
	recent, damaged, err := s.recent(ctx, w)
	if err != nil {
		return facts{}, interruptible(ctx, s.unread(err, nil))
	}
	q := reconcile.Query{Account: s.id.Account, Region: s.cfg.Region, Specs: s.specs, Want: s.addresses()}
	recorded := map[string][]state.Address{}
	var damage *multierror.Error
	for service, r := range recent {
		if r.Success == nil {
			continue
		}
		wanted, err := r.Success.Wanted()
		if err != nil {
			damage = multierror.Append(damage, &serviceError{service, err})
		}
		for _, res := range wanted {
			recorded[service] = append(recorded[service], res.Address)
			if !slices.Contains(q.Want, res.Address) {
				q.Want = append(q.Want, res.Address)
			}
		}
	}
	if err := damage.ErrorOrNil(); err != nil {
		return facts{}, err
	}
	live, notes, err := w.all.Observe(ctx, q)
	if err != nil {
		return facts{}, interruptible(ctx, s.unread(err, recorded))
	}
	s.a.hide(live)
	for _, d := range damaged {
		s.a.warn("the release record %s cannot be read: %v", d.Tag, d.Err)
	}
	return facts{live: live, notes: notes, recent: recent}, nil
}

// difference is what of a service is not as it should be, and how much was compared.
type difference struct {
	actions  []plan.Action
	compared int
}

// differences are those of all services that the run is about.
func (s *session) differences(ctx context.Context, w wiring, f facts) (map[string]difference, error) {
	all := map[string]difference{}
	var errs *multierror.Error
	for _, spec := range s.specs {
		actions, compared, err := s.drifted(ctx, w, spec, f.recent[spec.Service], f)
		if err != nil {
			errs = multierror.Append(errs, err)
		}
		all[spec.Service] = difference{actions, compared}
	}
	return all, errs.ErrorOrNil()
}

// drifted says what of a service differs from its last release, or from the manifest.
func (s *session) drifted(ctx context.Context, w wiring, spec state.Spec, recent release.Recent, f facts) ([]plan.Action, int, error) {
	if recent.Success != nil {
		wanted, err := recent.Success.Wanted()
		if err != nil {
			return nil, 0, &serviceError{spec.Service, err}
		}
		attempts, err := recent.Attempted()
		if err != nil {
			return nil, 0, &serviceError{spec.Service, err}
		}
		return plan.Drifted(wanted, attempts, f.live), len(wanted), nil
	}
	runs, ok := f.live[serviceAddress(spec)]
	if !ok {
		addr := serviceAddress(spec)
		return []plan.Action{{ID: plan.ID("create " + addr.String()), Op: plan.Create, Target: addr}}, 1, nil
	}
	// The image that the sources would give is nothing that is live: what runs is taken for
	// what is wanted, unless the manifest names it.
	one, err := s.asItRuns(spec, runs)
	if err != nil {
		one = s.only(spec) // whose image differs
		one.existing[spec.Service] = runs.Value("image")
	}
	all, err := one.observe(ctx, w, false)
	if err != nil {
		return nil, 0, err
	}
	p, err := one.plan(all, plan.Options{Resume: true, Replace: true, Adopt: true, AllowWildcard: true}, false, everything)
	if err != nil {
		return nil, 0, &serviceError{spec.Service, err}
	}
	var actions []plan.Action
	for _, a := range p.plan.Actions {
		if a.Target.Kind == "image" {
			continue
		}
		if a.Op == plan.Create && !a.Replace || a.Op == plan.Update && !a.Second {
			actions = append(actions, a)
		}
	}
	return actions, p.wanted, nil
}

// unsettled notes the services that are about to change by themselves.
func (s *session) unsettled(f facts) []state.Note {
	notes := slices.Clone(f.notes)
	for _, spec := range s.specs {
		if o := f.live[serviceAddress(spec)]; o.Phase == state.Busy {
			notes = append(notes, state.Note{Target: o.Address, Warning: true, Text: "has an operation under way: " + o.Note})
		}
	}
	return notes
}
