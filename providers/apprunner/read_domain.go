package apprunner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Domains reads the domains of a service by its ARN, but for those that are being
// disassociated, in order of their names. A service that is gone has none.
// https://docs.aws.amazon.com/apprunner/latest/api/API_DescribeCustomDomains.html
func (p *Provider) Domains(ctx context.Context, arn string) ([]CustomDomain, error) {
	all, err := p.allDomains(ctx, arn)
	return slices.DeleteFunc(all, func(d CustomDomain) bool { return d.Status == types.CustomDomainAssociationStatusDeleting }), err
}

func (p *Provider) allDomains(ctx context.Context, arn string) ([]CustomDomain, error) {
	var all []CustomDomain
	pages := sdk.NewDescribeCustomDomainsPaginator(p.api, &sdk.DescribeCustomDomainsInput{ServiceArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.Is(err, "ResourceNotFoundException") {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: describe custom domains: %w", arn, awsapi.Explain(err))
		}
		target := aws.ToString(page.DNSTarget)
		if len(page.VpcDNSTargets) > 0 { // not public: its VPC is the only way
			target = aws.ToString(page.VpcDNSTargets[0].DomainName)
		}
		for _, d := range page.CustomDomains {
			all = append(all, customDomain(d, target))
		}
	}
	slices.SortFunc(all, func(a, b CustomDomain) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// observeDomains reports the domains of a service, and which of them are active.
func (p *Provider) observeDomains(ctx context.Context, arn string, keep func(state.Observed)) error {
	domains, err := p.Domains(ctx, arn)
	for _, d := range domains {
		keep(observedDomain(d, Service(serviceName(arn)), arn))
		if d.Validated() {
			keep(state.Observed{Resource: activeOf(d.Name), ID: arn, Owner: state.Derived, Phase: state.Ready})
		}
	}
	return err
}

// belong makes domains those of whose the service is: they have no tags of their own.
func belong(live state.Live) {
	for addr, o := range live {
		if addr.Kind == kindDomain {
			o.Owner = live[stateAddress(o.Value("service"))].Owner
			if o.Owner == "" {
				o.Owner = state.Theirs
			}
			live[addr] = o
		}
	}
}
