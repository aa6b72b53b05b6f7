package iam

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

type detailsIn struct {
	Filter   []string
	Marker   string
	MaxItems *int
}

type detailsOut struct {
	UserDetailList, GroupDetailList, Policies []none
	RoleDetailList                            []roleDetail
	IsTruncated                               bool
	Marker                                    string
}

// roleDetail is a role with its policies. Unlike a role it has no description and no
// longest session.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html
type roleDetail struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string
	InstanceProfileList         []none
	RolePolicyList              []policyDetail
	AttachedManagedPolicies     []attached
	PermissionsBoundary         *boundary
	Tags                        *[]tag
}

type policyDetail struct{ PolicyName, PolicyDocument string }

// details tells of everything in the account, of which the sandbox has only roles.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
func (s *Service) details(_ context.Context, in detailsIn) (out detailsOut, err error) {
	var all []roleDetail
	s.doc.View(func(a *account) {
		if len(in.Filter) > 0 && !slices.Contains(in.Filter, "Role") {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
			all = append(all, s.detail(a.Roles[name]))
		}
	})
	list := "GetAccountAuthorizationDetails " + strings.Join(in.Filter, " ")
	out.RoleDetailList, out.Marker, err = cut(list, all, func(d roleDetail) string { return d.RoleName }, in.Marker, in.MaxItems)
	out.IsTruncated = out.Marker != ""
	return out, err
}

func (s *Service) detail(r *role) roleDetail {
	v := s.show(r, true)
	d := roleDetail{Path: v.Path, RoleName: v.RoleName, RoleId: v.RoleId, Arn: v.Arn, CreateDate: v.CreateDate,
		AssumeRolePolicyDocument: v.AssumeRolePolicyDocument, PermissionsBoundary: v.PermissionsBoundary, Tags: v.Tags}
	for _, policy := range slices.Sorted(maps.Keys(r.Inline)) {
		d.RolePolicyList = append(d.RolePolicyList, policyDetail{policy, encode(r.Inline[policy])})
	}
	for _, arn := range r.Attached {
		d.AttachedManagedPolicies = append(d.AttachedManagedPolicies, attached{path.Base(arn), arn})
	}
	return d
}
