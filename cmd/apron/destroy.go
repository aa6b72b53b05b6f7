package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) destroyCommand() *cobra.Command {
	var o applyFlags
	var images, logGroups bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Delete the service and what apron made for it",
		Long: "destroy deletes what carries apron's tags and belongs to the manifest's service:\n" +
			"the service, its domains with the records that apron wrote, its VPC ingress connection,\n" +
			"its roles, its parameters, and what is shared (scaling configurations, VPC connectors)\n" +
			"and nobody else uses. The repository with its images and the log groups stay unless asked for.",
		Example: "  apron destroy\n  apron destroy --images --logs --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runDestroy(cmd.Context(), o, images, logGroups)
		},
	}
	o.register(cmd)
	a.registerOnly(cmd)
	cmd.Flags().BoolVar(&images, "images", false, "delete the repository too, with every image in it")
	cmd.Flags().BoolVar(&logGroups, "logs", false, "delete the log groups too")
	return cmd
}

func (a *app) runDestroy(ctx context.Context, o applyFlags, images, logGroups bool) error {
	s, err := a.openEach(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(o)
	keep := func(addr state.Address) string {
		switch {
		case addr.Target == "ecr" && addr.Kind == "repository" && !images:
			return "--images deletes it, with every image in it"
		case addr.Target == "logs" && !logGroups:
			return "--logs deletes it"
		}
		return ""
	}
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		return goOn(ctx, s, func(ctx context.Context) (planned, error) {
			f, err := s.settled(ctx, w, true)
			if err != nil {
				return planned{}, err
			}
			s.release(f.live)
			p, err := plan.Build(nil, f.live, plan.Options{Keep: keep})
			return planned{plan: p, facts: f, destroy: true, recording: &recording{kind: release.Destroy}}, err
		})
	})
	if err != nil {
		return err
	}
	return s.failures(s.execute(ctx, w, p, o))
}

// release takes the services that are destroyed out of the users of what they share.
func (s *session) release(live state.Live) {
	for addr, o := range live {
		var others []string
		for _, u := range o.Users {
			if addr.Kind != "repository" || !s.has(u) {
				others = append(others, u)
			}
		}
		o.Users = others
		live[addr] = o
	}
}

func (s *session) has(service string) bool {
	for _, spec := range s.specs {
		if spec.Service == service {
			return true
		}
	}
	return false
}
