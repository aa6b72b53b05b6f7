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

// looks says which kinds beside the service are worth a look: those that a manifest
// manages, and all of them before things are deleted.
type looks struct {
	connectors, tracing bool
	users               bool            // of what is shared, though it is wanted: all is to go
	ingress, domains    map[string]bool // by service
	scalings, traced    map[string]bool // likewise: of what the service uses
	wanted              map[state.Address]bool
	services            map[string]bool
	specs               []state.Spec
}

func lookFor(q reconcile.Query, services map[string]bool) looks {
	l := looks{connectors: q.Users, tracing: q.Users, users: q.Users, services: services, specs: q.Specs,
		wanted: map[state.Address]bool{}, ingress: map[string]bool{}, domains: map[string]bool{},
		scalings: map[string]bool{}, traced: map[string]bool{}}
	for name := range services {
		users := q.Users && about(q, name)
		l.ingress[name], l.domains[name] = users, users
	}
	for _, a := range q.Want {
		l.wanted[a] = true
		l.connectors = l.connectors || a.Kind == kindConnector
		l.tracing = l.tracing || a.Kind == kindTracing
	}
	for _, s := range q.Specs {
		l.tracing = l.tracing || s.Tracing != ""
		l.domains[s.Service] = l.domains[s.Service] || s.Domains != nil
		l.scalings[s.Service], l.traced[s.Service] = s.Scaling != nil, s.Tracing == "xray"
		if n := s.Network; n != nil {
			l.connectors = l.connectors || n.Egress != nil
			// A service that becomes public has no use for another way in. One that stays
			// closed may have a way that the manifest leaves alone.
			l.ingress[s.Service] = l.ingress[s.Service] || n.Ingress != nil || n.Public != nil && *n.Public
		}
	}
	return l
}

// observeBeside reports what is beside the services.
func (p *Provider) observeBeside(ctx context.Context, l looks, found *findings) error {
	users := sync.OnceValues(func() (map[string][]string, error) { return p.usersOf(ctx, l.services) })
	reads, ctx := reconcile.NewReads(ctx)
	if l.connectors {
		reads.Go(func() error { return p.observeConnectors(ctx, l, users, found) })
	}
	if l.tracing {
		reads.Go(func() error { return p.observeTracing(ctx, l, users, found) })
	}
	if slices.Contains(slices.Collect(maps.Values(l.ingress)), true) {
		reads.Go(func() error { return p.observeIngress(ctx, l, found.keep) })
	}
	return reads.Wait()
}

// observeConnectors reports the wanted connectors, those of the wanted content that
// somebody else made, and the other ones of apron's. There are ten in a Region.
func (p *Provider) observeConnectors(ctx context.Context, l looks, users func() (map[string][]string, error), found *findings) error {
	var all []types.VpcConnector
	pages := sdk.NewListVpcConnectorsPaginator(p.api, &sdk.ListVpcConnectorsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list VPC connectors: %w", awsapi.Explain(err))
		}
		all = append(all, page.VpcConnectors...)
	}
	reads, ctx := reconcile.NewReads(ctx)
	for _, c := range all {
		name := aws.ToString(c.VpcConnectorName)
		own, wanted := strings.HasPrefix(name, "apron-"), l.wanted[Connector(name)]
		switch {
		case upper(c.Status) != types.VpcConnectorStatusActive:
			continue
		case !own && !wanted && !l.alike(c):
			continue
		}
		reads.Go(func() error {
			tags, by, err := p.sharedOf(ctx, aws.ToString(c.VpcConnectorArn), wanted && !l.users, users)
			if err == nil {
				o := observedConnector(c, tags, by)
				o.Detail = age(time.Since(aws.ToTime(c.CreatedAt)))
				found.keep(o)
			}
			if err = awsapi.Unread(Connector(name), err); !wanted {
				err = found.leave(err)
			}
			return err
		})
	}
	return reads.Wait()
}

// age is how long ago something was made that several services may use.
type age time.Duration

// forget leaves out what apron made a moment ago and nobody uses: another run may have made
// it for a service that comes next.
func (l looks) forget(live state.Live) {
	used := map[state.Address]bool{}
	for _, o := range live {
		for _, ref := range state.Refs(o.Fields) {
			used[ref] = true
		}
	}
	for addr, o := range live {
		if made, ok := o.Detail.(age); ok && time.Duration(made) < orphanAge && o.Owner == state.Shared && !l.wanted[addr] && !used[addr] {
			delete(live, addr)
		}
	}
}

// alike reports whether a manifest asks for a connector of just this content.
func (l looks) alike(c types.VpcConnector) bool {
	return slices.ContainsFunc(l.specs, func(s state.Spec) bool {
		return s.Network != nil && s.Network.Egress != nil && ids(s.Network.Egress.Subnets) == ids(c.Subnets) &&
			ids(s.Network.Egress.SecurityGroups) == ids(c.SecurityGroups)
	})
}

// sharedOf reads the tags of what several services may use and, unless it is wanted, who
// uses it beside those of this plan.
func (p *Provider) sharedOf(ctx context.Context, arn string, wanted bool, users func() (map[string][]string, error)) (tags []types.Tag, by []string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		tags, err = p.tagsOf(ctx, arn)
		return err
	})
	if !wanted {
		g.Go(func() error {
			all, err := users()
			by = slices.Concat(all[arn], all[anything])
			return err
		})
	}
	return tags, by, g.Wait()
}

