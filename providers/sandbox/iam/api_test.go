package iam

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

const (
	ecrAccess = "arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess"
	allowAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
)

// client returns the real SDK in front of IAM with the role "web" under /apron/.
func client(t *testing.T) (*sdk.Client, context.Context) {
	s, _ := service(t)
	return sdk.NewFromConfig(wiretest.Config(t, func(m *wire.Mux) { m.AddQuery(s.API()) })), context.Background()
}

var web = aws.String("web")

func tagged(keysAndValues ...string) (list []types.Tag) {
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, types.Tag{Key: &keysAndValues[i], Value: &keysAndValues[i+1]})
	}
	return list
}

func TestRole_comesBackAsItWasMade(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	made, err := c.CreateRole(ctx, &sdk.CreateRoleInput{
		RoleName: aws.String("api"), Path: aws.String("/apron/"), AssumeRolePolicyDocument: aws.String(trustOf(tasks)),
		Description: aws.String("für <api> & co"), MaxSessionDuration: aws.Int32(7200), Tags: tagged("b", "", "a", "1 + 1"),
	})
	require.NoError(t, err)
	got, err := c.GetRole(ctx, &sdk.GetRoleInput{RoleName: aws.String("api")})
	require.NoError(t, err)
	require.Equal(t, made.Role, got.Role)
	r := got.Role
	require.Equal(t, "arn:aws:iam::123456789012:role/apron/api", *r.Arn)
	require.Regexp(t, `^AROA[A-Z2-7]{17}$`, *r.RoleId)
	require.Equal(t, "für <api> & co", *r.Description)
	require.Equal(t, int32(7200), *r.MaxSessionDuration)
	require.Equal(t, tagged("a", "1 + 1", "b", ""), r.Tags)
	trust, err := url.QueryUnescape(*r.AssumeRolePolicyDocument)
	require.NoError(t, err)
	require.Equal(t, trustOf(tasks), trust)
	require.NotContains(t, *r.AssumeRolePolicyDocument, "{", "documents come back percent-encoded")

	_, err = c.UpdateRole(ctx, &sdk.UpdateRoleInput{RoleName: aws.String("api"), Description: aws.String("")})
	require.NoError(t, err)
	_, err = c.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("api"), PolicyDocument: aws.String(trustOf(build))})
	require.NoError(t, err)
	got, err = c.GetRole(ctx, &sdk.GetRoleInput{RoleName: aws.String("api")})
	require.NoError(t, err)
	require.Empty(t, aws.ToString(got.Role.Description))
	require.Equal(t, int32(7200), *got.Role.MaxSessionDuration, "left out is kept")
	require.Contains(t, *got.Role.AssumeRolePolicyDocument, "build.apprunner")
}

func TestRoles_pageByPath(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	for n := range 4 {
		_, err := c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String(fmt.Sprint("role", n)), Path: aws.String("/other/"), AssumeRolePolicyDocument: aws.String(trustOf(build))})
		require.NoError(t, err)
	}
	list := func(prefix string) (names []string) {
		pages := sdk.NewListRolesPaginator(c, &sdk.ListRolesInput{PathPrefix: &prefix, MaxItems: aws.Int32(3)})
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, r := range out.Roles {
				names = append(names, *r.RoleName)
				require.Empty(t, r.Tags, "lists leave tags out")
			}
		}
		return names
	}
	require.Equal(t, []string{"role0", "role1", "role2", "role3"}, list("/other/"))
	require.Equal(t, []string{"role0", "role1", "role2", "role3", "web"}, list("/"))
	require.Empty(t, list("/none/"))
	_, err := c.ListRoles(ctx, &sdk.ListRolesInput{Marker: aws.String("abc")})
	wiretest.Refused(t, err, "ValidationError", "Invalid Marker.")
	_, err = c.ListRoles(ctx, &sdk.ListRolesInput{MaxItems: aws.Int32(1001)})
	wiretest.Refused(t, err, "ValidationError", "less than or equal to 1000")
}

