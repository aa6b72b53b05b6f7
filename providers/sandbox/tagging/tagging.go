// Package tagging is the sandbox's Resource Groups Tagging API: it finds the resources of
// its other services by their tags. It keeps nothing, so that it is never behind, as AWS's
// index is by some seconds. What was never tagged is in no answer; what once was, and has
// no tag now, is in none either, which AWS shows with an empty list. Tags are written with
// the services' own operations.
package tagging

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options configure an API.
type Options struct {
	// Sources are the tags of each service's resources by their ARNs, by the name that the
	// ARNs have for the service.
	Sources map[string]func() map[string]map[string]string
}

type service struct{ o Options }

// API answers for the resources of all sources.
// https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_Operations.html
func API(o Options) wire.API {
	s := service{o}
	return wire.API{
		Target:      "ResourceGroupsTaggingAPI_20170126",
		Version:     "1.1",
		SigningName: "tagging",
		MessageKey:  "Message",
		Operations: map[string]wire.Operation{
			"GetResources": wire.Handle(s.resources),
			"GetTagKeys":   wire.Handle(s.keys),
			"GetTagValues": wire.Handle(s.values),
		},
	}
}

const invalid = "InvalidParameterException"

type filter struct {
	Key    *string
	Values []string
}

// passes reports whether tags satisfy the filter: its key alone, or with one of its values.
func (f filter) passes(tags map[string]string) bool {
	value, ok := tags[*f.Key]
	return ok && (len(f.Values) == 0 || slices.Contains(f.Values, value))
}

type resourcesIn struct {
	PaginationToken                                     string
	ResourceARNList, ResourceTypeFilters                []string
	ResourcesPerPage, TagsPerPage                       *int
	TagFilters                                          []filter
	IncludeComplianceDetails, ExcludeCompliantResources *bool
}

type tag struct{ Key, Value string }

type mapping struct {
	ResourceARN string
	Tags        []tag
}

type resourcesOut struct {
	PaginationToken        string
	ResourceTagMappingList []mapping
}

// check holds a request to the constraints of the API's model and of its documentation.
// https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
func (in resourcesIn) check() error {
	var c wire.Checks
	c.Length("paginationToken", in.PaginationToken, 0, 2048)
	if in.ResourceARNList != nil {
		c.Count("resourceARNList", len(in.ResourceARNList), 1, 100)
	}
	c.Count("resourceTypeFilters", len(in.ResourceTypeFilters), 0, 100)
	c.Count("tagFilters", len(in.TagFilters), 0, 50)
	c.Range("resourcesPerPage", in.ResourcesPerPage, 1, 100)
	c.Range("tagsPerPage", in.TagsPerPage, 100, 500)
	for _, t := range in.ResourceTypeFilters {
		c.Length("resourceTypeFilters.member", t, 0, 256)
	}
	for i, f := range in.TagFilters {
		at := "tagFilters." + strconv.Itoa(i+1) + ".member."
		c.Present(at+"key", f.Key != nil)
		c.LengthOf(at+"key", f.Key, 1, 128)
		c.Count(at+"values", len(f.Values), 0, 20)
		for _, v := range f.Values {
			c.Length(at+"values.member", v, 0, 256)
		}
	}
	if err := c.Err(invalid); err != nil {
		return err
	}
	paged := in.PaginationToken != "" || in.ResourcesPerPage != nil || in.TagsPerPage != nil
	switch {
	case in.ResourceARNList != nil && (in.TagFilters != nil || in.ResourceTypeFilters != nil || paged):
		return wire.Errorf(invalid, "ResourceARNList can't be combined with filters or pagination parameters.")
	case in.ResourcesPerPage != nil && in.TagsPerPage != nil:
		return wire.Errorf(invalid, "You can't specify both ResourcesPerPage and TagsPerPage.")
	case in.TagsPerPage != nil && *in.TagsPerPage%100 != 0:
		return wire.Errorf(invalid, "TagsPerPage must be a multiple of 100.")
	case in.ExcludeCompliantResources != nil && *in.ExcludeCompliantResources && (in.IncludeComplianceDetails == nil || !*in.IncludeComplianceDetails):
		return wire.Errorf(invalid, "ExcludeCompliantResources needs IncludeComplianceDetails.")
	case in.IncludeComplianceDetails != nil && *in.IncludeComplianceDetails:
		return wire.Errorf(invalid, "The sandbox has no tag policies.")
	}
	return nil
}

