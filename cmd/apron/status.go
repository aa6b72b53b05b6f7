package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) statusCommand() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is live: status, URL, image, scaling, health, last operations",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runStatus(cmd.Context(), wait, timeout)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until no operation is under way")
	cmd.Flags().DurationVar(&timeout, "timeout", 35*time.Minute, "how long to wait")
	return cmd
}

// serviceStatus is one service as status shows it.
type serviceStatus struct {
	Service    string      `json:"service"`
	Status     string      `json:"status"` // App Runner's own, or ABSENT
	URL        string      `json:"url,omitempty"`
	Owner      string      `json:"owner,omitempty"`
	ARN        string      `json:"arn,omitempty"`
	Image      string      `json:"image,omitempty"`
	Digest     string      `json:"digest,omitempty"`
	CPU        string      `json:"cpu,omitempty"`    // CPU units
	Memory     string      `json:"memory,omitempty"` // MiB
	Scaling    string      `json:"scaling,omitempty"`
	Health     string      `json:"health,omitempty"`
	DeployedAt string      `json:"deployed_at,omitempty"` // RFC 3339
	Operations []operation `json:"operations"`            // newest first
}

type operation struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	StartedAt string `json:"started_at"`
	Took      string `json:"took,omitempty"`
}

func (a *app) runStatus(ctx context.Context, wait bool, timeout time.Duration) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{timeout: timeout})
	w.all = reconcile.Providers{w.apprunner} // nothing else is shown, so nothing else is read
	w.records = nil
	observe := s.observe
	if wait {
		observe = s.settled
	}
	f, err := observe(ctx, w, false)
	if err != nil {
		return err
	}
	var all []serviceStatus
	for _, spec := range s.specs {
		all = append(all, statusOf(spec, f.live))
	}
	if err := s.digests(ctx, w, all); err != nil {
		return err
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(struct {
			FormatVersion string          `json:"format_version"`
			Account       string          `json:"account"`
			Region        string          `json:"region"`
			Services      []serviceStatus `json:"services"`
		}{render.FormatVersion, s.id.Account, s.cfg.Region, all})
	}
	for _, st := range all {
		if err := a.writeStatus(s, st); err != nil {
			return err
		}
	}
	return nil
}

func statusOf(spec state.Spec, live state.Live) serviceStatus {
	st := serviceStatus{Service: spec.Service, Status: "ABSENT", Operations: []operation{}}
	o, ok := live[serviceAddress(spec)]
	if !ok {
		return st
	}
	detail, _ := o.Detail.(apprunner.Live)
	st.Status, st.URL, st.Owner, st.ARN = string(detail.Status), o.URL, string(o.Owner), o.ID
	st.CPU, st.Memory = o.Value("cpu"), o.Value("memory")
	st.Image = strings.TrimPrefix(o.Value("image"), "ecr/image/")
	st.Scaling = scalingText(live, o.Value("scaling"))
	st.Health = healthText(o)
	if !detail.DeployedAt.IsZero() {
		st.DeployedAt = detail.DeployedAt.UTC().Format(time.RFC3339)
	}
	for _, op := range detail.Operations[:min(5, len(detail.Operations))] {
		line := operation{ID: aws.ToString(op.Id), Type: string(op.Type), Status: string(op.Status), StartedAt: aws.ToTime(op.StartedAt).UTC().Format(time.RFC3339)}
		if op.EndedAt != nil {
			line.Took = op.EndedAt.Sub(aws.ToTime(op.StartedAt)).Round(time.Second).String()
		}
		st.Operations = append(st.Operations, line)
	}
	return st
}

func scalingText(live state.Live, ref string) string {
	addr, err := state.ParseAddress(ref)
	if err != nil {
		return ref
	}
	if c, ok := live[addr]; ok {
		return fmt.Sprintf("%s to %s instances, %s requests at once on each (%s)", c.Value("min"), c.Value("max"), c.Value("concurrency"), addr.Name)
	}
	return addr.Name
}

func healthText(o state.Observed) string {
	protocol := o.Value("health.protocol")
	if protocol == "" {
		return ""
	}
	text := protocol
	if path := o.Value("health.path"); path != "" {
		text += " " + path
	}
	return fmt.Sprintf("%s every %s, at most %s; healthy after %s, unhealthy after %s", text, o.Value("health.interval"),
		o.Value("health.timeout"), o.Value("health.healthy"), o.Value("health.unhealthy"))
}

// digests looks up which image each running tag stands for.
func (s *session) digests(ctx context.Context, w wiring, all []serviceStatus) error {
	var want []state.Address
	for _, st := range all {
		if a := (state.Address{Target: "ecr", Kind: "image", Name: st.Image}); strings.Contains(st.Image, ":") && !slices.Contains(want, a) {
			want = append(want, a)
		}
	}
	if len(want) == 0 {
		return nil
	}
	live, _, err := w.registry.Observe(ctx, reconcile.Query{Want: want})
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Digest = live[state.Address{Target: "ecr", Kind: "image", Name: all[i].Image}].ID
	}
	return nil
}

func (a *app) writeStatus(s *session, st serviceStatus) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", label, value)
		}
	}
	row("service", st.Service)
	row("status", st.Status)
	row("url", st.URL)
	row("account", s.id.Account+", "+s.cfg.Region)
	if st.Owner == string(state.Theirs) {
		row("owner", "not made by apron")
	}
	row("image", st.Image)
	row("digest", st.Digest)
	if st.CPU != "" {
		row("size", fmt.Sprintf("%s CPU units, %s MiB", st.CPU, st.Memory))
	}
	row("scaling", st.Scaling)
	row("health", st.Health)
	row("deployed", st.DeployedAt)
	for i, op := range st.Operations {
		label := ""
		if i == 0 {
			label = "operations"
		}
		fmt.Fprintf(t, "%s\t%s  %s  %s  %s\n", label, op.StartedAt, op.Type, op.Status, op.Took)
	}
	return t.Flush()
}
