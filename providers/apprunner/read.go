package apprunner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Observe implements [reconcile.Provider]: the wanted services by name, what they may
// refer to, and what of that apron made and nothing uses any more.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	names := map[string]bool{}
	scaling := map[string]bool{}
	for _, a := range q.Want {
		switch a.Type() {
		case target + "/" + kindService:
			names[a.Name] = true
		case target + "/" + kindScaling:
			scaling[a.Name] = true
		}
	}
	if len(names)+len(scaling) == 0 {
		return state.Live{}, nil, nil
	}
	found := findings{live: state.Live{}}
	live, keep := found.live, found.keep
	hidden := p.hiddenVariables(q.Specs)
	beside := lookFor(q, names)
	reads, ctx := reconcile.NewReads(ctx)
	reads.Go(func() error {
		services, err := p.list(ctx, names)
		if err != nil {
			return err
		}
		reads, ctx := reconcile.NewReads(ctx)
		for _, arn := range services {
			addr := Service(serviceName(arn))
			reads.Go(func() error {
				o, err := p.describe(ctx, arn, hidden)
				if err != nil || o == nil {
					return awsapi.Unread(addr, err)
				}
				keep(*o)
				return awsapi.Unread(addr, p.observeUsed(ctx, *o, beside.scalings[addr.Name], beside.traced[addr.Name], keep))
			})
			if beside.domains[addr.Name] {
				reads.Go(func() error { return awsapi.Unread(addr, p.observeDomains(ctx, arn, keep)) })
			}
		}
		return reads.Wait()
	})
	reads.Go(func() error { return p.observeScaling(ctx, scaling, names, &found) })
	reads.Go(func() error { return p.observeBeside(ctx, beside, &found) })
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	beside.forget(live)
	for addr, o := range live {
		if addr.Kind == kindService && !about(q, addr.Name) {
			o.Owner = state.Theirs // it is only referred to: another run's to change and delete
			live[addr] = o
		}
	}
	belong(live)
	return live, found.notes, nil
}

// findings are what reads that run at once find.
type findings struct {
	whole bool // nothing may be missing
	mu    sync.Mutex
	live  state.Live
	notes []state.Note
}

func (f *findings) keep(o state.Observed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[o.Address] = o
}