func TestDetails_areTheRolesWithTheirPolicies(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	const arn, document = "arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a b/*"}]}`
	_, err := c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String("api"), Path: aws.String("/other/"), AssumeRolePolicyDocument: aws.String(trustOf(build)), Tags: tagged("team", "ai")})
	require.NoError(t, err)
	_, err = c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: aws.String("api"), PolicyArn: aws.String(arn)})
	require.NoError(t, err)
	_, err = c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: aws.String("api"), PolicyName: aws.String("own"), PolicyDocument: aws.String(document)})
	require.NoError(t, err)
	var all []types.RoleDetail
	pages := sdk.NewGetAccountAuthorizationDetailsPaginator(c, &sdk.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeRole}, MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		require.NoError(t, err)
		require.Len(t, out.RoleDetailList, 1)
		all = append(all, out.RoleDetailList...)
	}
	require.Len(t, all, 2)
	require.Equal(t, "web", *all[1].RoleName)
	api := all[0]
	require.Equal(t, "arn:aws:iam::123456789012:role/other/api", *api.Arn)
	require.Equal(t, tagged("team", "ai"), api.Tags)
	require.Equal(t, []types.AttachedPolicy{{PolicyName: aws.String("AWSAppRunnerServicePolicyForECRAccess"), PolicyArn: aws.String(arn)}}, api.AttachedManagedPolicies)
	text, err := url.PathUnescape(*api.RolePolicyList[0].PolicyDocument)
	require.NoError(t, err)
	require.Equal(t, document, text)
	out, err := c.GetAccountAuthorizationDetails(ctx, &sdk.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeUser}})
	require.NoError(t, err)
	require.Empty(t, out.RoleDetailList)
}

func TestTags_ofARole(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	add := func(keysAndValues ...string) error {
		_, err := c.TagRole(ctx, &sdk.TagRoleInput{RoleName: web, Tags: tagged(keysAndValues...)})
		return err
	}
	require.NoError(t, add("team", "ai", "env", "prod"))
	require.NoError(t, add("Team", "ops"))
	_, err := c.UntagRole(ctx, &sdk.UntagRoleInput{RoleName: web, TagKeys: []string{"env", "none"}})
	require.NoError(t, err)
	out, err := c.ListRoleTags(ctx, &sdk.ListRoleTagsInput{RoleName: web})
	require.NoError(t, err)
	require.Equal(t, tagged("Team", "ops"), out.Tags, "keys are the same whatever their case")

	wiretest.Refused(t, add("a", "", "A", ""), "InvalidInput", "Duplicate tag keys found.")
	wiretest.Refused(t, add("aws:x", ""), "InvalidInput", "Reserved tag keys with prefix aws: cannot be used.")
	wiretest.Refused(t, add("a*", ""), "ValidationError", "tags.1.member.key")
	wiretest.Refused(t, add("a", strings.Repeat("v", 257)), "ValidationError", "tags.1.member.value")
	var many []string
	for n := range 50 {
		many = append(many, fmt.Sprint("key", n), "")
	}
	wiretest.Refused(t, add(many...), "LimitExceeded", "Cannot exceed quota for TagsPerRole: 50")
}

func TestPolicies_ofARole(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	attach := func(arn string) error {
		_, err := c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: web, PolicyArn: &arn})
		return err
	}
	put := func(name, document string) error {
		_, err := c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: web, PolicyName: &name, PolicyDocument: &document})
		return err
	}
	require.NoError(t, attach(ecrAccess))
	require.NoError(t, attach(ecrAccess), "again is no error")
	require.NoError(t, put("bucket", allowAll))
	attached, err := c.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: web})
	require.NoError(t, err)
	require.Equal(t, []types.AttachedPolicy{{PolicyArn: aws.String(ecrAccess), PolicyName: aws.String("AWSAppRunnerServicePolicyForECRAccess")}}, attached.AttachedPolicies)
	attached, err = c.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: web, PathPrefix: aws.String("/mine/")})
	require.NoError(t, err)
	require.Empty(t, attached.AttachedPolicies)
	names, err := c.ListRolePolicies(ctx, &sdk.ListRolePoliciesInput{RoleName: web})
	require.NoError(t, err)
	require.Equal(t, []string{"bucket"}, names.PolicyNames)
	inline, err := c.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: web, PolicyName: aws.String("bucket")})
	require.NoError(t, err)
	document, err := url.QueryUnescape(*inline.PolicyDocument)
	require.NoError(t, err)
	require.Equal(t, allowAll, document)

	wiretest.Refused(t, attach("arn:aws:iam::aws:policy/NoSuchPolicy"), "NoSuchEntity", "Policy arn:aws:iam::aws:policy/NoSuchPolicy does not exist or is not attachable.")
	wiretest.Refused(t, attach("arn:aws:s3:::a-bucket-of-mine"), "InvalidInput", "ARN arn:aws:s3:::a-bucket-of-mine is not valid.")
	wiretest.Refused(t, put("big", strings.Replace(allowAll, "s3:*", "s3:"+strings.Repeat("x", maxInline), 1)), "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role web")
	wiretest.Refused(t, put("a b", allowAll), "ValidationError", "The specified value for policyName is invalid.")
	wiretest.Refused(t, put("bad", "{"), "MalformedPolicyDocument", "")

	remove := func() error {
		_, err := c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: web})
		return err
	}
	wiretest.Refused(t, remove(), "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	detach := &sdk.DetachRolePolicyInput{RoleName: web, PolicyArn: aws.String(ecrAccess)}
	_, err = c.DetachRolePolicy(ctx, detach)
	require.NoError(t, err)
	_, err = c.DetachRolePolicy(ctx, detach)
	wiretest.Refused(t, err, "NoSuchEntity", "Policy "+ecrAccess+" was not found.")
	wiretest.Refused(t, remove(), "DeleteConflict", "Cannot delete entity, must delete policies first.")
	for _, text := range []string{"", "The role policy with name bucket cannot be found."} {
		_, err = c.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: web, PolicyName: aws.String("bucket")})
		if text == "" {
			require.NoError(t, err)
			continue
		}
		wiretest.Refused(t, err, "NoSuchEntity", text)
	}
	require.NoError(t, remove())
	wiretest.Refused(t, remove(), "NoSuchEntity", "The role with name web cannot be found.")
}

func TestManagedPolicy_canBeRead(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	_, err := c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: web, PolicyArn: aws.String(ecrAccess)})
	require.NoError(t, err)
	got, err := c.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: aws.String(ecrAccess)})
	require.NoError(t, err)
	require.Equal(t, "/service-role/", *got.Policy.Path)
	require.Equal(t, int32(1), *got.Policy.AttachmentCount)
	version, err := c.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: aws.String(ecrAccess), VersionId: got.Policy.DefaultVersionId})
	require.NoError(t, err)
	require.Contains(t, *version.PolicyVersion.Document, url.QueryEscape(`"ecr:BatchGetImage"`))
	_, err = c.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: aws.String(ecrAccess), VersionId: aws.String("v9")})
	wiretest.Refused(t, err, "NoSuchEntity", "version v9")
	_, err = c.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/NoSuchPolicy")})
	wiretest.Refused(t, err, "NoSuchEntity", "Policy arn:aws:iam::aws:policy/NoSuchPolicy was not found.")
}

func TestCreateRole_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	c, ctx := client(t)
	for name, tc := range map[string]struct {
		change     func(*sdk.CreateRoleInput)
		code, text string
	}{
		"a taken name":     {func(in *sdk.CreateRoleInput) { in.RoleName = aws.String("WEB") }, "EntityAlreadyExists", "Role with name WEB already exists."},
		"a long name":      {func(in *sdk.CreateRoleInput) { in.RoleName = aws.String(strings.Repeat("x", 65)) }, "ValidationError", "Member must have length less than or equal to 64"},
		"a name's letters": {func(in *sdk.CreateRoleInput) { in.RoleName = aws.String("a/b") }, "ValidationError", "It must contain only alphanumeric characters and/or the following: +=,.@_-"},
		"a path":           {func(in *sdk.CreateRoleInput) { in.Path = aws.String("apron") }, "ValidationError", "It must begin and end with /"},
		"a short session":  {func(in *sdk.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(60) }, "ValidationError", "Member must have value greater than or equal to 3600"},
		"a broken trust":   {func(in *sdk.CreateRoleInput) { in.AssumeRolePolicyDocument = aws.String("{") }, "MalformedPolicyDocument", "This policy contains invalid Json"},
		"a long trust": {func(in *sdk.CreateRoleInput) {
			in.AssumeRolePolicyDocument = aws.String(strings.Replace(trustOf(build), `"Effect"`, `"Sid":"`+strings.Repeat("x", maxTrust)+`","Effect"`, 1))
		}, "LimitExceeded", "2048"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &sdk.CreateRoleInput{RoleName: aws.String("new"), AssumeRolePolicyDocument: aws.String(trustOf(build))}
			tc.change(in)
			_, err := c.CreateRole(ctx, in)
			wiretest.Refused(t, err, tc.code, tc.text)
		})
	}
}
