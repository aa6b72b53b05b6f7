package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// reader is what reading a role calls.
type reader interface {
	GetAccountAuthorizationDetails(context.Context, *sdk.GetAccountAuthorizationDetailsInput, ...func(*sdk.Options)) (*sdk.GetAccountAuthorizationDetailsOutput, error)
	GetRole(context.Context, *sdk.GetRoleInput, ...func(*sdk.Options)) (*sdk.GetRoleOutput, error)
	GetRolePolicy(context.Context, *sdk.GetRolePolicyInput, ...func(*sdk.Options)) (*sdk.GetRolePolicyOutput, error)
	ListAttachedRolePolicies(context.Context, *sdk.ListAttachedRolePoliciesInput, ...func(*sdk.Options)) (*sdk.ListAttachedRolePoliciesOutput, error)
	ListRolePolicies(context.Context, *sdk.ListRolePoliciesInput, ...func(*sdk.Options)) (*sdk.ListRolePoliciesOutput, error)
	ListRoles(context.Context, *sdk.ListRolesInput, ...func(*sdk.Options)) (*sdk.ListRolesOutput, error)
}

const codeAbsent = "NoSuchEntity"

// read returns a role with all its policies, or nil if it does not exist. The role, its
// lists and apron's own policy are asked for at once; only policies of other names take
// a second round trip.
func read(ctx context.Context, api reader, name string) (*role, error) {
	var (
		got      *role
		policies []string
		names    []string
		own      *document
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out, err := api.GetRole(gctx, &sdk.GetRoleInput{RoleName: &name})
		if err != nil {
			return absent(err)
		}
		got, err = fromRole(*out.Role)
		return err
	})
	g.Go(func() (err error) {
		policies, err = listAttached(gctx, api, name)
		return absent(err)
	})
	g.Go(func() (err error) {
		names, err = listInline(gctx, api, name)
		return absent(err)
	})
	g.Go(func() (err error) {
		own, err = readInline(gctx, api, name, policyName)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read role %q: %w", name, awsapi.Explain(err))
	}
	if got == nil {
		return nil, nil
	}
	got.policies = policies
	if own != nil {
		got.inline[policyName] = *own
	}
	for _, policy := range names {
		if policy == policyName {
			continue
		}
		d, err := readInline(ctx, api, name, policy)
		if err != nil {
			return nil, fmt.Errorf("read role %q: policy %q: %w", name, policy, awsapi.Explain(err))
		}
		if d != nil {
			got.inline[policy] = *d
		}
	}
	return got, nil
}

// existing tells which roles there are. It lists those of the account, of whatever path: a
// role's name is taken wherever it is. Who may not do that has every role looked for.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
func existing(ctx context.Context, api reader) (func(name string) bool, error) {
	names := map[string]bool{}
	pages := sdk.NewListRolesPaginator(api, &sdk.ListRolesInput{MaxItems: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		switch {
		case awsapi.Is(err, "AccessDenied"):
			return func(string) bool { return true }, nil
		case err != nil:
			return nil, fmt.Errorf("list roles: %w", awsapi.Explain(err))
		}
		for _, r := range page.Roles {
			names[strings.ToLower(aws.ToString(r.RoleName))] = true
		}
	}
	return func(name string) bool { return names[strings.ToLower(name)] }, nil
}

// absent drops the error that says that a role or policy does not exist.
func absent(err error) error {
	if awsapi.Is(err, codeAbsent) {
		return nil
	}
	return err
}

func listAttached(ctx context.Context, api reader, name string) ([]string, error) {
	var arns []string
	pages := sdk.NewListAttachedRolePoliciesPaginator(api, &sdk.ListAttachedRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.AttachedPolicies {
			arns = append(arns, aws.ToString(p.PolicyArn))
		}
	}
	slices.Sort(arns)
	return arns, nil
}

func listInline(ctx context.Context, api reader, name string) ([]string, error) {
	var names []string
	pages := sdk.NewListRolePoliciesPaginator(api, &sdk.ListRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, page.PolicyNames...)
	}
	return names, nil
}

