package logs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

var (
	groupRE  = pattern.Lazy(`^[\.\-_/#A-Za-z0-9]+$`)
	streamRE = pattern.Lazy(`^[^:*]*$`)
)

func checkGroup(name string) error {
	var c wire.Checks
	c.Present("logGroupName", name != "")
	c.Length("logGroupName", name, 1, 512)
	c.Pattern("logGroupName", name, groupRE)
	return c.Err("InvalidParameterException")
}

type createGroupIn struct {
	Group string            `json:"logGroupName"`
	Tags  map[string]string `json:"tags"`
}

func (s *Service) createGroup(_ context.Context, in createGroupIn) (struct{}, error) {
	if err := checkGroup(in.Group); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.doc.Update(func(all *groups) error {
		if all.ByName[in.Group] != nil {
			return wire.Errorf("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		return setTags(s.newGroup(all, in.Group), in.Tags)
	})
}

type groupIn struct {
	Group string `json:"logGroupName"`
}

// change calls f to change the group of that name.
func (s *Service) change(name string, f func(*group) error) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	return s.doc.Update(func(all *groups) error {
		g := all.ByName[name]
		if g == nil {
			return noGroup()
		}
		return f(g)
	})
}

func (s *Service) deleteGroup(_ context.Context, in groupIn) (struct{}, error) {
	if err := checkGroup(in.Group); err != nil {
		return struct{}{}, err
	}
	var files []string
	err := s.doc.Update(func(all *groups) error {
		g := all.ByName[in.Group]
		if g == nil {
			return noGroup()
		}
		for _, x := range g.Streams {
			files = append(files, x.File)
		}
		delete(all.ByName, in.Group)
		return nil
	})
	if err == nil {
		s.discard(files...)
	}
	return struct{}{}, err
}

type describeGroupsIn struct {
	Prefix  string `json:"logGroupNamePrefix"`
	Pattern string `json:"logGroupNamePattern"`
	Token   string `json:"nextToken"`
	Limit   *int   `json:"limit"`
}

type groupView struct {
	ARN       string `json:"arn"`
	GroupARN  string `json:"logGroupArn"`
	Name      string `json:"logGroupName"`
	Created   int64  `json:"creationTime"`
	Retention int    `json:"retentionInDays,omitempty"`
	Filters   int    `json:"metricFilterCount"`
	Bytes     int64  `json:"storedBytes"`
	Class     string `json:"logGroupClass"`
}

type describeGroupsOut struct {
	Groups []groupView `json:"logGroups"`
	Token  string      `json:"nextToken,omitempty"`
}

func (s *Service) describeGroups(_ context.Context, in describeGroupsIn) (out describeGroupsOut, err error) {
	var c wire.Checks
	c.Range("limit", in.Limit, 1, 50)
	c.Length("logGroupNamePrefix", in.Prefix, 1, 512)
	c.Pattern("logGroupNamePrefix", in.Prefix, groupRE)
	if err := c.Err("InvalidParameterException"); err != nil {
		return out, err
	}
	if in.Prefix != "" && in.Pattern != "" {
		return out, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	all := []groupView{}
	s.doc.View(func(state *groups) {
		for _, name := range slices.Sorted(maps.Keys(state.ByName)) {
			g := state.ByName[name]
			if !strings.HasPrefix(name, in.Prefix) || !strings.Contains(strings.ToLower(name), strings.ToLower(in.Pattern)) {
				continue
			}
			v := groupView{
				ARN: s.groupARN(name) + ":*", GroupARN: s.groupARN(name), Name: name,
				Created: g.Created.UnixMilli(), Retention: g.Retention, Class: "STANDARD",
			}
			for _, x := range g.Streams {
				v.Bytes += s.stat(x.File).Bytes
			}
			all = append(all, v)
		}
	})
	out.Groups, out.Token, err = pageOf("DescribeLogGroups "+in.Prefix, all, func(g groupView) string { return g.Name }, in.Token, in.Limit)
	return out, err
}

// pageOf pages groups and streams, 50 at a time.
func pageOf[T any](list string, all []T, key func(T) string, token string, limit *int) ([]T, string, error) {
	n := 50
	if limit != nil {
		n = *limit
	}
	page, next, err := wire.Page(list, all, key, token, n)
	if err != nil {
		return nil, "", invalid("The specified nextToken is invalid.")
	}
	return page, next, nil
}

type putRetentionIn struct {
	Group string `json:"logGroupName"`
	Days  int    `json:"retentionInDays"`
}

func (s *Service) putRetention(_ context.Context, in putRetentionIn) (struct{}, error) {
	if !validRetention(in.Days) {
		return struct{}{}, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", in.Days, retentions)
	}
	return struct{}{}, s.change(in.Group, func(g *group) error {
		g.Retention = in.Days
		return nil
	})
}

func (s *Service) deleteRetention(_ context.Context, in groupIn) (struct{}, error) {
	return struct{}{}, s.change(in.Group, func(g *group) error {
		g.Retention = 0
		return nil
	})
}

func setTags(g *group, tags map[string]string) error {
	var c wire.Checks
	for key, value := range tags {
		c.Length("tags", key, 1, 128)
		c.Length("tags", value, 0, 256)
		g.Tags[key] = value
	}
	if err := c.Err("InvalidParameterException"); err != nil {
		return err
	}
	if len(g.Tags) > 50 {
		return wire.Errorf("TooManyTagsException", "A resource can have no more than 50 tags.")
	}
	return nil
}

type tagIn struct {
	ARN  string            `json:"resourceArn"`
	Tags map[string]string `json:"tags"`
	Keys []string          `json:"tagKeys"`
}

// named returns the group's name in an ARN, with or without ":*" at its end.
func (s *Service) named(arn string) string {
	return strings.TrimSuffix(strings.TrimPrefix(arn, s.groupARN("")), ":*")
}

func (s *Service) tag(_ context.Context, in tagIn) (struct{}, error) {
	return struct{}{}, s.change(s.named(in.ARN), func(g *group) error { return setTags(g, in.Tags) })
}

func (s *Service) untag(_ context.Context, in tagIn) (struct{}, error) {
	return struct{}{}, s.change(s.named(in.ARN), func(g *group) error {
		for _, key := range in.Keys {
			delete(g.Tags, key)
		}
		return nil
	})
}

type tagsOut struct {
	Tags map[string]string `json:"tags"`
}

func (s *Service) listTags(_ context.Context, in tagIn) (out tagsOut, err error) {
	s.doc.View(func(all *groups) {
		g := all.ByName[s.named(in.ARN)]
		if g == nil {
			err = noGroup()
			return
		}
		out.Tags = maps.Clone(g.Tags)
	})
	return out, err
}

// Tagged are the tags of every log group, by its ARN.
func (s *Service) Tagged() map[string]map[string]string {
	all := map[string]map[string]string{}
	s.doc.View(func(g *groups) {
		for name, found := range g.ByName {
			all[s.groupARN(name)] = maps.Clone(found.Tags)
		}
	})
	return all
}
