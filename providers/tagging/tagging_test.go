package tagging

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/orphan"
)

// index answers page by page.
type index struct {
	pages [][]types.ResourceTagMapping
	asked []*sdk.GetResourcesInput
	err   error
}

func (i *index) GetResources(_ context.Context, in *sdk.GetResourcesInput, _ ...func(*sdk.Options)) (*sdk.GetResourcesOutput, error) {
	i.asked = append(i.asked, in)
	if i.err != nil && len(i.asked) == len(i.pages) {
		return nil, i.err
	}
	out := &sdk.GetResourcesOutput{ResourceTagMappingList: i.pages[len(i.asked)-1], PaginationToken: aws.String("")}
	if len(i.asked) < len(i.pages) {
		out.PaginationToken = aws.String("more")
	}
	return out, nil
}

func tagged(arn string, tags ...string) types.ResourceTagMapping {
	m := types.ResourceTagMapping{ResourceARN: &arn}
	for i := 0; i < len(tags); i += 2 {
		m.Tags = append(m.Tags, types.Tag{Key: &tags[i], Value: &tags[i+1]})
	}
	return m
}

const prefix = "arn:aws:apprunner:eu-west-1:123456789012:"

func TestServices_areThoseOfAllPages(t *testing.T) {
	i := &index{pages: [][]types.ResourceTagMapping{
		{tagged(prefix+"service/web/1", "apron:manifest", "github.com/acme/shop:web.yaml", "apron:service", "web", "team", "a")},
		{},
		{
			tagged(prefix+"service/api/2", "apron:manifest", "?"),
			tagged(prefix+"autoscalingconfiguration/x/1/2", "apron:manifest", "?"),
			tagged("arn:aws:ecs:eu-west-1:123456789012:service/api/2", "apron:manifest", "?"),
			tagged("?", "apron:manifest", "?"),
		},
	}}
	got, err := New(i).Services(t.Context())
	require.NoError(t, err)
	require.Equal(t, []orphan.Service{
		{Name: "web", ID: prefix + "service/web/1", Region: "eu-west-1", Tag: "github.com/acme/shop:web.yaml", Owner: "web"},
		{Name: "api", ID: prefix + "service/api/2", Region: "eu-west-1", Tag: "?"},
	}, got)
	require.Len(t, i.asked, 3)
	require.Equal(t, "apron:manifest", *i.asked[0].TagFilters[0].Key)
	require.Equal(t, []string{"apprunner:service"}, i.asked[0].ResourceTypeFilters)
}

func TestServices_failAsAWSSays(t *testing.T) {
	for _, pages := range []int{1, 2} {
		i := &index{pages: make([][]types.ResourceTagMapping, pages), err: &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}}
		got, err := New(i).Services(t.Context())
		require.EqualError(t, err, "find services by their tags: AccessDeniedException: no")
		require.True(t, awsapi.Is(err, "AccessDeniedException"))
		require.Empty(t, got, "half of them are none")
	}
}