// leave notes of what nobody asks for that it could not be read, so that it stays: who can
// read it may remove it. Any other error is returned.
func (f *findings) leave(err error) error {
	unread, ok := reconcile.Unread(err)
	if !ok || f.whole {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range unread {
		f.notes = append(f.notes, state.Note{Target: e.Target, Warning: true, Text: "cannot be read, and is left as it is: " + e.Error()})
	}
	return nil
}

// about reports whether a query is about a service, and does not only look for what its
// services refer to. A query without specs is about all that it wants.
func about(q reconcile.Query, service string) bool {
	return len(q.Specs) == 0 || slices.ContainsFunc(q.Specs, func(s state.Spec) bool { return s.Service == service })
}

// hiddenVariables tells which plain variables of a live service must be masked: those
// that look like secrets, and those that a manifest keeps as secrets.
func (p *Provider) hiddenVariables(specs []state.Spec) func(name, value string) bool {
	return func(name, value string) bool {
		for _, s := range specs {
			if _, secret := s.Secrets[name]; secret || s.Env[name].Hidden {
				return true
			}
		}
		return p.o.SecretLooking != nil && p.o.SecretLooking(name, value)
	}
}

// list finds services by name. The API looks none up, so that all are listed.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ListServices.html
func (p *Provider) list(ctx context.Context, names map[string]bool) ([]string, error) {
	var arns []string
	if len(names) == 0 {
		return nil, nil
	}
	listed := map[string]string{}
	pages := sdk.NewListServicesPaginator(p.api, &sdk.ListServicesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list services: %w", awsapi.Explain(err))
		}
		for _, s := range page.ServiceSummaryList {
			if s.Status == types.ServiceStatusDeleted {
				continue
			}
			listed[aws.ToString(s.ServiceArn)] = serviceURL(aws.ToString(s.ServiceUrl))
			if names[aws.ToString(s.ServiceName)] {
				arns = append(arns, aws.ToString(s.ServiceArn))
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = listed
	return arns, nil
}

// Listed has the URL of every service of the account and Region by its ARN, as they were
// last observed. It is empty before that.
func (p *Provider) Listed() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.listed)
}

// ARNs finds the ARNs of services by their names, for providers whose API knows no names.
func (p *Provider) ARNs(ctx context.Context, names []string) (map[string]string, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	list, err := p.list(ctx, wanted)
	arns := map[string]string{}
	for _, arn := range list {
		arns[serviceName(arn)] = arn
	}
	return arns, err
}

// describe reads one service whole. It returns nil for one that is deleted by now.
func (p *Provider) describe(ctx context.Context, arn string, hidden func(name, value string) bool) (*state.Observed, error) {
	var (
		service *types.Service
		tags    []types.Tag
		ops     []types.OperationSummary
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out, err := p.api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: &arn})
		if err == nil {
			service = out.Service
		}
		return gone(arn, "describe", err)
	})
	g.Go(func() (err error) {
		tags, err = p.tagsOf(ctx, arn)
		return err
	})
	g.Go(func() error {
		// Back to the one behind the running deployment, which daily pauses and
		// resumptions may have pushed far down.
		pages := sdk.NewListOperationsPaginator(p.api, &sdk.ListOperationsInput{ServiceArn: &arn, MaxResults: aws.Int32(20)})
		for pages.HasMorePages() && !slices.ContainsFunc(ops, deployed) {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return gone(arn, "list operations", err)
			}
			ops = append(ops, page.OperationSummaryList...)
		}
		return nil
	})
	if err := g.Wait(); err != nil || service == nil || service.Status == types.ServiceStatusDeleted {
		return nil, err
	}
	o := observed(service, tags, ops, p.scope(), hidden)
	return &o, nil
}

// tagsOf reads the tags of a resource; there are none of one that is deleted by now.
func (p *Provider) tagsOf(ctx context.Context, arn string) ([]types.Tag, error) {
	out, err := p.api.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return nil, gone(arn, "list tags", err)
	}
	return out.Tags, nil
}

// gone turns "not found" into no error.
func gone(arn, doing string, err error) error {
	if err == nil || awsapi.Is(err, "ResourceNotFoundException") {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", arn, doing, awsapi.Explain(err))
}

// orphanAge is how long a scaling configuration of apron's may be unused before a plan
// removes it: another run may have made it a moment ago for a service that comes next.
const orphanAge = time.Hour

// observeScaling reports the wanted configurations and the other ones of apron's. There
// are at most ten names in a Region. The list has the latest revision of each: the SDK
// cannot ask for the others, because it does not send the false that would.
func (p *Provider) observeScaling(ctx context.Context, wanted, services map[string]bool, found *findings) error {
	var summaries []types.AutoScalingConfigurationSummary
	pages := sdk.NewListAutoScalingConfigurationsPaginator(p.api, &sdk.ListAutoScalingConfigurationsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list scaling configurations: %w", awsapi.Explain(err))
		}
		summaries = append(summaries, page.AutoScalingConfigurationSummaryList...)
	}
	reads, ctx := reconcile.NewReads(ctx)
	for _, s := range summaries {
		name := aws.ToString(s.AutoScalingConfigurationName)
		if !strings.EqualFold(string(s.Status), "active") || !wanted[name] && !strings.HasPrefix(name, "apron-") {
			continue
		}
		if aws.ToBool(s.IsDefault) && !wanted[name] {
			continue // the account's, which App Runner does not delete
		}
		fresh := !aws.ToBool(s.HasAssociatedService) && time.Since(aws.ToTime(s.CreatedAt)) < orphanAge
		if fresh && !wanted[name] {
			continue
		}
		reads.Go(func() error {
			o, err := p.revision(ctx, s, services)
			if err == nil && o != nil {
				found.keep(*o)
			}
			if err = awsapi.Unread(Scaling(name), err); !wanted[name] {
				err = found.leave(err)
			}
			return err
		})
	}
	return reads.Wait()
}

