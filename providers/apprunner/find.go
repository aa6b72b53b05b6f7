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
)

// Find returns the ARN of the one service that is meant by a name or an ARN. Its error is a
// *[NotFoundError] if there is none, and a *[AmbiguousError] if several have the name.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ListServices.html
func (p *Provider) Find(ctx context.Context, nameOrARN string) (string, error) {
	var found, names []string
	pages := sdk.NewListServicesPaginator(p.api, &sdk.ListServicesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list services: %w", awsapi.Explain(err))
		}
		for _, s := range page.ServiceSummaryList {
			if s.Status == types.ServiceStatusDeleted {
				continue
			}
			name, arn := aws.ToString(s.ServiceName), aws.ToString(s.ServiceArn)
			names = append(names, name)
			if nameOrARN == name || nameOrARN == arn {
				found = append(found, arn)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", &NotFoundError{Service: nameOrARN, Region: p.region, Account: p.id.Account, There: slices.Compact(names)}
	case 1:
		return found[0], nil
	}
	return "", &AmbiguousError{Service: nameOrARN, ARNs: found}
}

// NotFoundError says that no service has a name or an ARN.
type NotFoundError struct {
	Service         string
	Region, Account string
	There           []string // the names of the services there are, sorted
}

var _ error = (*NotFoundError)(nil)

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("there is no App Runner service %s in account %s in %s", e.Service, e.Account, e.Region)
}

// Hint names those that there are.
func (e *NotFoundError) Hint() string {
	const most = 10
	switch n := len(e.There); {
	case n == 0:
		return "there is none at all: look in another Region with --region, or with another --profile"
	case n > most:
		return fmt.Sprintf("there are %s and %d more; --region looks in another Region", strings.Join(e.There[:most], ", "), n-most)
	}
	return "there is " + strings.Join(e.There, ", ") + "; --region looks in another Region"
}

// AmbiguousError says that several services have a name.
type AmbiguousError struct {
	Service string
	ARNs    []string
}

var _ error = (*AmbiguousError)(nil)

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d services are named %s", len(e.ARNs), e.Service)
}

// Hint names them.
func (e *AmbiguousError) Hint() string { return "say which by its ARN: " + strings.Join(e.ARNs, ", ") }
