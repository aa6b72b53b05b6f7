package iam

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
)

var errCrash = errors.New("the process died here")

// fake is an IAM that refuses what IAM refuses, shows one entry a page, and can let the
// process die at its n-th call, before or after the call has taken effect.
type fake struct {
	simulator // the sandbox's IAM answers it

	mu    sync.Mutex
	roles map[string]*fakeRole
	calls []string

	crashAt int // 1 for the first call; 0 for never
	after   bool
	lag     int               // how many reads a new role stays invisible
	deny    map[string]string // operation to error code
}

type fakeRole struct {
	path, trust string
	tags        map[string]string
	attached    []string
	inline      map[string]string
	hidden      int
	profile     bool // in an instance profile
}

func newFake() *fake { return &fake{roles: map[string]*fakeRole{}} }

func refuse(code, text string) error { return &smithy.GenericAPIError{Code: code, Message: text} }

// call runs one operation under the lock, dying where it is told to.
func call[T any](f *fake, op string, effect func() (T, error)) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op)
	var zero T
	dying := f.crashAt == len(f.calls)
	if dying && !f.after {
		return zero, errCrash
	}
	if code := f.deny[op]; code != "" {
		return zero, refuse(code, "denied")
	}
	out, err := effect()
	if dying {
		return zero, errCrash
	}
	return out, err
}

func (f *fake) role(name *string) (*fakeRole, error) {
	r := f.roles[aws.ToString(name)]
	if r == nil || r.hidden > 0 {
		if r != nil {
			r.hidden--
		}
		return nil, refuse(codeAbsent, "The role with name "+aws.ToString(name)+" cannot be found.")
	}
	return r, nil
}

func checked(doc *string) (string, error) {
	if !json.Valid([]byte(aws.ToString(doc))) {
		return "", refuse("MalformedPolicyDocument", "Syntax errors in policy.")
	}
	return *doc, nil
}

// page returns one entry of all, and the marker of the next.
func page(all []string, marker *string) (entries []string, next *string) {
	at, _ := strconv.Atoi(aws.ToString(marker))
	if at >= len(all) {
		return nil, nil
	}
	if at+1 < len(all) {
		next = aws.String(strconv.Itoa(at + 1))
	}
	return all[at : at+1], next
}

func (f *fake) GetRole(_ context.Context, in *sdk.GetRoleInput, _ ...func(*sdk.Options)) (*sdk.GetRoleOutput, error) {
	return call(f, "GetRole", func() (*sdk.GetRoleOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		return &sdk.GetRoleOutput{Role: &types.Role{
			RoleName:                 in.RoleName,
			Path:                     &r.path,
			Arn:                      aws.String("arn:aws:iam::123456789012:role" + r.path + *in.RoleName),
			CreateDate:               aws.Time(time.Unix(0, 0)),
			AssumeRolePolicyDocument: aws.String(url.PathEscape(r.trust)),
			Tags:                     toTags(r.tags),
		}}, nil
	})
}

func (f *fake) GetRolePolicy(_ context.Context, in *sdk.GetRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.GetRolePolicyOutput, error) {
	return call(f, "GetRolePolicy", func() (*sdk.GetRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		text, ok := r.inline[*in.PolicyName]
		if !ok {
			return nil, refuse(codeAbsent, "The role policy with name "+*in.PolicyName+" cannot be found.")
		}
		return &sdk.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: aws.String(url.PathEscape(text))}, nil
	})
}

func (f *fake) ListAttachedRolePolicies(_ context.Context, in *sdk.ListAttachedRolePoliciesInput, _ ...func(*sdk.Options)) (*sdk.ListAttachedRolePoliciesOutput, error) {
	return call(f, "ListAttachedRolePolicies", func() (*sdk.ListAttachedRolePoliciesOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		arns, next := page(r.attached, in.Marker)
		out := &sdk.ListAttachedRolePoliciesOutput{Marker: next, IsTruncated: next != nil}
		for _, arn := range arns {
			out.AttachedPolicies = append(out.AttachedPolicies, types.AttachedPolicy{PolicyArn: &arn})
		}
		return out, nil
	})
}

func (f *fake) ListRolePolicies(_ context.Context, in *sdk.ListRolePoliciesInput, _ ...func(*sdk.Options)) (*sdk.ListRolePoliciesOutput, error) {
	return call(f, "ListRolePolicies", func() (*sdk.ListRolePoliciesOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		var names []string
		for n := range r.inline {
			names = append(names, n)
		}
		slices.Sort(names)
		names, next := page(names, in.Marker)
		return &sdk.ListRolePoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: next != nil}, nil
	})
}

func (f *fake) ListRoles(_ context.Context, in *sdk.ListRolesInput, _ ...func(*sdk.Options)) (*sdk.ListRolesOutput, error) {
	return call(f, "ListRoles", func() (*sdk.ListRolesOutput, error) {
		names, next := page(slices.Sorted(maps.Keys(f.roles)), in.Marker)
		out := &sdk.ListRolesOutput{Marker: next, IsTruncated: next != nil}
		for _, name := range names {
			out.Roles = append(out.Roles, types.Role{RoleName: &name})
		}
		return out, nil
	})
}

