package iam

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

var policyArnRE = pattern.Lazy(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[\x21-\x7e]+$`)

func checkPolicyArn(arn string) error {
	var c wire.Checks
	c.Present("policyArn", arn != "")
	c.Length("policyArn", arn, 20, 2048)
	if err := c.Err("ValidationError"); err != nil {
		return err
	}
	if !policyArnRE().MatchString(arn) {
		return wire.Errorf("InvalidInput", "ARN %s is not valid.", arn)
	}
	return nil
}

type attachIn struct{ RoleName, PolicyArn string }

func (s *Service) attach(_ context.Context, in attachIn) (none, error) {
	if err := checkPolicyArn(in.PolicyArn); err != nil {
		return none{}, err
	}
	return none{}, s.update(in.RoleName, func(r *role) error {
		switch {
		case managed[in.PolicyArn] == "":
			return noSuchEntity("Policy %s does not exist or is not attachable.", in.PolicyArn)
		case slices.Contains(r.Attached, in.PolicyArn):
			return nil
		case len(r.Attached) >= maxAttached:
			return quota("PoliciesPerRole", maxAttached)
		}
		r.Attached = append(r.Attached, in.PolicyArn)
		return nil
	})
}

func (s *Service) detach(_ context.Context, in attachIn) (none, error) {
	if err := checkPolicyArn(in.PolicyArn); err != nil {
		return none{}, err
	}
	return none{}, s.update(in.RoleName, func(r *role) error {
		i := slices.Index(r.Attached, in.PolicyArn)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", in.PolicyArn)
		}
		r.Attached = slices.Delete(r.Attached, i, i+1)
		return nil
	})
}

type attached struct{ PolicyName, PolicyArn string }

type listAttachedOut struct {
	AttachedPolicies []attached
	IsTruncated      bool
	Marker           string
}

func (s *Service) listAttached(_ context.Context, in listOfRoleIn) (out listAttachedOut, err error) {
	err = s.view(in.RoleName, func(r *role) (err error) {
		var all []attached
		for _, arn := range r.Attached {
			if strings.HasPrefix(policyPath(arn), in.PathPrefix) {
				all = append(all, attached{path.Base(arn), arn})
			}
		}
		out.AttachedPolicies, out.Marker, err = cut("ListAttachedRolePolicies "+r.ID, all, func(a attached) string { return a.PolicyArn }, in.Marker, in.MaxItems)
		out.IsTruncated = out.Marker != ""
		return err
	})
	return out, err
}

// policyPath is "/service-role/" of arn:aws:iam::aws:policy/service-role/Name.
func policyPath(arn string) string {
	_, rest, _ := strings.Cut(arn, ":policy")
	return strings.TrimSuffix(rest, path.Base(arn))
}

func checkPolicyName(name string) error {
	var c wire.Checks
	c.Present("policyName", name != "")
	c.Length("policyName", name, 1, 128)
	if err := c.Err("ValidationError"); err != nil {
		return err
	}
	return checkLetters("policyName", name)
}

type putInlineIn struct{ RoleName, PolicyName, PolicyDocument string }

func (s *Service) putInline(_ context.Context, in putInlineIn) (none, error) {
	if err := checkPolicyName(in.PolicyName); err != nil {
		return none{}, err
	}
	return none{}, s.update(in.RoleName, func(r *role) error {
		if err := checkIdentityPolicy(in.PolicyDocument); err != nil {
			return err
		}
		r.Inline[in.PolicyName] = in.PolicyDocument
		total := 0
		for _, document := range r.Inline {
			total += sizeOf(document)
		}
		if total > maxInline {
			return conflict("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", maxInline, r.Name)
		}
		return nil
	})
}

type inlineIn struct{ RoleName, PolicyName string }

type getInlineOut struct{ RoleName, PolicyName, PolicyDocument string }

func noInline(name string) error {
	return noSuchEntity("The role policy with name %s cannot be found.", name)
}

func (s *Service) getInline(_ context.Context, in inlineIn) (out getInlineOut, err error) {
	err = s.view(in.RoleName, func(r *role) error {
		document, ok := r.Inline[in.PolicyName]
		if !ok {
			return noInline(in.PolicyName)
		}
		out = getInlineOut{r.Name, in.PolicyName, encode(document)}
		return nil
	})
	return out, err
}

func (s *Service) deleteInline(_ context.Context, in inlineIn) (none, error) {
	return none{}, s.update(in.RoleName, func(r *role) error {
		if _, ok := r.Inline[in.PolicyName]; !ok {
			return noInline(in.PolicyName)
		}
		delete(r.Inline, in.PolicyName)
		return nil
	})
}

type listInlineOut struct {
	PolicyNames []string
	IsTruncated bool
	Marker      string
}

func (s *Service) listInline(_ context.Context, in listOfRoleIn) (out listInlineOut, err error) {
	err = s.view(in.RoleName, func(r *role) (err error) {
		names := slices.Sorted(maps.Keys(r.Inline))
		out.PolicyNames, out.Marker, err = cut("ListRolePolicies "+r.ID, names, func(n string) string { return n }, in.Marker, in.MaxItems)
		out.IsTruncated = out.Marker != ""
		return err
	})
	return out, err
}

type policyIn struct{ PolicyArn, VersionId string }

type policyView struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount, PermissionsBoundaryUsageCount    int
	IsAttachable                                      bool
	CreateDate, UpdateDate                            time.Time
}

type getPolicyOut struct{ Policy policyView }

// since is the date that the sandbox's copies of AWS's policies carry.
var since = time.Date(2021, 5, 18, 0, 0, 0, 0, time.UTC)

func noPolicy(arn string) error { return noSuchEntity("Policy %s was not found.", arn) }

func (s *Service) getPolicy(_ context.Context, in policyIn) (out getPolicyOut, err error) {
	if err := checkPolicyArn(in.PolicyArn); err != nil {
		return out, err
	}
	if managed[in.PolicyArn] == "" {
		return out, noPolicy(in.PolicyArn)
	}
	out.Policy = policyView{
		PolicyName: path.Base(in.PolicyArn), PolicyId: policyID(in.PolicyArn), Arn: in.PolicyArn,
		Path: policyPath(in.PolicyArn), DefaultVersionId: "v1", IsAttachable: true,
		CreateDate: since, UpdateDate: since,
	}
	s.doc.View(func(a *account) {
		for _, r := range a.Roles {
			if slices.Contains(r.Attached, in.PolicyArn) {
				out.Policy.AttachmentCount++
			}
		}
	})
	return out, nil
}

type versionView struct {
	Document, VersionId string
	IsDefaultVersion    bool
	CreateDate          time.Time
}

type getPolicyVersionOut struct{ PolicyVersion versionView }

func (s *Service) getPolicyVersion(_ context.Context, in policyIn) (out getPolicyVersionOut, err error) {
	if err := checkPolicyArn(in.PolicyArn); err != nil {
		return out, err
	}
	document := managed[in.PolicyArn]
	if document == "" {
		return out, noPolicy(in.PolicyArn)
	}
	if in.VersionId != "v1" {
		return out, noSuchEntity("Policy %s version %s does not exist or is not attachable.", in.PolicyArn, in.VersionId)
	}
	out.PolicyVersion = versionView{encode(document), "v1", true, since}
	return out, nil
}
