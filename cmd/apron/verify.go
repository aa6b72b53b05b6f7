package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) verifyCommand() *cobra.Command {
	var o preflightOptions
	var b builderFlags
	var run bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Look at everything that a rollout needs, before it: reads only",
		Long: "verify looks at the image's platform and ports, the trust and the permissions of both\n" +
			"roles, each secret, CPU and memory, the name, the quotas and the Region, and says of each\n" +
			"whether it is as it must be, or why it was not checked. plan and apply do the same, but\n" +
			"for a secret's value and for an image that apron has pushed, and refuse what would fail.",
		Example: "  apron verify\n  apron verify --read-secrets --run\n  apron verify -e production --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			o.deep = true
			return a.runVerify(cmd.Context(), o, b, run)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.adopt, "adopt", false, "a service of this name that apron did not make would be taken over")
	f.BoolVar(&o.values, "read-secrets", false, "read the secrets, to see whether they have the keys that the manifest names; they are not shown")
	f.BoolVar(&run, "run", false, "build the image or take image.from, start it on this machine, and request its health path")
	b.registerBuilder(a, cmd)
	return cmd
}

func (a *app) runVerify(ctx context.Context, o preflightOptions, b builderFlags, run bool) error {
	s, err := a.open(ctx, true)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{})
	f, err := s.observe(ctx, w, false)
	if err != nil {
		return err
	}
	checks, err := s.preflight(ctx, w, f, o)
	if err != nil {
		return err
	}
	if run {
		for i := range s.set.Documents {
			checks = append(checks, a.tryOut(ctx, s.set, &s.set.Documents[i], b))
		}
	}
	if err := a.write(render.NewChecks(checks, s.header(f.live))); err != nil {
		return err
	}
	return interruptible(ctx, s.unverified(checks))
}

// errUnverified is what verify returns when a check is broken: it has been shown already.
type errUnverified struct{ blame state.Blame }

func (e errUnverified) Error() string { return "a check failed" }

func (s *session) unverified(checks []state.Check) error {
	for _, blame := range []state.Blame{state.BlamePermission, state.BlameManifest, state.BlameNone} {
		for _, c := range checks {
			if c.Verdict == state.Broken && c.Blame == blame {
				return errUnverified{blame}
			}
		}
	}
	return nil
}

// shown reports whether an error has been told by the result already.
func shown(err error) bool {
	_, ok := errors.AsType[errUnverified](err)
	return ok
}

// blameOf says whose a broken check is, for the exit code.
func blameOf(err error) (state.Blame, bool) {
	if e, ok := errors.AsType[errUnverified](err); ok {
		return e.blame, true
	}
	if e, ok := errors.AsType[*checkError](err); ok {
		return e.check.Blame, true
	}
	return "", false
}
