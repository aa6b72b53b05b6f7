package apprunner

import (
	"context"
	"maps"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// maxTags is AWS's usual limit per resource.
// https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
const maxTags = 50

type tagInput struct {
	ResourceArn *string
	Tags        []tagShape
}

type untagInput struct {
	ResourceArn *string
	TagKeys     []string
}

type tagsOutput struct{ Tags []tagShape }

// put writes tags into a map.
func put(into map[string]string, tags []tagShape) {
	for _, t := range tags {
		into[*t.Key] = value(t.Value)
	}
}

// tagged are all resources but services by their ARNs.
func (st *state) tagged() map[string]map[string]string {
	all := map[string]map[string]string{}
	add := func(r *revised) {
		if r.active() {
			all[r.ARN] = r.Tags
		}
	}
	for _, c := range st.Scalings {
		add(c.self())
	}
	for _, c := range st.Connectors {
		add(c.self())
	}
	for _, o := range st.Observabilities {
		add(o.self())
	}
	for _, c := range st.Connections {
		all[c.ARN] = c.Tags
	}
	for _, i := range st.Ingresses {
		if i.there() {
			all[i.ARN] = i.Tags
		}
	}
	return all
}

// tagsOf returns the tags of a resource. Services in the middle of an operation keep
// theirs as they are, as the model's InvalidState says.
func (s *Service) tagsOf(st *state, arn, verb string) (map[string]string, error) {
	if tags, ok := st.tagged()[arn]; ok {
		return tags, nil
	}
	for _, r := range st.Services {
		if r.ARN != arn || r.Status == deleted {
			continue
		}
		if verb != "" && s.status(r) == inProgress {
			return nil, s.allow(r, verb)
		}
		return r.Tags, nil
	}
	return nil, wire.Errorf(notFound, "Resource with the provided ARN doesn't exist: %s.", arn)
}

func (s *Service) tagResource(_ context.Context, in tagInput) (struct{}, error) {
	var c checks
	c.arn("resourceArn", in.ResourceArn)
	c.Present("tags", in.Tags != nil)
	c.tags(in.Tags)
	if err := c.err(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.doc.Update(func(st *state) error {
		tags, err := s.tagsOf(st, *in.ResourceArn, "tagged")
		if err != nil {
			return err
		}
		if put(tags, in.Tags); len(tags) > maxTags {
			return wire.Errorf(invalidRequest, "A resource can have at most %d tags.", maxTags)
		}
		return nil
	})
}

func (s *Service) untagResource(_ context.Context, in untagInput) (struct{}, error) {
	var c checks
	c.arn("resourceArn", in.ResourceArn)
	c.Present("tagKeys", in.TagKeys != nil)
	for _, key := range in.TagKeys {
		c.tagKey("tagKeys.member", &key)
	}
	if err := c.err(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.doc.Update(func(st *state) error {
		tags, err := s.tagsOf(st, *in.ResourceArn, "untagged")
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return err
	})
}

func (s *Service) listTags(_ context.Context, in tagInput) (out tagsOutput, err error) {
	var c checks
	c.arn("resourceArn", in.ResourceArn)
	if err := c.err(); err != nil {
		return out, err
	}
	out.Tags = []tagShape{}
	s.doc.View(func(st *state) {
		var tags map[string]string
		tags, err = s.tagsOf(st, *in.ResourceArn, "")
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			out.Tags = append(out.Tags, tagShape{Key: new(key), Value: new(tags[key])})
		}
	})
	return out, err
}

// Tagged are the tags of every resource that is there, by its ARN.
func (s *Service) Tagged() map[string]map[string]string {
	all := map[string]map[string]string{}
	s.doc.View(func(st *state) {
		for arn, tags := range st.tagged() {
			all[arn] = maps.Clone(tags)
		}
		for _, r := range st.Services {
			if r.Status != deleted {
				all[r.ARN] = maps.Clone(r.Tags)
			}
		}
	})
	return all
}
