package iam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// writer is what changing a role calls.
type writer interface {
	CreateRole(context.Context, *sdk.CreateRoleInput, ...func(*sdk.Options)) (*sdk.CreateRoleOutput, error)
	DeleteRole(context.Context, *sdk.DeleteRoleInput, ...func(*sdk.Options)) (*sdk.DeleteRoleOutput, error)
	UpdateAssumeRolePolicy(context.Context, *sdk.UpdateAssumeRolePolicyInput, ...func(*sdk.Options)) (*sdk.UpdateAssumeRolePolicyOutput, error)
	TagRole(context.Context, *sdk.TagRoleInput, ...func(*sdk.Options)) (*sdk.TagRoleOutput, error)
	AttachRolePolicy(context.Context, *sdk.AttachRolePolicyInput, ...func(*sdk.Options)) (*sdk.AttachRolePolicyOutput, error)
	DetachRolePolicy(context.Context, *sdk.DetachRolePolicyInput, ...func(*sdk.Options)) (*sdk.DetachRolePolicyOutput, error)
	PutRolePolicy(context.Context, *sdk.PutRolePolicyInput, ...func(*sdk.Options)) (*sdk.PutRolePolicyOutput, error)
	DeleteRolePolicy(context.Context, *sdk.DeleteRolePolicyInput, ...func(*sdk.Options)) (*sdk.DeleteRolePolicyOutput, error)
}

// consistency is IAM's: the role just made is not there yet, the role just deleted still is.
var consistency = awsapi.Consistency{Patience: 2 * time.Minute, FirstLook: 250 * time.Millisecond, LastLook: 4 * time.Second,
	Never: errors.New("IAM does not show it as written"),
	Heals: func(err error) bool {
		return awsapi.Is(err, codeAbsent, "EntityAlreadyExists", "ConcurrentModification", "DeleteConflict")
	}}

// ensure makes a role look as wanted: it reads, writes what differs, and reads again
// until nothing does. So it does not matter what an earlier, interrupted call has done.
// A role of somebody else is changed only if adopt is set.
func ensure(ctx context.Context, api api, want role, adopt bool, say func(string)) (arn string, err error) {
	err = consistency.Settle(ctx, fmt.Sprintf("role %q", want.name), func(ctx context.Context) (bool, error) {
		live, err := read(ctx, api, want.name)
		if err != nil {
			return false, err
		}
		if live == nil {
			say("creating role")
			if err := create(ctx, api, want); err != nil {
				return false, err
			}
			live = &role{name: want.name, trust: want.trust, tags: want.tags} // not seen yet: no ARN
		}
		if !adopt && live.tags[tagService] != want.tags[tagService] {
			return false, &OwnerError{Role: want.name, Service: want.tags[tagService]}
		}
		arn = live.arn
		writes := differences(api, want, *live)
		if len(writes) > 0 {
			say("writing policies")
		}
		for _, write := range writes {
			if err := write(ctx); err != nil {
				return false, err
			}
		}
		return len(writes) == 0 && live.arn != "", nil
	})
	return arn, err
}

func create(ctx context.Context, api writer, want role) error {
	_, err := api.CreateRole(ctx, &sdk.CreateRoleInput{
		RoleName:                 &want.name,
		Path:                     aws.String(Path),
		AssumeRolePolicyDocument: aws.String(trustText(want.trust.grants)),
		Description:              aws.String("Made by apron for the App Runner service " + want.tags[tagService] + "."),
		Tags:                     toTags(want.tags), // with the role, so that it is never nobody's
	})
	return err
}

// differences lists the writes that turn live into want: who owns it first, then what
// it may do, and what it may no longer do last.
func differences(api writer, want, live role) []func(context.Context) error {
	var writes []func(context.Context) error
	add := func(write func(context.Context) error) { writes = append(writes, write) }
	name := &want.name

	missing := maps.Clone(want.tags)
	maps.DeleteFunc(missing, func(k, v string) bool { have, ok := live.tags[k]; return ok && have == v })
	if len(missing) > 0 {
		add(func(ctx context.Context) error {
			_, err := api.TagRole(ctx, &sdk.TagRoleInput{RoleName: name, Tags: toTags(missing)})
			return err
		})
	}
	if !want.trust.equal(live.trust) {
		add(func(ctx context.Context) error {
			_, err := api.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(trustText(want.trust.grants))})
			return err
		})
	}
	for _, arn := range want.policies {
		if !slices.Contains(live.policies, arn) {
			add(func(ctx context.Context) error {
				_, err := api.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: &arn})
				return err
			})
		}
	}
	for policy, d := range want.inline { // one at most
		if have, ok := live.inline[policy]; !ok || !d.equal(have) {
			add(func(ctx context.Context) error {
				_, err := api.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: &policy, PolicyDocument: aws.String(permissionsText(d.grants))})
				return err
			})
		}
	}
	return append(writes, excess(api, want, live)...)
}

// excess lists the writes that take from a role what is not wanted of it.
func excess(api writer, want, live role) []func(context.Context) error {
	var writes []func(context.Context) error
	name := &live.name
	for _, arn := range live.policies {
		if !slices.Contains(want.policies, arn) {
			writes = append(writes, func(ctx context.Context) error {
				_, err := api.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
				return absent(err)
			})
		}
	}
	for _, policy := range slices.Sorted(maps.Keys(live.inline)) {
		if _, ok := want.inline[policy]; !ok {
			writes = append(writes, func(ctx context.Context) error {
				_, err := api.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: &policy})
				return absent(err)
			})
		}
	}
	return writes
}

// remove deletes a role of a service with everything that hangs on it, and returns when
// it is gone.
func remove(ctx context.Context, api api, name, service string, say func(string)) error {
	return consistency.Settle(ctx, fmt.Sprintf("role %q", name), func(ctx context.Context) (bool, error) {
		live, err := read(ctx, api, name)
		if err != nil || live == nil {
			return err == nil, err
		}
		if service == "" || live.tags[tagService] != service {
			return false, &OwnerError{Role: name, Service: service}
		}
		say("deleting role")
		for _, write := range excess(api, role{}, *live) {
			if err := write(ctx); err != nil {
				return false, err
			}
		}
		_, err = api.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: &name})
		return false, absent(err)
	})
}

// OwnerError says that a role exists that is not the service's.
type OwnerError struct{ Role, Service string }

var _ error = (*OwnerError)(nil)

func (e *OwnerError) Error() string {
	return fmt.Sprintf("role %q exists and is not tagged %s=%s, so it belongs to somebody else; it was not changed", e.Role, tagService, e.Service)
}

// Hint says what to do about it.
func (e *OwnerError) Hint() string {
	return "take it over with --adopt, or delete it, and run again"
}
