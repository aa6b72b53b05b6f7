package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// planFlags are what steers a plan, the same for plan and apply.
type planFlags struct {
	Replace       bool `json:"replace,omitempty"`
	Resume        bool `json:"resume,omitempty"`
	Adopt         bool `json:"adopt,omitempty"`
	AllowWildcard bool `json:"allow_wildcard,omitempty"`

	noVerify bool
}

func (p *planFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&p.Replace, "replace", false, "allow delete and create where a change needs it")
	f.BoolVar(&p.Resume, "resume", false, "allow starting a paused service again")
	f.BoolVar(&p.Adopt, "adopt", false, "take over resources of these names that apron did not make")
	f.BoolVar(&p.AllowWildcard, "allow-wildcard", false, "allow permissions for every action or every resource")
	f.BoolVar(&p.noVerify, "no-verify", false, "do not look first at what the rollout needs: see apron verify")
}

func (p planFlags) options() plan.Options {
	return plan.Options{Replace: p.Replace, Resume: p.Resume, Adopt: p.Adopt, AllowWildcard: p.AllowWildcard}
}

func (a *app) planCommand() *cobra.Command {
	var flags planFlags
	var detailed, comment bool
	var explain, out string
	cmd := &cobra.Command{
		Use:     "plan",
		Aliases: []string{"diff"},
		Short:   "Show what apply would do: reads only",
		Example: "  apron plan\n  apron plan -e production --detailed-exitcode\n  apron plan --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if explain != "" && explain != "inputs" && explain != "who" {
				return &usageError{err: fmt.Errorf("--explain %q: there are inputs and who", explain), command: cmd.CommandPath()}
			}
			if comment {
				if err := a.canComment(); err != nil {
					return err
				}
			}
			return a.runPlan(cmd.Context(), flags, detailed, comment, explain, out)
		},
	}
	flags.register(cmd)
	a.registerOnly(cmd)
	cmd.Flags().StringVar(&explain, "explain", "", "inputs: say, on stderr, which inputs of the image changed since the one that runs; who: say who changed what is live, by CloudTrail")
	cmd.Flags().StringVar(&out, "out", "", "save the plan in this file, for apply to hold itself to")
	cmd.Flags().BoolVar(&comment, "comment", false, "show the plan in one comment, edited in place, on the pull request or merge request that GitHub Actions or GitLab CI runs for")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there are changes, 0 when there are none")
	return cmd
}

func (a *app) runPlan(ctx context.Context, flags planFlags, detailed, comment bool, explain, out string) error {
	s, err := a.openEach(ctx, true)
	if err != nil {
		return a.unplanned(ctx, comment, err)
	}
	w := s.wire(applyFlags{})
	asking, stop := context.WithCancel(ctx)
	defer stop()
	orphans := s.askForOrphans(asking)
	p, err := goOn(ctx, s, func(ctx context.Context) (planned, error) {
		f, err := s.observe(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		return s.plan(f, flags.options(), false, everything)
	})
	if err != nil {
		return a.unplanned(ctx, comment, err)
	}
	p.wrong = s.verified(ctx, w, p, flags)
	p.left, p.asked = orphans(w), true
	v := s.view(p)
	if explain == "who" {
		p.who = s.explainWho(ctx, v, p.facts)
	}
	if err := a.write(v); err != nil {
		return err
	}
	if explain == "inputs" {
		s.explainInputs(ctx, w, p)
	}
	unread := s.unreadServices()
	switch {
	case out == "":
	case len(unread) > 0:
		p.wrong = multierror.Append(p.wrong, &unsavedError{out, unread})
	default:
		if err := s.save(out, p, flags); err != nil {
			return err
		}
	}
	if err := errors.Join(a.output("changes", strconv.FormatBool(!p.plan.Empty())), a.output("fingerprint", s.approvable(p))); err != nil {
		return err
	}
	if comment {
		err = s.comment(ctx, p)
	} else {
		err = s.summarizePlan(p)
	}
	if err != nil {
		return err
	}
	if err := s.failures(p.wrong); err != nil {
		return err
	}
	if detailed && !p.plan.Empty() {
		return errChanges
	}
	return nil
}

func (s *session) view(p planned) *render.Plan {
	h := s.header(p.facts.live)
	h.Compared, h.Destroy, h.Verb = p.wanted, p.destroy, p.verb
	h.Services = s.rows(p)
	v := render.NewPlan(p.plan, h)
	v.Leftovers = p.left
	for address, b := range p.who {
		v.Blame(address, b)
	}
	return v
}

// busy reports whether an operation is under way on a service of this run.
func (s *session) busy(live state.Live) bool {
	for _, spec := range s.specs {
		if live[serviceAddress(spec)].Phase == state.Busy {
			return true
		}
	}
	return false
}
