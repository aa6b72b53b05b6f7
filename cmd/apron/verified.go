package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/reconcile/state"
)

// checkError is a broken check that keeps a plan from being applied.
type checkError struct {
	place string // FILE:LINE, or the file
	check state.Check
	from  string // what the value was made from, ${…} and all; "" where it stands there itself
}

var _ error = (*checkError)(nil)

func (e *checkError) Error() string {
	return fmt.Sprintf("%s: %s: %s; nothing was changed", e.place, e.check.Path, e.check.Text)
}

// Hint says what to do about it.
func (e *checkError) Hint() string {
	fix := cmp.Or(e.check.Fix, "look at it with apron verify")
	if e.from != "" {
		fix += " (" + e.check.Path + " is " + e.from + ")"
	}
	return fix + "; --no-verify goes on all the same"
}

// refuse makes errors of the checks that are broken.
func (s *session) refuse(checks []state.Check) error {
	var errs *multierror.Error
	for _, c := range checks {
		if c.Verdict != state.Broken {
			continue
		}
		errs = multierror.Append(errs, &checkError{cmp.Or(s.place(c.Service, c.Path), c.Service), c, s.source(c.Service, c.Path)})
	}
	return errs.ErrorOrNil()
}

// verified looks at what a plan needs unless it was told not to, and refuses what cannot
// work. A plan without a rollout needs nothing.
func (s *session) verified(ctx context.Context, w wiring, p planned, flags planFlags) error {
	if flags.noVerify || !rollsOut(p) {
		return nil
	}
	checks, err := s.preflight(ctx, w, p.facts, preflightOptions{adopt: flags.Adopt, planned: true})
	if err != nil {
		return err
	}
	return s.refuse(checks)
}

// rollsOut reports whether a plan starts instances.
func rollsOut(p planned) bool {
	for _, a := range p.plan.Actions {
		if a.Target.Kind == "service" && (a.Op == "create" || a.Op == "update") {
			return true
		}
	}
	return false
}

// recheck looks again at what a service's rollout needed, after it has failed. What cannot
// be looked at is left out.
func (s *session) recheck(ctx context.Context, w wiring, service string) []state.Check {
	f, err := s.observe(ctx, w, false)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(s.specs, func(spec state.Spec) bool { return spec.Service == service })
	if i < 0 {
		return nil
	}
	p := &preflight{session: s, w: w, f: f, spec: s.specs[i], o: preflightOptions{adopt: true, deep: true, values: true, after: true}}
	checks, err := p.checks(ctx)
	if err != nil {
		return nil
	}
	return checks
}
