package route53

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Zone is a public hosted zone.
type Zone struct {
	ID   string // without /hostedzone/
	Name string // without a dot at the end
}

// AmbiguousError says that several hosted zones of the account have a domain's name, and
// only who delegated it knows which one counts.
type AmbiguousError struct {
	Domain string
	Zones  []Zone
}

var _ error = (*AmbiguousError)(nil)

func (e *AmbiguousError) Error() string {
	var ids []string
	for _, z := range e.Zones {
		ids = append(ids, z.ID)
	}
	return fmt.Sprintf("domain %s: there are several public hosted zones named %s: %s", e.Domain, e.Zones[0].Name, strings.Join(ids, ", "))
}

// Hint says what to do.
func (e *AmbiguousError) Hint() string {
	return "delete those that the domain is not delegated to, or leave out route53 and add the records by hand"
}

// Zones finds the public hosted zone of each domain that apron writes records for: the one
// with the longest name that the domain ends with. Domains without one are left out.
// Private zones are no use to App Runner.
func (p *Provider) Zones(ctx context.Context, specs []state.Spec) (map[string]Zone, error) {
	found := map[string]Zone{}
	for _, s := range specs {
		for _, d := range s.Domains {
			if !d.Route53 {
				continue
			}
			all, err := p.allZones(ctx)
			if err != nil {
				return nil, err
			}
			var best []Zone
			for _, z := range all {
				switch {
				case !within(base(d.Name), z.Name):
				case len(best) == 0 || len(z.Name) > len(best[0].Name):
					best = []Zone{z}
				case len(z.Name) == len(best[0].Name):
					best = append(best, z)
				}
			}
			switch len(best) {
			case 0:
			case 1:
				found[d.Name] = best[0]
			default:
				return nil, &AmbiguousError{Domain: d.Name, Zones: best}
			}
		}
	}
	return found, nil
}

// base is the name that a wildcard is below, or the name itself.
func base(domain string) string { return strings.TrimPrefix(domain, "*.") }

// within reports whether a name is a zone's or below it.
func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// allZones lists the public hosted zones, once in a run.
func (p *Provider) allZones(ctx context.Context) ([]Zone, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.zones != nil {
		return p.zones, nil
	}
	zones := []Zone{}
	pages := sdk.NewListHostedZonesPaginator(p.api, &sdk.ListHostedZonesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list hosted zones: %w", awsapi.Explain(err))
		}
		for _, z := range page.HostedZones {
			if z.Config == nil || !z.Config.PrivateZone {
				zones = append(zones, Zone{ID: strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/"), Name: plain(aws.ToString(z.Name))})
			}
		}
	}
	slices.SortFunc(zones, func(a, b Zone) int { return strings.Compare(a.ID, b.ID) })
	p.zones = zones
	return zones, nil
}

// Observe implements [reconcile.Provider]: the records of the domains that apron writes
// records for.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	zones, err := p.Zones(ctx, q.Specs)
	if err != nil {
		return nil, nil, err
	}
	live := state.Live{}
	var mu sync.Mutex
	reads, ctx := reconcile.NewReads(ctx)
	for _, s := range q.Specs {
		for _, d := range s.Domains {
			zone, ok := zones[d.Name]
			if !ok {
				continue
			}
			reads.Go(func() error {
				sets, own, err := p.setsAndOwn(ctx, zone, base(d.Name), s.Service)
				if err != nil {
					return awsapi.Unread(Address(d.Name), err)
				}
				if o, ok := observed(d, zone, sets, state.Address{Target: "apprunner", Kind: "service", Name: s.Service}, own); ok {
					mu.Lock()
					defer mu.Unlock()
					live[o.Address] = o
				}
				return nil
			})
		}
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	return live, nil, nil
}

// setsAndOwn reads at once the record sets of a name and the names of a service.
func (p *Provider) setsAndOwn(ctx context.Context, zone Zone, name, service string) (sets []types.ResourceRecordSet, own []string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		sets, err = p.sets(ctx, zone, name)
		return err
	})
	g.Go(func() error {
		names, err := p.o.Leads(ctx, service)
		for _, n := range names {
			own = append(own, plain(n))
		}
		return err
	})
	err = g.Wait()
	return sets, own, err
}

// sets reads the record sets of a name and of all names below it, which Route 53 lists one
// after the other.
// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
func (p *Provider) sets(ctx context.Context, zone Zone, name string) ([]types.ResourceRecordSet, error) {
	var sets []types.ResourceRecordSet
	pages := sdk.NewListResourceRecordSetsPaginator(p.api, &sdk.ListResourceRecordSetsInput{HostedZoneId: &zone.ID, StartRecordName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("hosted zone %s (%s): list records: %w", zone.ID, zone.Name, awsapi.Explain(err))
		}
		for _, s := range page.ResourceRecordSets {
			if !within(plain(aws.ToString(s.Name)), name) {
				return sets, nil
			}
			sets = append(sets, s)
		}
	}
	return sets, nil
}
