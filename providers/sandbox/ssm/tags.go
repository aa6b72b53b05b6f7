package ssm

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

const maxTags = 50

var tagRE = pattern.Lazy(`^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`)

// setTags adds tags to p, or says why not.
func setTags(p *parameter, tags []tag) error {
	var c wire.Checks
	for i, t := range tags {
		at := "tags." + strconv.Itoa(i+1) + ".member."
		c.Present(at+"key", t.Key != "")
		c.Length(at+"key", t.Key, 1, 128)
		c.Pattern(at+"key", t.Key, tagRE)
		c.Length(at+"value", t.Value, 0, 256)
		c.Pattern(at+"value", t.Value, tagRE)
		p.Tags[t.Key] = t.Value
	}
	if err := c.Err("ValidationException"); err != nil {
		return err
	}
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("Tag keys can't start with aws:")
		}
	}
	if len(p.Tags) > maxTags {
		return wire.Errorf("TooManyTagsError", "The Tags parameter includes too many tags. A resource can have %d at most.", maxTags)
	}
	return nil
}

type resource struct{ ResourceType, ResourceId string }

// tagged calls f to change the parameter that a tagging request names.
func (s *Service) tagged(r resource, f func(*parameter) error) error {
	if err := r.check(); err != nil {
		return err
	}
	name := s.nameOf(r.ResourceId)
	return s.doc.Update(func(all *parameters) error {
		p := all.ByName[name]
		if p == nil {
			return r.unknown()
		}
		return f(p)
	})
}

func (r resource) check() error {
	if r.ResourceType != "Parameter" {
		return wire.Errorf("InvalidResourceType", "%s is not a valid resource type in the sandbox: it has parameters only.", r.ResourceType)
	}
	return nil
}

func (r resource) unknown() error {
	return wire.Errorf("InvalidResourceId", "The resource ID %q isn't valid. Verify that you entered the correct ID and try again.", r.ResourceId)
}

type addTagsIn struct {
	resource
	Tags []tag
}

func (s *Service) addTags(_ context.Context, in addTagsIn) (struct{}, error) {
	return struct{}{}, s.tagged(in.resource, func(p *parameter) error { return setTags(p, in.Tags) })
}

type removeTagsIn struct {
	resource
	TagKeys []string
}

func (s *Service) removeTags(_ context.Context, in removeTagsIn) (struct{}, error) {
	return struct{}{}, s.tagged(in.resource, func(p *parameter) error {
		for _, key := range in.TagKeys {
			delete(p.Tags, key)
		}
		return nil
	})
}

type listTagsOut struct{ TagList []tag }

func (s *Service) listTags(_ context.Context, in resource) (out listTagsOut, err error) {
	out.TagList = []tag{}
	if err := in.check(); err != nil {
		return out, err
	}
	name := s.nameOf(in.ResourceId)
	s.doc.View(func(all *parameters) {
		p := all.ByName[name]
		if p == nil {
			err = in.unknown()
			return
		}
		for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
			out.TagList = append(out.TagList, tag{key, p.Tags[key]})
		}
	})
	return out, err
}

// Tagged are the tags of every parameter, by its ARN.
func (s *Service) Tagged() map[string]map[string]string {
	all := map[string]map[string]string{}
	s.doc.View(func(p *parameters) {
		for name, found := range p.ByName {
			all[s.arn(name)] = maps.Clone(found.Tags)
		}
	})
	return all
}