// readInline returns an inline policy, or nil if there is none of that name.
func readInline(ctx context.Context, api reader, name, policy string) (*document, error) {
	out, err := api.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
	if err != nil {
		return nil, absent(err)
	}
	text, err := url.PathUnescape(aws.ToString(out.PolicyDocument))
	if err != nil {
		return nil, err
	}
	d := parsePermissions(text)
	return &d, nil
}

// Resolved is a role that the manifest names instead of leaving it to apron.
type Resolved struct {
	Address state.Address
	ARN     string
	Purpose Purpose
	// Trust says whether App Runner can take it on for the purpose.
	Trust state.Verdict
}

// Text says what Trust means.
func (r Resolved) Text() string {
	switch r.Trust {
	case state.Broken:
		return fmt.Sprintf("its trust policy does not let %s take it on, so App Runner will refuse it as the %s role: "+
			"https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html", r.Purpose.Principal(), r.Purpose)
	case state.Unchecked:
		return "its trust could not be checked: iam:GetRole is denied"
	}
	return fmt.Sprintf("%s may take it on", r.Purpose.Principal())
}

// Notes are what a plan has to say of it.
func (r Resolved) Notes() []state.Note {
	if r.Trust == state.Passed {
		return nil
	}
	return []state.Note{{Target: r.Address, Warning: r.Trust == state.Broken, Text: r.Text()}}
}

// Resolve finds a role by name or ARN, and whether App Runner could take it on for the
// purpose. It returns a [*NotFoundError] if there is no such role.
func (p *Provider) Resolve(ctx context.Context, nameOrARN string, purpose Purpose) (Resolved, error) {
	name, given := nameOrARN, ""
	if strings.HasPrefix(nameOrARN, "arn:") {
		given, name = nameOrARN, nameOrARN[strings.LastIndex(nameOrARN, "/")+1:]
	}
	r := Resolved{Address: state.Address{Target: "iam", Kind: "role", Name: name}, ARN: given, Purpose: purpose, Trust: state.Passed}
	out, err := p.api.GetRole(ctx, &sdk.GetRoleInput{RoleName: &name})
	switch {
	case awsapi.Is(err, codeAbsent):
		return Resolved{}, &NotFoundError{Role: nameOrARN, Purpose: purpose}
	case given != "" && awsapi.Is(err, "AccessDenied"):
		// An ARN is all that App Runner needs, and who may deploy need not read IAM.
		r.Trust = state.Unchecked
		return r, nil
	case err != nil:
		return Resolved{}, fmt.Errorf("look up role %q: %w", nameOrARN, awsapi.Explain(err))
	}
	r.ARN = aws.ToString(out.Role.Arn)
	if given != "" && given != r.ARN {
		return Resolved{}, &NotFoundError{Role: nameOrARN, Purpose: purpose, Instead: r.ARN}
	}
	trust, err := url.PathUnescape(aws.ToString(out.Role.AssumeRolePolicyDocument))
	if err != nil {
		return Resolved{}, fmt.Errorf("role %q: trust policy: %w", nameOrARN, err)
	}
	if !trusts(trust, purpose.Principal()) {
		r.Trust = state.Broken
	}
	return r, nil
}

// NotFoundError says that a role that the manifest names does not exist.
type NotFoundError struct {
	Role    string
	Purpose Purpose
	Instead string // the role of that name in this account, if its ARN is another
}

var _ error = (*NotFoundError)(nil)

func (e *NotFoundError) Error() string {
	if e.Instead != "" {
		return fmt.Sprintf("roles.%s: there is no role %q in this account; the role of that name is %s", e.Purpose, e.Role, e.Instead)
	}
	return fmt.Sprintf("roles.%s: there is no role %q in this account", e.Purpose, e.Role)
}

// Hint says what to do about it.
func (e *NotFoundError) Hint() string {
	return fmt.Sprintf("correct the name, or write roles.%s: auto to let apron make one", e.Purpose)
}
