package iam

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maxRoles    = 1000
	maxTrust    = 2048 // characters without white space
	maxTags     = 50
	maxAttached = 10
	maxInline   = 10240 // characters of all inline policies without white space
)

var (
	nameRE = pattern.Lazy(`^[\w+=,.@-]+$`)
	pathRE = pattern.Lazy(`^/([\x21-\x7e]+/)?$`)
	tagRE  = pattern.Lazy(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
)

type tag struct {
	Key   string
	Value *string
}

type boundary struct{ PermissionsBoundaryType, PermissionsBoundaryArn string }

type roleView struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string
	Description                 string
	MaxSessionDuration          int
	PermissionsBoundary         *boundary
	Tags                        *[]tag
}

// show is a role as Create and Get answer; lists leave the tags out.
func (s *Service) show(r *role, withTags bool) roleView {
	v := roleView{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: s.arn(r),
		CreateDate:               r.Created,
		AssumeRolePolicyDocument: encode(r.Trust),
		Description:              r.Description,
		MaxSessionDuration:       r.MaxSession,
	}
	if r.Boundary != "" {
		v.PermissionsBoundary = &boundary{"Policy", r.Boundary}
	}
	if tags := tagList(r); withTags && len(tags) > 0 {
		v.Tags = &tags
	}
	return v
}

