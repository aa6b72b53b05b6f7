package ecr

import (
	"context"
	"maps"
	"slices"
	"strings"
)

type tagged struct {
	ResourceArn string   `json:"resourceArn"`
	Tags        []tag    `json:"tags"`
	TagKeys     []string `json:"tagKeys"`
}

type tagList struct {
	Tags []tag `json:"tags"`
}

type empty struct{}

// named returns the repository's name in an ARN of this registry.
func (s *Service) named(arn string) (string, error) {
	name, ok := strings.CutPrefix(arn, s.arn(""))
	if !ok || !nameRE().MatchString(name) {
		return "", constraint("resourceArn", "Invalid ARN")
	}
	return name, nil
}

func (s *Service) tagResource(_ context.Context, in tagged) (empty, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return empty{}, err
	}
	if err := checkTags(in.Tags); err != nil {
		return empty{}, err
	}
	return change(s, target{RepositoryName: name}, func(r *repository) (empty, error) {
		tags := maps.Clone(r.Tags)
		for _, t := range in.Tags {
			tags[t.Key] = t.Value
		}
		if len(tags) > maxTags {
			return empty{}, refuse("TooManyTagsException", "A repository has at most %d tags", maxTags)
		}
		r.Tags = tags
		return empty{}, nil
	})
}

func (s *Service) untagResource(_ context.Context, in tagged) (empty, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return empty{}, err
	}
	return change(s, target{RepositoryName: name}, func(r *repository) (empty, error) {
		for _, k := range in.TagKeys {
			delete(r.Tags, k)
		}
		return empty{}, nil
	})
}

func (s *Service) listTagsForResource(_ context.Context, in tagged) (*tagList, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return view(s, target{RepositoryName: name}, func(r *repository) (*tagList, error) {
		out := &tagList{Tags: []tag{}}
		for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
			out.Tags = append(out.Tags, tag{k, r.Tags[k]})
		}
		return out, nil
	})
}

// Tagged are the tags of every repository, by its ARN.
func (s *Service) Tagged() map[string]map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]map[string]string{}
	for name, r := range s.repositories {
		all[s.arn(name)] = maps.Clone(r.Tags)
	}
	return all
}