// usersOf says which services use which VPC connectors and observability configurations,
// by ARN. App Runner tells it of each service only. services are those of this plan, which
// says itself what they keep. One that cannot be read may use anything.
func (p *Provider) usersOf(ctx context.Context, services map[string]bool) (map[string][]string, error) {
	var mu sync.Mutex
	users := map[string][]string{}
	use := func(arn *string, name string) {
		if arn != nil {
			mu.Lock()
			defer mu.Unlock()
			users[*arn] = append(users[*arn], "service "+name)
		}
	}
	err := p.each(ctx, func(s *types.Service) {
		name := aws.ToString(s.ServiceName)
		if services[name] {
			return
		}
		if n := s.NetworkConfiguration; n != nil && n.EgressConfiguration != nil {
			use(n.EgressConfiguration.VpcConnectorArn, name)
		}
		if o := s.ObservabilityConfiguration; o != nil {
			use(o.ObservabilityConfigurationArn, name)
		}
	})
	if unread, ok := reconcile.Unread(err); ok {
		err = nil
		for _, e := range unread {
			if !services[e.Target.Name] { // those are told by themselves
				users[anything] = append(users[anything], "service "+e.Target.Name+" (which cannot be read)")
			}
		}
	}
	for _, names := range users {
		slices.Sort(names)
	}
	return users, err
}

// anything stands for every ARN among those that services use.
const anything = ""

// observeTracing reports apron's observability configuration. Its latest revision is the
// only one: nobody adds another to it.
func (p *Provider) observeTracing(ctx context.Context, l looks, users func() (map[string][]string, error), found *findings) error {
	wanted := l.wanted[Tracing(tracingName)]
	pages := sdk.NewListObservabilityConfigurationsPaginator(p.api, &sdk.ListObservabilityConfigurationsInput{
		ObservabilityConfigurationName: aws.String(tracingName), LatestOnly: true})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list observability configurations: %w", awsapi.Explain(err))
		}
		for _, s := range page.ObservabilityConfigurationSummaryList {
			if aws.ToString(s.ObservabilityConfigurationName) != tracingName {
				continue
			}
			o, err := p.describeTracing(ctx, aws.ToString(s.ObservabilityConfigurationArn), wanted && !l.users, users)
			if err == nil && o != nil {
				found.keep(*o)
			}
			if err = awsapi.Unread(Tracing(tracingName), err); !wanted {
				err = found.leave(err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// describeTracing reads one configuration. It returns nil for one that is deleted by now.
func (p *Provider) describeTracing(ctx context.Context, arn string, wanted bool, users func() (map[string][]string, error)) (*state.Observed, error) {
	out, err := p.api.DescribeObservabilityConfiguration(ctx, &sdk.DescribeObservabilityConfigurationInput{ObservabilityConfigurationArn: &arn})
	if err != nil {
		return nil, gone(arn, "describe", err)
	}
	if upper(out.ObservabilityConfiguration.Status) != types.ObservabilityConfigurationStatusActive {
		return nil, nil
	}
	tags, by, err := p.sharedOf(ctx, arn, wanted, users)
	if err != nil {
		return nil, err
	}
	o := observedTracing(out.ObservabilityConfiguration, tags, by)
	o.Detail = age(time.Since(aws.ToTime(out.ObservabilityConfiguration.CreatedAt)))
	return &o, nil
}

// observeIngress reports the VPC ingress connections of the services.
func (p *Provider) observeIngress(ctx context.Context, l looks, keep func(state.Observed)) error {
	reads, ctx := reconcile.NewReads(ctx)
	pages := sdk.NewListVpcIngressConnectionsPaginator(p.api, &sdk.ListVpcIngressConnectionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			_ = reads.Wait() // one that ended all of them has ended this, too
			return fmt.Errorf("list VPC ingress connections: %w", awsapi.Explain(err))
		}
		for _, s := range page.VpcIngressConnectionSummaryList {
			service := serviceName(aws.ToString(s.ServiceArn))
			if !l.ingress[service] {
				continue
			}
			reads.Go(func() error {
				o, err := p.describeIngress(ctx, aws.ToString(s.VpcIngressConnectionArn))
				if err == nil && o != nil {
					keep(*o)
				}
				return awsapi.Unread(Service(service), err)
			})
		}
	}
	return reads.Wait()
}

// describeIngress reads one connection. It returns nil for one that is deleted by now.
func (p *Provider) describeIngress(ctx context.Context, arn string) (*state.Observed, error) {
	out, err := p.api.DescribeVpcIngressConnection(ctx, &sdk.DescribeVpcIngressConnectionInput{VpcIngressConnectionArn: &arn})
	if err != nil {
		return nil, gone(arn, "describe", err)
	}
	if upper(out.VpcIngressConnection.Status) == types.VpcIngressConnectionStatusDeleted {
		return nil, nil
	}
	tags, err := p.api.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return nil, gone(arn, "list tags", err)
	}
	o := observedIngress(out.VpcIngressConnection, tags.Tags, p.scope())
	return &o, nil
}
