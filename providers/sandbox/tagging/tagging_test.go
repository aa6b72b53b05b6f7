package tagging_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/tagging"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

const (
	services = "arn:aws:apprunner:us-east-1:123456789012:service/"
	scaling  = "arn:aws:apprunner:us-east-1:123456789012:autoscalingconfiguration/one/1"
	group    = "arn:aws:logs:us-east-1:123456789012:log-group:/one"
)

func client(t *testing.T) *sdk.Client {
	t.Helper()
	return sdk.NewFromConfig(wiretest.Config(t, func(m *wire.Mux) {
		m.Add(tagging.API(tagging.Options{Sources: map[string]func() map[string]map[string]string{
			"apprunner": func() map[string]map[string]string {
				return map[string]map[string]string{
					services + "web/1": {"team": "a", "apron:service": "web"}, services + "api/2": {"team": "b"}, services + "bare/3": {}, scaling: {"team": "a"},
				}
			},
			"logs": func() map[string]map[string]string { return map[string]map[string]string{group: {"team": ""}} },
		}}))
	}))
}

func found(t *testing.T, c *sdk.Client, in *sdk.GetResourcesInput) []string {
	t.Helper()
	var arns []string
	for pages := sdk.NewGetResourcesPaginator(c, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, m := range page.ResourceTagMappingList {
			arns = append(arns, *m.ResourceARN)
			require.True(t, slices.IsSortedFunc(m.Tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) }))
		}
	}
	return arns
}

func key(name string, values ...string) types.TagFilter {
	return types.TagFilter{Key: &name, Values: values}
}

func TestResources_areFoundByTagAndType(t *testing.T) {
	t.Parallel()
	c := client(t)
	web, api := services+"web/1", services+"api/2"
	for name, tc := range map[string]struct {
		in   sdk.GetResourcesInput
		want []string
	}{
		"all that have tags":  {sdk.GetResourcesInput{}, []string{scaling, api, web, group}},
		"by key":              {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key("apron:service")}}, []string{web}},
		"by value":            {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key("team", "a", "c")}}, []string{scaling, web}},
		"by an empty value":   {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key("team", "")}}, []string{group}},
		"by all filters":      {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key("team", "b"), key("apron:service")}}, nil},
		"by type":             {sdk.GetResourcesInput{ResourceTypeFilters: []string{"apprunner:service", "logs:log-group"}}, []string{api, web, group}},
		"by service":          {sdk.GetResourcesInput{ResourceTypeFilters: []string{"apprunner"}}, []string{scaling, api, web}},
		"by ARN":              {sdk.GetResourcesInput{ResourceARNList: []string{web, "arn:aws:s3:::none"}}, []string{web}},
		"by page":             {sdk.GetResourcesInput{ResourcesPerPage: aws.Int32(1)}, []string{scaling, api, web, group}},
		"by tags of the page": {sdk.GetResourcesInput{TagsPerPage: aws.Int32(100)}, []string{scaling, api, web, group}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, found(t, c, &tc.in)) })
	}
	keys, err := c.GetTagKeys(t.Context(), &sdk.GetTagKeysInput{})
	require.NoError(t, err)
	require.Equal(t, []string{"apron:service", "team"}, keys.TagKeys)
	values, err := c.GetTagValues(t.Context(), &sdk.GetTagValuesInput{Key: aws.String("team")})
	require.NoError(t, err)
	require.Equal(t, []string{"", "a", "b"}, values.TagValues)
}

func TestResources_areRefusedWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	c := client(t)
	filters := make([]types.TagFilter, 51)
	for i := range filters {
		filters[i] = key(fmt.Sprint(i))
	}
	for name, tc := range map[string]struct {
		in   sdk.GetResourcesInput
		text string
	}{
		"no key":                 {sdk.GetResourcesInput{TagFilters: []types.TagFilter{{}}}, "tagFilters.1.member.key"},
		"a long key":             {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key(strings.Repeat("k", 129))}}, "less than or equal to 128"},
		"many filters":           {sdk.GetResourcesInput{TagFilters: filters}, "less than or equal to 50"},
		"many values":            {sdk.GetResourcesInput{TagFilters: []types.TagFilter{key("k", make([]string, 21)...)}}, "less than or equal to 20"},
		"a large page":           {sdk.GetResourcesInput{ResourcesPerPage: aws.Int32(101)}, "less than or equal to 100"},
		"few tags on a page":     {sdk.GetResourcesInput{TagsPerPage: aws.Int32(50)}, "greater than or equal to 100"},
		"two limits":             {sdk.GetResourcesInput{ResourcesPerPage: aws.Int32(1), TagsPerPage: aws.Int32(100)}, "both"},
		"ARNs and a filter":      {sdk.GetResourcesInput{ResourceARNList: []string{group}, TagFilters: []types.TagFilter{key("k")}}, "ResourceARNList"},
		"no ARNs":                {sdk.GetResourcesInput{ResourceARNList: []string{}}, "greater than or equal to 1"},
		"another list's token":   {sdk.GetResourcesInput{PaginationToken: aws.String("x")}, "PaginationToken"},
		"compliance":             {sdk.GetResourcesInput{ExcludeCompliantResources: aws.Bool(true)}, "IncludeComplianceDetails"},
		"what the sandbox lacks": {sdk.GetResourcesInput{ResourceTypeFilters: []string{"s3"}}, "apprunner, logs"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.GetResources(context.Background(), &tc.in)
			wiretest.Refused(t, err, "InvalidParameterException", tc.text)
		})
	}
	_, err := c.GetTagValues(t.Context(), &sdk.GetTagValuesInput{Key: aws.String("")})
	wiretest.Refused(t, err, "InvalidParameterException", "'key'")
}
