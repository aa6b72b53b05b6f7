package iam

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// readAll reads roles by their names, with all their policies, in a few pages that hold all
// roles of the account: of many roles that is far faster than asking for each. It reports
// false where that is not allowed.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
func readAll(ctx context.Context, api reader, names map[string]bool) (roles map[string]*role, allowed bool, err error) {
	roles = map[string]*role{}
	wanted := map[string]string{} // names differ by more than case
	for name := range names {
		wanted[strings.ToLower(name)] = name
	}
	pages := sdk.NewGetAccountAuthorizationDetailsPaginator(api, &sdk.GetAccountAuthorizationDetailsInput{
		Filter: []types.EntityType{types.EntityTypeRole}, MaxItems: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		switch {
		case awsapi.Is(err, "AccessDenied"):
			return nil, false, nil
		case err != nil:
			return nil, false, fmt.Errorf("read roles: %w", awsapi.Explain(err))
		}
		for _, d := range page.RoleDetailList {
			name, ok := wanted[strings.ToLower(aws.ToString(d.RoleName))]
			if !ok {
				continue
			}
			if roles[name], err = fromDetail(d); err != nil {
				return nil, false, fmt.Errorf("read role %q: %w", name, err)
			}
		}
	}
	return roles, true, nil
}

// fromDetail reads what the details of the account tell of a role.
func fromDetail(d types.RoleDetail) (*role, error) {
	got, err := fromRole(types.Role{RoleName: d.RoleName, Arn: d.Arn, AssumeRolePolicyDocument: d.AssumeRolePolicyDocument, Tags: d.Tags})
	if err != nil {
		return nil, err
	}
	for _, p := range d.AttachedManagedPolicies {
		got.policies = append(got.policies, aws.ToString(p.PolicyArn))
	}
	slices.Sort(got.policies)
	for _, p := range d.RolePolicyList {
		text, err := url.PathUnescape(aws.ToString(p.PolicyDocument))
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", aws.ToString(p.PolicyName), err)
		}
		got.inline[aws.ToString(p.PolicyName)] = parsePermissions(text)
	}
	return got, nil
}
