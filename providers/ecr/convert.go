package ecr

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// observed is a repository as the planner sees it.
func observed(r types.Repository, policy string, tags []types.Tag, users []string) state.Observed {
	fields := []state.Field{
		{Path: "tag_mutability", Value: string(r.ImageTagMutability)},
		{Path: "scan_on_push", Value: strconv.FormatBool(r.ImageScanningConfiguration != nil && r.ImageScanningConfiguration.ScanOnPush)},
	}
	for _, f := range r.ImageTagMutabilityExclusionFilters {
		fields = append(fields, state.Field{Path: "tag_mutability.exclude." + aws.ToString(f.Filter), Value: "true"})
	}
	if policy != "" {
		fields = append(fields, state.Field{Path: "lifecycle", Value: policy})
	}
	owner := state.Theirs
	for _, t := range tags {
		fields = append(fields, state.Field{Path: "tags." + aws.ToString(t.Key), Value: aws.ToString(t.Value)})
		if aws.ToString(t.Key) == tagManaged && aws.ToString(t.Value) == "true" {
			owner = state.Shared
		}
	}
	return state.Observed{
		Resource: state.Resource{Address: Repository(aws.ToString(r.RepositoryName)), Fields: state.Sort(fields)},
		ID:       aws.ToString(r.RepositoryArn), Owner: owner, Phase: state.Ready, Users: users,
	}
}

// maxExclusions is how many filters a repository takes.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html
const maxExclusions = 5

// exclusions collects the tags that stay movable: the wanted ones and, as far as there is
// room, those that are live, which other manifests may need.
func exclusions(want, have state.Resource) []types.ImageTagMutabilityExclusionFilter {
	var filters []types.ImageTagMutabilityExclusionFilter
	seen := map[string]bool{}
	for _, fields := range [][]state.Field{want.Fields, have.Fields} {
		for _, f := range fields {
			if tag, ok := strings.CutPrefix(f.Path, "tag_mutability.exclude."); ok && !seen[tag] && len(filters) < maxExclusions {
				seen[tag] = true
				filters = append(filters, types.ImageTagMutabilityExclusionFilter{
					Filter: aws.String(tag), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard})
			}
		}
	}
	return filters
}

func tagsOf(r state.Resource) []types.Tag {
	var tags []types.Tag
	for _, f := range r.Fields {
		if key, ok := strings.CutPrefix(f.Path, "tags."); ok {
			tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(f.Value)})
		}
	}
	return tags
}