// encode writes a policy document the way IAM returns it: percent-encoded (RFC 3986).
func encode(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

func checkName(name string) error {
	var c wire.Checks
	c.Present("roleName", name != "")
	c.Length("roleName", name, 1, 64)
	if err := c.Err("ValidationError"); err != nil {
		return err
	}
	return checkLetters("roleName", name)
}

// checkLetters refuses a name in the words that IAM has for it.
func checkLetters(member, name string) error {
	if !nameRE().MatchString(name) {
		return wire.Errorf("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
	}
	return nil
}

type createRoleIn struct {
	RoleName, Path, AssumeRolePolicyDocument string
	Description, PermissionsBoundary         string
	MaxSessionDuration                       *int
	Tags                                     []tag
}

type roleOut struct{ Role roleView }

func (s *Service) createRole(_ context.Context, in createRoleIn) (out roleOut, err error) {
	if err := checkName(in.RoleName); err != nil {
		return out, err
	}
	var c wire.Checks
	c.Length("path", in.Path, 1, 512)
	c.Present("assumeRolePolicyDocument", in.AssumeRolePolicyDocument != "")
	c.Length("description", in.Description, 0, 1000)
	c.Range("maxSessionDuration", in.MaxSessionDuration, 3600, 43200)
	checkTags(&c, in.Tags)
	if err := c.Err("ValidationError"); err != nil {
		return out, err
	}
	if in.Path != "" && !pathRE().MatchString(in.Path) {
		return out, wire.Errorf("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	if err := checkTrust(in.AssumeRolePolicyDocument); err != nil {
		return out, err
	}
	r := &role{
		Name: in.RoleName, Path: cmp.Or(in.Path, "/"), ID: newID("AROA"),
		Description: in.Description, MaxSession: 3600, Boundary: in.PermissionsBoundary,
		Created: s.now().UTC().Truncate(time.Second),
		Trust:   in.AssumeRolePolicyDocument, TrustSince: s.now(),
		Tags: map[string]string{}, Inline: map[string]string{},
	}
	if in.MaxSessionDuration != nil {
		r.MaxSession = *in.MaxSessionDuration
	}
	if err := addTags(r, in.Tags); err != nil {
		return out, err
	}
	err = s.doc.Update(func(a *account) error {
		for name := range a.Roles { // names are unique whatever their case
			if strings.EqualFold(name, in.RoleName) {
				return conflict("EntityAlreadyExists", "Role with name %s already exists.", in.RoleName)
			}
		}
		if len(a.Roles) >= maxRoles {
			return quota("RolesPerAccount", maxRoles)
		}
		if a.Roles == nil {
			a.Roles = map[string]*role{}
		}
		a.Roles[r.Name] = r
		return nil
	})
	if err != nil {
		return out, err
	}
	return roleOut{s.show(r, true)}, nil
}

// newID is a unique id of IAM's form: a prefix that tells the kind, and 17 characters.
func newID(prefix string) string { return prefix + rand.Text()[:17] }

type roleIn struct{ RoleName string }

func (s *Service) getRole(_ context.Context, in roleIn) (out roleOut, err error) {
	err = s.view(in.RoleName, func(r *role) error {
		out.Role = s.show(r, true)
		return nil
	})
	return out, err
}

type listRolesIn struct {
	PathPrefix, Marker string
	MaxItems           *int
}

type listRolesOut struct {
	Roles       []roleView
	IsTruncated bool
	Marker      string
}

func (s *Service) listRoles(_ context.Context, in listRolesIn) (out listRolesOut, err error) {
	var all []roleView
	s.doc.View(func(a *account) {
		for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
			if r := a.Roles[name]; strings.HasPrefix(r.Path, in.PathPrefix) {
				all = append(all, s.show(r, false))
			}
		}
	})
	out.Roles, out.Marker, err = cut("ListRoles "+in.PathPrefix, all, func(v roleView) string { return v.RoleName }, in.Marker, in.MaxItems)
	out.IsTruncated = out.Marker != ""
	return out, err
}

type updateRoleIn struct {
	RoleName           string
	Description        *string
	MaxSessionDuration *int
}

// updateRole has a result, unlike other updates, although nothing is in it.
func (s *Service) updateRole(_ context.Context, in updateRoleIn) (*none, error) {
	var c wire.Checks
	c.Range("maxSessionDuration", in.MaxSessionDuration, 3600, 43200)
	if err := c.Err("ValidationError"); err != nil {
		return nil, err
	}
	return &none{}, s.update(in.RoleName, func(r *role) error {
		if in.Description != nil {
			r.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		return nil
	})
}

type updateTrustIn struct{ RoleName, PolicyDocument string }

func (s *Service) updateTrust(_ context.Context, in updateTrustIn) (none, error) {
	return none{}, s.update(in.RoleName, func(r *role) error {
		if err := checkTrust(in.PolicyDocument); err != nil {
			return err
		}
		if in.PolicyDocument == r.Trust {
			return nil
		}
		r.OldTrust = s.seenTrust(r)
		r.Trust, r.TrustSince = in.PolicyDocument, s.now()
		return nil
	})
}

func (s *Service) deleteRole(_ context.Context, in roleIn) (none, error) {
	if err := checkName(in.RoleName); err != nil {
		return none{}, err
	}
	return none{}, s.doc.Update(func(a *account) error {
		r := a.Roles[in.RoleName]
		switch {
		case r == nil:
			return noRole(in.RoleName)
		case len(r.Attached) > 0:
			return conflict("DeleteConflict", "Cannot delete entity, must detach all policies first.")
		case len(r.Inline) > 0:
			return conflict("DeleteConflict", "Cannot delete entity, must delete policies first.")
		}
		delete(a.Roles, in.RoleName)
		return nil
	})
}

func tagList(r *role) []tag {
	out := []tag{}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		value := r.Tags[key]
		out = append(out, tag{key, &value})
	}
	return out
}

func checkTags(c *wire.Checks, tags []tag) {
	for i, t := range tags {
		at := "tags." + strconv.Itoa(i+1) + ".member."
		c.Present(at+"key", t.Key != "")
		c.Length(at+"key", t.Key, 1, 128)
		c.Pattern(at+"key", t.Key, tagRE)
		c.Present(at+"value", t.Value != nil)
		if t.Value != nil {
			c.Length(at+"value", *t.Value, 0, 256)
			c.Pattern(at+"value", *t.Value, tagRE)
		}
	}
}

func addTags(r *role, tags []tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if seen[strings.ToLower(t.Key)] {
			return wire.Errorf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return wire.Errorf("InvalidInput", "Reserved tag keys with prefix aws: cannot be used.")
		}
		seen[strings.ToLower(t.Key)] = true
		for old := range r.Tags {
			if strings.EqualFold(old, t.Key) {
				delete(r.Tags, old)
			}
		}
		r.Tags[t.Key] = *t.Value
	}
	if len(r.Tags) > maxTags {
		return quota("TagsPerRole", maxTags)
	}
	return nil
}

type tagRoleIn struct {
	RoleName string
	Tags     []tag
}

func (s *Service) tagRole(_ context.Context, in tagRoleIn) (none, error) {
	var c wire.Checks
	c.Present("tags", len(in.Tags) > 0)
	checkTags(&c, in.Tags)
	if err := c.Err("ValidationError"); err != nil {
		return none{}, err
	}
	return none{}, s.update(in.RoleName, func(r *role) error { return addTags(r, in.Tags) })
}

type untagRoleIn struct {
	RoleName string
	TagKeys  []string
}

func (s *Service) untagRole(_ context.Context, in untagRoleIn) (none, error) {
	return none{}, s.update(in.RoleName, func(r *role) error {
		for _, key := range in.TagKeys {
			delete(r.Tags, key)
		}
		return nil
	})
}

type listOfRoleIn struct {
	RoleName, Marker, PathPrefix string
	MaxItems                     *int
}

type listRoleTagsOut struct {
	Tags        []tag
	IsTruncated bool
	Marker      string
}

func (s *Service) listRoleTags(_ context.Context, in listOfRoleIn) (out listRoleTagsOut, err error) {
	err = s.view(in.RoleName, func(r *role) (err error) {
		out.Tags, out.Marker, err = cut("ListRoleTags "+r.ID, tagList(r), func(t tag) string { return t.Key }, in.Marker, in.MaxItems)
		out.IsTruncated = out.Marker != ""
		return err
	})
	return out, err
}
