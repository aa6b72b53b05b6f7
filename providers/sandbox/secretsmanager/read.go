package secretsmanager

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

type getIn struct{ SecretId, VersionId, VersionStage string }

type getOut struct {
	ARN, Name, VersionId string
	SecretString         *string  `json:",omitempty"`
	SecretBinary         []byte   `json:",omitempty"`
	VersionStages        []string `json:",omitempty"`
	CreatedDate          wire.Time
}

func (s *Service) get(_ context.Context, in getIn) (out getOut, err error) {
	var sealed string
	var binary, stale bool
	now := s.now().UTC()
	today := now.Truncate(24 * time.Hour)
	s.doc.View(func(all *secrets) {
		x, v, e := all.version(now, in.SecretId, in.VersionId, in.VersionStage)
		if err = e; err != nil {
			return
		}
		for number, candidate := range x.Versions {
			if candidate == v {
				out.VersionId = number
			}
		}
		out.ARN, out.Name, out.CreatedDate = x.ARN, x.Name, wire.At(v.Created)
		out.VersionStages = slices.Clone(v.Stages)
		sealed, binary, stale = v.Sealed, v.Binary, x.Accessed.Before(today)
	})
	if err != nil {
		return out, err
	}
	if stale {
		err := s.change(out.ARN, func(x *secret) error {
			x.Accessed = today
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	value, err := s.box.Open(out.ARN, sealed)
	if binary {
		out.SecretBinary = []byte(value)
	} else {
		out.SecretString = &value
	}
	return out, err
}

// view is a secret without its value. Describe and List name the versions differently.
type view struct {
	ARN, Name              string
	Description            string `json:",omitempty"`
	KmsKeyId               string `json:",omitempty"`
	CreatedDate            wire.Time
	LastChangedDate        wire.Time
	LastAccessedDate       wire.Time           `json:",omitzero"`
	DeletedDate            wire.Time           `json:",omitzero"`
	Tags                   []tag               `json:",omitempty"`
	VersionIdsToStages     map[string][]string `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

func (x *secret) show() view {
	v := view{
		ARN: x.ARN, Name: x.Name, Description: x.Description, KmsKeyId: x.KMSKeyID,
		CreatedDate: wire.At(x.Created), LastChangedDate: wire.At(x.Changed),
		LastAccessedDate: wire.At(x.Accessed), DeletedDate: wire.At(x.Deleted),
	}
	for _, key := range slices.Sorted(maps.Keys(x.Tags)) {
		v.Tags = append(v.Tags, tag{key, x.Tags[key]})
	}
	return v
}

func (x *secret) stages() map[string][]string {
	out := map[string][]string{}
	for number, v := range x.Versions {
		out[number] = slices.Clone(v.Stages)
	}
	return out
}

func (s *Service) describe(_ context.Context, in secretIn) (out view, err error) {
	s.doc.View(func(all *secrets) {
		x := all.find(s.now(), in.SecretId)
		if x == nil {
			err = notFound()
			return
		}
		out = x.show()
		out.VersionIdsToStages = x.stages()
	})
	return out, err
}

type filter struct {
	Key    string
	Values []string
}

type listIn struct {
	IncludePlannedDeletion bool
	MaxResults             *int
	NextToken              string
	Filters                []filter
	SortOrder, SortBy      string
}

type listOut struct {
	SecretList []view
	NextToken  string `json:",omitempty"`
}

// list pages through secrets, newest first unless asked otherwise.
func (s *Service) list(_ context.Context, in listIn) (out listOut, err error) {
	var c wire.Checks
	c.Range("maxResults", in.MaxResults, 1, 100)
	c.Enum("sortOrder", in.SortOrder, "asc", "desc")
	c.Enum("sortBy", in.SortBy, "created-date", "last-accessed-date", "last-changed-date", "name")
	for _, f := range in.Filters {
		c.Enum("filters.member.key", f.Key, "description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all")
	}
	if err := c.Err("ValidationException"); err != nil {
		return out, err
	}
	limit := 100
	if in.MaxResults != nil {
		limit = *in.MaxResults
	}
	var all []view
	s.doc.View(func(state *secrets) {
		for _, x := range state.ByName {
			hidden := !x.Deleted.IsZero() && !in.IncludePlannedDeletion
			if hidden || x.gone(s.now()) || slices.ContainsFunc(in.Filters, func(f filter) bool { return !f.passes(x) }) {
				continue
			}
			v := x.show()
			v.SecretVersionsToStages = x.stages()
			all = append(all, v)
		}
	})
	slices.SortFunc(all, func(a, b view) int {
		order := cmp.Or(compare(in.SortBy, a, b), cmp.Compare(a.Name, b.Name))
		if in.SortOrder != "asc" {
			return -order
		}
		return order
	})
	out.SecretList, out.NextToken, err = wire.Page("ListSecrets", all, func(v view) string { return v.ARN }, in.NextToken, limit)
	if err != nil {
		return out, wire.Errorf("InvalidNextTokenException", "The NextToken value is invalid.")
	}
	if out.SecretList == nil {
		out.SecretList = []view{}
	}
	return out, nil
}

func compare(by string, a, b view) int {
	switch by {
	case "name":
		return cmp.Compare(a.Name, b.Name)
	case "last-changed-date":
		return a.LastChangedDate.Compare(b.LastChangedDate.Time)
	case "last-accessed-date":
		return a.LastAccessedDate.Compare(b.LastAccessedDate.Time)
	}
	return a.CreatedDate.Compare(b.CreatedDate.Time)
}

// passes tells whether any of the filter's values fits; ! in front of one means not.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
func (f filter) passes(x *secret) bool {
	return slices.ContainsFunc(f.Values, func(value string) bool {
		value, not := strings.CutPrefix(value, "!")
		return not != f.fits(x, value)
	})
}

func (f filter) fits(x *secret, value string) bool {
	low := strings.ToLower(value)
	words := func(text string) bool { // a word of the text begins with the value, whatever its case
		return slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
			return strings.ContainsRune(" /_+=.@-", r)
		}), func(word string) bool { return strings.HasPrefix(word, low) }) || strings.HasPrefix(strings.ToLower(text), low)
	}
	tagged := func(test func(key, value string) bool) bool {
		for k, v := range x.Tags {
			if test(k, v) {
				return true
			}
		}
		return false
	}
	switch f.Key {
	case "name":
		return strings.HasPrefix(x.Name, value)
	case "description":
		return words(x.Description)
	case "tag-key":
		return tagged(func(k, _ string) bool { return strings.HasPrefix(k, value) })
	case "tag-value":
		return tagged(func(_, v string) bool { return strings.HasPrefix(v, value) })
	case "all":
		return words(x.Name) || words(x.Description) || tagged(func(k, v string) bool { return words(k) || words(v) })
	}
	return false // no replicas, no managed secrets
}

type policyOut struct{ ARN, Name string }

// policy answers that a secret has no policy of its own: the sandbox keeps none.
func (s *Service) policy(_ context.Context, in secretIn) (out policyOut, err error) {
	s.doc.View(func(all *secrets) {
		x := all.find(s.now(), in.SecretId)
		if x == nil {
			err = notFound()
			return
		}
		out = policyOut{x.ARN, x.Name}
	})
	return out, err
}

// Tagged are the tags of every secret, by its ARN.
func (s *Service) Tagged() map[string]map[string]string {
	all := map[string]map[string]string{}
	s.doc.View(func(state *secrets) {
		for _, x := range state.ByName {
			if !x.gone(s.now()) {
				all[x.ARN] = maps.Clone(x.Tags)
			}
		}
	})
	return all
}