func (f *fake) GetAccountAuthorizationDetails(_ context.Context, in *sdk.GetAccountAuthorizationDetailsInput, _ ...func(*sdk.Options)) (*sdk.GetAccountAuthorizationDetailsOutput, error) {
	return call(f, "GetAccountAuthorizationDetails", func() (*sdk.GetAccountAuthorizationDetailsOutput, error) {
		names, next := page(slices.Sorted(maps.Keys(f.roles)), in.Marker)
		out := &sdk.GetAccountAuthorizationDetailsOutput{Marker: next, IsTruncated: next != nil}
		for _, name := range names {
			r := f.roles[name]
			d := types.RoleDetail{RoleName: &name, Path: &r.path, Arn: aws.String("arn:aws:iam::123456789012:role" + r.path + name),
				AssumeRolePolicyDocument: aws.String(url.PathEscape(r.trust)), Tags: toTags(r.tags)}
			for _, arn := range r.attached {
				d.AttachedManagedPolicies = append(d.AttachedManagedPolicies, types.AttachedPolicy{PolicyArn: &arn})
			}
			for policy, text := range r.inline {
				d.RolePolicyList = append(d.RolePolicyList, types.PolicyDetail{PolicyName: &policy, PolicyDocument: aws.String(url.PathEscape(text))})
			}
			out.RoleDetailList = append(out.RoleDetailList, d)
		}
		return out, nil
	})
}

func (f *fake) CreateRole(_ context.Context, in *sdk.CreateRoleInput, _ ...func(*sdk.Options)) (*sdk.CreateRoleOutput, error) {
	return call(f, "CreateRole", func() (*sdk.CreateRoleOutput, error) {
		name := aws.ToString(in.RoleName)
		if name == "" || len(name) > 64 {
			return nil, refuse("ValidationError", "roleName")
		}
		if f.roles[name] != nil {
			return nil, refuse("EntityAlreadyExists", "Role with name "+name+" already exists.")
		}
		trust, err := checked(in.AssumeRolePolicyDocument)
		if err != nil {
			return nil, err
		}
		r := &fakeRole{path: aws.ToString(in.Path), trust: trust, tags: map[string]string{}, inline: map[string]string{}, hidden: f.lag}
		for _, t := range in.Tags {
			r.tags[*t.Key] = *t.Value
		}
		f.roles[name] = r
		return &sdk.CreateRoleOutput{}, nil
	})
}

func (f *fake) DeleteRole(_ context.Context, in *sdk.DeleteRoleInput, _ ...func(*sdk.Options)) (*sdk.DeleteRoleOutput, error) {
	return call(f, "DeleteRole", func() (*sdk.DeleteRoleOutput, error) {
		r, err := f.role(in.RoleName)
		switch {
		case err != nil:
			return nil, err
		case len(r.attached) > 0:
			return nil, refuse("DeleteConflict", "Cannot delete entity, must detach all policies first.")
		case len(r.inline) > 0:
			return nil, refuse("DeleteConflict", "Cannot delete entity, must delete policies first.")
		case r.profile:
			return nil, refuse("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
		delete(f.roles, *in.RoleName)
		return &sdk.DeleteRoleOutput{}, nil
	})
}

func (f *fake) UpdateAssumeRolePolicy(_ context.Context, in *sdk.UpdateAssumeRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.UpdateAssumeRolePolicyOutput, error) {
	return call(f, "UpdateAssumeRolePolicy", func() (*sdk.UpdateAssumeRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		r.trust, err = checked(in.PolicyDocument)
		return &sdk.UpdateAssumeRolePolicyOutput{}, err
	})
}

func (f *fake) TagRole(_ context.Context, in *sdk.TagRoleInput, _ ...func(*sdk.Options)) (*sdk.TagRoleOutput, error) {
	return call(f, "TagRole", func() (*sdk.TagRoleOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		for _, t := range in.Tags {
			r.tags[*t.Key] = *t.Value
		}
		return &sdk.TagRoleOutput{}, nil
	})
}

func (f *fake) AttachRolePolicy(_ context.Context, in *sdk.AttachRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.AttachRolePolicyOutput, error) {
	return call(f, "AttachRolePolicy", func() (*sdk.AttachRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(*in.PolicyArn, "arn:aws:iam::aws:policy/") {
			return nil, refuse(codeAbsent, "Policy "+*in.PolicyArn+" does not exist or is not attachable.")
		}
		if !slices.Contains(r.attached, *in.PolicyArn) {
			r.attached = append(r.attached, *in.PolicyArn)
		}
		return &sdk.AttachRolePolicyOutput{}, nil
	})
}

func (f *fake) DetachRolePolicy(_ context.Context, in *sdk.DetachRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.DetachRolePolicyOutput, error) {
	return call(f, "DetachRolePolicy", func() (*sdk.DetachRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		i := slices.Index(r.attached, *in.PolicyArn)
		if i < 0 {
			return nil, refuse(codeAbsent, "Policy "+*in.PolicyArn+" was not found.")
		}
		r.attached = slices.Delete(r.attached, i, i+1)
		return &sdk.DetachRolePolicyOutput{}, nil
	})
}

func (f *fake) PutRolePolicy(_ context.Context, in *sdk.PutRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.PutRolePolicyOutput, error) {
	return call(f, "PutRolePolicy", func() (*sdk.PutRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		text, err := checked(in.PolicyDocument)
		if err != nil {
			return nil, err
		}
		r.inline[*in.PolicyName] = text
		return &sdk.PutRolePolicyOutput{}, nil
	})
}

func (f *fake) DeleteRolePolicy(_ context.Context, in *sdk.DeleteRolePolicyInput, _ ...func(*sdk.Options)) (*sdk.DeleteRolePolicyOutput, error) {
	return call(f, "DeleteRolePolicy", func() (*sdk.DeleteRolePolicyOutput, error) {
		r, err := f.role(in.RoleName)
		if err != nil {
			return nil, err
		}
		if _, ok := r.inline[*in.PolicyName]; !ok {
			return nil, refuse(codeAbsent, "The role policy with name "+*in.PolicyName+" cannot be found.")
		}
		delete(r.inline, *in.PolicyName)
		return &sdk.DeleteRolePolicyOutput{}, nil
	})
}