// wanted reports whether a resource is of one of the types: service or service:type, as its
// ARN has them.
func (in resourcesIn) wanted(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	kind := parts[5]
	if i := strings.IndexAny(kind, ":/"); i >= 0 {
		kind = kind[:i]
	}
	for _, want := range in.ResourceTypeFilters {
		if service, of, typed := strings.Cut(want, ":"); service == parts[2] && (!typed || of == kind) {
			return true
		}
	}
	return len(in.ResourceTypeFilters) == 0
}

// all are the resources that have tags, in the order of their ARNs.
func (s service) all() []mapping {
	var list []mapping
	for _, source := range s.o.Sources {
		for arn, tags := range source() {
			if len(tags) == 0 {
				continue
			}
			m := mapping{ResourceARN: arn}
			for _, key := range slices.Sorted(maps.Keys(tags)) {
				m.Tags = append(m.Tags, tag{key, tags[key]})
			}
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b mapping) int { return cmp.Compare(a.ResourceARN, b.ResourceARN) })
	return list
}

func (s service) resources(_ context.Context, in resourcesIn) (out resourcesOut, err error) {
	out.ResourceTagMappingList = []mapping{}
	if err := in.check(); err != nil {
		return out, err
	}
	for _, want := range in.ResourceTypeFilters {
		// AWS finds nothing of a type that it does not know. Here there might be some.
		if name, _, _ := strings.Cut(want, ":"); s.o.Sources[name] == nil {
			return out, wire.Errorf(invalid, "The sandbox has no tags of %s: it has those of %s.", want, strings.Join(slices.Sorted(maps.Keys(s.o.Sources)), ", "))
		}
	}
	for _, m := range s.all() {
		tags := map[string]string{}
		for _, t := range m.Tags {
			tags[t.Key] = t.Value
		}
		named := in.ResourceARNList == nil || slices.Contains(in.ResourceARNList, m.ResourceARN)
		refused := slices.ContainsFunc(in.TagFilters, func(f filter) bool { return !f.passes(tags) })
		if named && !refused && in.wanted(m.ResourceARN) {
			out.ResourceTagMappingList = append(out.ResourceTagMappingList, m)
		}
	}
	limit := 50
	switch {
	case in.ResourcesPerPage != nil:
		limit = *in.ResourcesPerPage
	case in.ResourceARNList != nil:
		limit = len(in.ResourceARNList)
	case in.TagsPerPage != nil:
		limit = fitting(out.ResourceTagMappingList, *in.TagsPerPage)
	}
	out.ResourceTagMappingList, out.PaginationToken, err = page("GetResources", out.ResourceTagMappingList, func(m mapping) string { return m.ResourceARN }, in.PaginationToken, limit)
	return out, err
}

// fitting is how many resources are sure to have no more tags than that together: as many
// as of the one with the most.
func fitting(list []mapping, tags int) int {
	most := 1
	for _, m := range list {
		most = max(most, len(m.Tags))
	}
	return tags / most
}

func page[T any](list string, items []T, key func(T) string, token string, limit int) ([]T, string, error) {
	out, next, err := wire.Page(list, items, key, token, limit)
	if err != nil {
		return nil, "", wire.Errorf(invalid, "PaginationToken is not valid.")
	}
	return out, next, nil
}

type keysIn struct{ PaginationToken string }

type keysOut struct {
	PaginationToken string
	TagKeys         []string
}

func (s service) keys(_ context.Context, in keysIn) (out keysOut, err error) {
	keys := map[string]bool{}
	for _, m := range s.all() {
		for _, t := range m.Tags {
			keys[t.Key] = true
		}
	}
	out.TagKeys, out.PaginationToken, err = page("GetTagKeys", slices.Sorted(maps.Keys(keys)), strings.Clone, in.PaginationToken, 100)
	return out, err
}

type valuesIn struct {
	PaginationToken string
	Key             *string
}

type valuesOut struct {
	PaginationToken string
	TagValues       []string
}

func (s service) values(_ context.Context, in valuesIn) (out valuesOut, err error) {
	var c wire.Checks
	c.Present("key", in.Key != nil)
	c.LengthOf("key", in.Key, 1, 128)
	if err := c.Err(invalid); err != nil {
		return out, err
	}
	values := map[string]bool{}
	for _, m := range s.all() {
		for _, t := range m.Tags {
			if t.Key == *in.Key {
				values[t.Value] = true
			}
		}
	}
	out.TagValues, out.PaginationToken, err = page("GetTagValues "+*in.Key, slices.Sorted(maps.Keys(values)), strings.Clone, in.PaginationToken, 100)
	return out, err
}
