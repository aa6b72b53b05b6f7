package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) pushCommand() *cobra.Command {
	var flags planFlags
	var o applyFlags
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Build the image and push it, and deploy nothing",
		Long: "push does the first part of apply: the repository, and the image under the tag that\n" +
			"names its inputs. An image that is there already is neither built nor pushed. No\n" +
			"version and no moving tag is put: those name what has been deployed.",
		Example: "  apron push --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runPart(cmd.Context(), flags, o, func(addr state.Address) bool {
				return addr.Target == "ecr" && addr.Kind != "tag"
			})
		},
	}
	o.register(cmd)
	o.registerBuilder(a, cmd)
	a.registerOnly(cmd)
	return cmd
}

// runPart applies a part of what the manifests want.
func (a *app) runPart(ctx context.Context, flags planFlags, o applyFlags, part func(state.Address) bool) error {
	s, err := a.open(ctx, true)
	if err != nil {
		return err
	}
	s.early = true
	w := s.wire(o).narrow("ecr")
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := s.observe(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		p, err := s.plan(f, flags.options(), true, part)
		p.missing, p.recording, p.part, p.typed = nil, nil, true, "push" // no secret is asked for, and a part is no release
		return p, err
	})
	if err != nil {
		return err
	}
	return s.execute(ctx, w, p, o)
}
