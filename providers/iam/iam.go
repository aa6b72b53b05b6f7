// Package iam keeps the two IAM roles of an App Runner service: the access role, with
// which App Runner pulls the image, and the instance role, which says what the running
// application may do.
//
//	roles.access    auto          a role that App Runner's builder may take on, with AWS's
//	                              managed policy for reading ECR
//	roles.instance  auto          a role that App Runner's tasks may take on, with one inline
//	                              policy: exactly the manifest's secrets and permissions
//	                auto, nothing no role at all
//	                to allow
//	either          name or ARN   looked up, checked for its trust, never written
//
// A role is ours by its apron:service tag. IAM is global, so the name carries the
// Region. IAM is also eventually consistent: a write is repeated and read back until
// the role looks as it should.
// https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html
package iam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Type is the type of the addresses this package handles.
const Type = "iam/role"

// Path is the IAM path of every role that apron makes.
const Path = "/apron/"

// Purpose says what a role is for.
type Purpose string

const (
	Access   Purpose = "access"   // pulls the image
	Instance Purpose = "instance" // what the application may do
)

// Principal is the AWS service that has to be allowed to take on a role of this purpose.
func (p Purpose) Principal() string {
	if p == Access {
		return "build.apprunner.amazonaws.com"
	}
	return "tasks.apprunner.amazonaws.com"
}

// maxName is how long the name of a role may be.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxName = 64

// RoleName is the name of a service's role. A name that would be too long is cut and
// ends in a hash of what it was made of.
func RoleName(region, service string, purpose Purpose) string {
	head, tail := "apron-"+region+"-"+service, "-"+string(purpose)
	if len(head)+len(tail) <= maxName {
		return head + tail
	}
	sum := sha256.Sum256([]byte(head))
	tail = "-" + hex.EncodeToString(sum[:5]) + tail
	return head[:maxName-len(tail)] + tail
}

// ARN is the ARN of a role that apron makes, in the partition that App Runner is
// offered in.
func ARN(account, name string) string { return "arn:aws:iam::" + account + ":role" + Path + name }

// Address is the address of a service's role.
func Address(region, service string, purpose Purpose) state.Address {
	return state.Address{Target: "iam", Kind: "role", Name: RoleName(region, service, purpose)}
}

// api is what this package calls of IAM.
type api interface {
	reader
	writer
	simulator
}

var _ api = (*sdk.Client)(nil)

// Provider observes and changes roles.
type Provider struct{ api api }

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider that calls IAM through client, an [sdk.Client].
func New(client api) *Provider { return &Provider{client} }

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string { return []string{Type} }

const (
	// parallel is how many roles are read at once.
	parallel = 8
	// few is up to how many services have their roles asked for at once, whether they are
	// there or not. A role takes four calls, and IAM gets twenty a second, so that for more
	// of them all roles of the account are read, or, where that is not allowed, it is found
	// out first which there are.
	few = 4
)

// Observe implements [reconcile.Provider]. It looks up both roles of every service,
// wanted or not, so that a role that is no longer needed can be removed.
func (p *Provider) Observe(ctx context.Context, q reconcile.Query) (state.Live, []state.Note, error) {
	type lookup struct {
		address state.Address
		service string
		role    *role
	}
	var roles []lookup
	for _, spec := range q.Specs {
		for _, purpose := range []Purpose{Access, Instance} {
			roles = append(roles, lookup{address: Address(q.Region, spec.Service, purpose), service: spec.Service})
		}
	}
	exists := func(string) bool { return true }
	if len(q.Specs) > few {
		names := map[string]bool{}
		for _, l := range roles {
			names[l.address.Name] = true
		}
		all, allowed, err := readAll(ctx, p.api, names)
		if err == nil && allowed {
			for i, l := range roles {
				roles[i].role = all[l.address.Name]
			}
			exists = func(string) bool { return false } // but for those
		} else if err == nil {
			exists, err = existing(ctx, p.api)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	reads, ctx := reconcile.NewReads(ctx)
	reads.SetLimit(parallel)
	for i := range roles {
		if !exists(roles[i].address.Name) {
			continue
		}
		reads.Go(func() (err error) {
			roles[i].role, err = read(ctx, p.api, roles[i].address.Name)
			return awsapi.Unread(roles[i].address, err)
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, nil, err
	}
	live := state.Live{}
	for _, l := range roles {
		if l.role != nil {
			live[l.address] = observed(l.address, l.service, *l.role)
		}
	}
	return live, nil, nil
}

// Execute implements [reconcile.Provider].
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	say := func(phase string) {
		if env.Progress != nil {
			env.Progress(apply.Progress{Action: a.ID, Phase: phase})
		}
	}
	name := a.Target.Name
	switch a.Op {
	case plan.Create, plan.Update:
		want, err := wanted(a.Want)
		if err != nil {
			return state.Outcome{}, err
		}
		adopt := a.Op == plan.Update && a.Have.Owner == state.Theirs
		arn, err := ensure(ctx, p.api, want, adopt, say)
		return state.Outcome{ID: arn}, err
	case plan.Delete:
		return state.Outcome{}, remove(ctx, p.api, name, a.Have.Value("tags."+tagService), say)
	default:
		return state.Outcome{}, fmt.Errorf("role %q: cannot %s a role", name, a.Op)
	}
}
