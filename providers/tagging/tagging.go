// Package tagging finds the services that carry the tag which says where their manifest is,
// with the Resource Groups Tagging API: one question for the whole account and Region, which
// App Runner itself would take one for each service. Its index is behind by some seconds, and
// may still have what is deleted: who believes it looks at the services themselves, too.
// https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
package tagging

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	sdk "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/orphan"
)

// api is the part of the SDK's client that this package calls.
type api interface {
	GetResources(context.Context, *sdk.GetResourcesInput, ...func(*sdk.Options)) (*sdk.GetResourcesOutput, error)
}

var _ api = (*sdk.Client)(nil)

// Reader asks for what is tagged in one account and Region.
type Reader struct{ api api }

// New returns a reader; api is the SDK's client.
func New(api api) *Reader { return &Reader{api} }

// perPage is the most that a page holds.
// https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
const perPage = 100

// Services returns the App Runner services that have the tag [orphan.Tag], without their
// URLs. What has another ARN than services have is left out.
func (r *Reader) Services(ctx context.Context) ([]orphan.Service, error) {
	var services []orphan.Service
	pages := sdk.NewGetResourcesPaginator(r.api, &sdk.GetResourcesInput{
		ResourceTypeFilters: []string{"apprunner:service"},
		TagFilters:          []types.TagFilter{{Key: aws.String(orphan.Tag)}},
		ResourcesPerPage:    aws.Int32(perPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("find services by their tags: %w", awsapi.Explain(err))
		}
		for _, m := range page.ResourceTagMappingList {
			if s, ok := service(m); ok {
				services = append(services, s)
			}
		}
	}
	return services, nil
}

// service reads one answer: arn:aws:apprunner:REGION:ACCOUNT:service/NAME/ID and its tags.
func service(m types.ResourceTagMapping) (orphan.Service, bool) {
	s := orphan.Service{ID: aws.ToString(m.ResourceARN)}
	a, err := arn.Parse(s.ID)
	parts := strings.Split(a.Resource, "/")
	if err != nil || a.Service != "apprunner" || len(parts) != 3 || parts[0] != "service" {
		return s, false
	}
	s.Name, s.Region = parts[1], a.Region
	for _, t := range m.Tags {
		switch aws.ToString(t.Key) {
		case orphan.Tag:
			s.Tag = aws.ToString(t.Value)
		case "apron:service":
			s.Owner = aws.ToString(t.Value)
		}
	}
	return s, true
}