// revision reads the revision of a configuration whose content is what the name says:
// the latest, unless somebody else has added others since. Five can be active, and their
// numbers need not be in a row.
func (p *Provider) revision(ctx context.Context, s types.AutoScalingConfigurationSummary, services map[string]bool) (*state.Observed, error) {
	latest, err := p.describeScaling(ctx, aws.ToString(s.AutoScalingConfigurationArn), services)
	if err != nil || latest == nil || asNamed(*latest) {
		return latest, err
	}
	base, _, _ := strings.Cut(latest.ID, ":autoscalingconfiguration/")
	last := s.AutoScalingConfigurationRevision
	for n := last - 1; n > max(0, last-10); n-- {
		short := fmt.Sprintf("%s:autoscalingconfiguration/%s/%d", base, latest.Address.Name, n)
		out, err := p.api.DescribeAutoScalingConfiguration(ctx, &sdk.DescribeAutoScalingConfigurationInput{AutoScalingConfigurationArn: &short})
		if err := gone(short, "describe", err); err != nil {
			return nil, err
		}
		if out == nil {
			continue
		}
		older, err := p.describeScaling(ctx, aws.ToString(out.AutoScalingConfiguration.AutoScalingConfigurationArn), services)
		if err != nil || older != nil && asNamed(*older) {
			return older, err
		}
	}
	return latest, nil
}

func asNamed(o state.Observed) bool {
	return fmt.Sprintf("apron-%s-%s-%s", o.Value("min"), o.Value("max"), o.Value("concurrency")) == o.Address.Name
}

// describeScaling reads one revision. services are those of this plan: they do not count
// as other users, because the plan itself says whether they keep it.
func (p *Provider) describeScaling(ctx context.Context, arn string, services map[string]bool) (*state.Observed, error) {
	var (
		config *types.AutoScalingConfiguration
		tags   []types.Tag
		users  []string
	)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out, err := p.api.DescribeAutoScalingConfiguration(ctx, &sdk.DescribeAutoScalingConfigurationInput{AutoScalingConfigurationArn: &arn})
		if err == nil {
			config = out.AutoScalingConfiguration
		}
		return gone(arn, "describe", err)
	})
	g.Go(func() (err error) {
		tags, err = p.tagsOf(ctx, arn)
		return err
	})
	g.Go(func() error {
		out, err := p.api.ListServicesForAutoScalingConfiguration(ctx, &sdk.ListServicesForAutoScalingConfigurationInput{AutoScalingConfigurationArn: &arn})
		if err == nil {
			for _, s := range out.ServiceArnList {
				if name := serviceName(s); !services[name] {
					users = append(users, "service "+name)
				}
			}
		}
		return gone(arn, "list services", err)
	})
	if err := g.Wait(); err != nil || config == nil || !strings.EqualFold(string(config.Status), "active") {
		return nil, err
	}
	slices.Sort(users)
	o := observedScaling(config, tags, users)
	if strings.HasPrefix(o.Address.Name, "apron-") && !asNamed(o) {
		all, _, _ := strings.Cut(o.ID, "/"+o.Address.Name+"/")
		o.Fix = "its numbers are not those of its name, and App Runner changes none: ask for others under scaling:, or delete it once nothing uses it: " +
			"aws apprunner delete-auto-scaling-configuration --delete-all-revisions --auto-scaling-configuration-arn " + all + "/" + o.Address.Name
	}
	return &o, nil
}

// NameOf is the name of a service within its ARN.
func NameOf(arn string) string { return serviceName(arn) }

// serviceName is the name within a service's ARN, .../service/NAME/ID.
func serviceName(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 3 {
		return arn
	}
	return parts[len(parts)-2]
}
