package apprunner

import (
	"context"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// Leads finds the names that lead to a service: a record in DNS that leads to any other is
// somebody else's. They are all that App Runner says of it, of now and of before: its default
// domain is one though the service is no longer public.
// https://docs.aws.amazon.com/apprunner/latest/api/API_DescribeCustomDomains.html
func (p *Provider) Leads(ctx context.Context, service string) ([]string, error) {
	arns, err := p.ARNs(ctx, []string{service})
	arn, exists := arns[service]
	if err != nil || !exists {
		return nil, err
	}
	var names []string
	if u, err := url.Parse(p.Listed()[arn]); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	out, err := p.api.DescribeCustomDomains(ctx, &sdk.DescribeCustomDomainsInput{ServiceArn: &arn})
	switch {
	case awsapi.Is(err, "ResourceNotFoundException"):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: describe custom domains: %w", arn, awsapi.Explain(err))
	}
	if name := aws.ToString(out.DNSTarget); name != "" {
		names = append(names, name)
	}
	for _, t := range out.VpcDNSTargets {
		names = append(names, aws.ToString(t.DomainName))
	}
	return names, nil
}
