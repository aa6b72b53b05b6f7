package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	cwsdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/cloudwatch"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) statusCommand() *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is live: status, URL, version, scaling, health, domains, last operations",
		Long: "status shows a screen for each service. With --wait it follows an operation that is under\n" +
			"way to its end first, whoever started it, as apply would have: it exits with 7 when the\n" +
			"last operation failed or was rolled back, even if it had ended before, or when the URL\n" +
			"does not answer as the manifest says, and with 8 when it takes longer than --timeout.",
		Example: "  apron status\n  apron status --wait --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return &usageError{err: fmt.Errorf("--timeout %s: must be more than nothing", timeout), command: cmd.CommandPath()}
			}
			return a.runStatus(cmd.Context(), wait, timeout)
		},
	}
	a.registerOnly(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "follow the operation under way to its end; exit as the last one ended")
	cmd.Flags().DurationVar(&timeout, "timeout", 35*time.Minute, "how long to wait")
	return cmd
}

func (a *app) runStatus(ctx context.Context, wait bool, timeout time.Duration) error {
	s, err := a.openEach(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{timeout: timeout})
	w.all = reconcile.Providers{w.apprunner} // nothing else is shown, so nothing else is read
	w.records = nil
	look := func(ctx context.Context) (facts, error) { return s.observe(ctx, w, false) }
	f, err := goOn(ctx, s, look)
	if err != nil {
		return err
	}
	var verdict error
	if wait {
		verdict = s.await(ctx, w, f.live)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if f, err = goOn(ctx, s, look); err != nil {
			return err
		}
	}
	var all []render.ServiceStatus
	var errs *multierror.Error
	for _, spec := range s.specs {
		st := statusOf(spec, f.live, time.Now(), a.sandbox.on)
		if st.ARN != "" {
			if err := s.complete(ctx, w, spec, &st); err != nil {
				st.Unknown = append(st.Unknown, "image: "+err.Error())
				errs = multierror.Append(errs, err)
			}
		}
		all = append(all, st)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, o := range s.out {
		all = append(all, render.UnknownStatus(o.service, o.err))
	}
	if err := a.write(render.NewStatus(s.id.Account, s.cfg.Region, all)); err != nil {
		return err
	}
	if verdict != nil {
		errs = multierror.Append(errs, verdict)
	}
	return s.failures(errs.ErrorOrNil())
}

// statusOf is what the service itself tells. In a sandbox, a rehearsal, operations take
// other times than on AWS.
func statusOf(spec state.Spec, live state.Live, now time.Time, rehearsal bool) render.ServiceStatus {
	st := render.ServiceStatus{Service: spec.Service, Status: "ABSENT"}
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
		started := aws.ToTime(op.StartedAt)
		line := render.Operation{ID: aws.ToString(op.Id), Type: string(op.Type), Status: string(op.Status), StartedAt: started.UTC().Format(time.RFC3339)}
		if op.EndedAt != nil {
			line.Took = op.EndedAt.Sub(started).Round(time.Second).String()
		} else {
			line.SoFar = max(now.Sub(started), 0).Round(time.Second).String()
			if e := apprunner.Expect(op, detail.Operations, o, rehearsal); e != nil {
				line.Usual = e.Usual.Round(time.Second).String()
			}
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

// complete adds what others tell of a service, all at once: its domains, how many
// instances serve, and which versions its image is.
func (s *session) complete(ctx context.Context, w wiring, spec state.Spec, st *render.ServiceStatus) error {
	var noDomains, noInstances error
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var domains []apprunner.CustomDomain
		domains, noDomains = w.apprunner.Domains(gctx, st.ARN)
		st.Domains = s.domains(gctx, domains)
		return nil
	})
	g.Go(func() error {
		if st.Status == string(types.ServiceStatusRunning) {
			st.Instances, noInstances = s.activeInstances(gctx, spec.Service, st.ARN[strings.LastIndexByte(st.ARN, '/')+1:])
		}
		return nil
	})
	g.Go(func() error { return s.versions(gctx, w, spec, st) })
	if err := g.Wait(); err != nil {
		return err
	}
	if noDomains != nil {
		st.Unknown = append(st.Unknown, "custom domains: "+noDomains.Error())
	}
	if awsapi.Is(noInstances, "AccessDenied", "AccessDeniedException") { // else nothing measures there
		st.Unknown = append(st.Unknown, "instances: "+noInstances.Error())
	}
	return nil
}

// activeInstances is how many instances served requests lately, or nil when nothing says.
func (s *session) activeInstances(ctx context.Context, service, id string) (*int, error) {
	now := time.Now()
	results, err := cloudwatch.New(cwsdk.NewFromConfig(s.cfg)).Read(ctx, cloudwatch.Query{Service: service, ID: id, Since: now.Add(-5 * time.Minute), Until: now,
		Period: time.Minute, Series: []cloudwatch.Series{{Metric: cloudwatch.ActiveInstances, Statistic: cloudwatch.Maximum}}})
	if err != nil {
		return nil, err
	}
	points := results[0].Points
	if len(points) == 0 {
		return nil, nil
	}
	n := int(points[len(points)-1].Value)
	return &n, nil
}

// versions finds the digest of the running image, and the tags that name it.
func (s *session) versions(ctx context.Context, w wiring, spec state.Spec, st *render.ServiceStatus) error {
	repository, _, tagged := strings.Cut(st.Image, ":")
	if !tagged || strings.Contains(repository, ".") { // in another registry
		return nil
	}
	image, live := state.Address{Target: "ecr", Kind: "image", Name: st.Image}, ecr.Tag(repository, "live-"+spec.Service)
	want := []state.Address{image, live}
	var versions []string
	for _, v := range append([]string{spec.Image.Version}, spec.Image.Tags...) {
		if v != "" {
			versions = append(versions, v)
			want = append(want, ecr.Tag(repository, v))
		}
	}
	found, _, err := w.registry.Observe(ctx, reconcile.Query{Want: want})
	if err != nil {
		return err
	}
	st.Digest, st.Live = found[image].ID, found[live].ID
	for _, v := range versions {
		if st.Digest != "" && found[ecr.Tag(repository, v)].ID == st.Digest {
			st.Versions = append(st.Versions, v)
		}
	}
	return nil
}
