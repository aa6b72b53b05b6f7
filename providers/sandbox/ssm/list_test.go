package ssm_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/wire/wiretest"
)

// tree has parameters on three levels.
func tree(t testing.TB) *world {
	w := newWorld(t)
	w.put("/web/a", "1")
	w.put("/web/b", "2", plain)
	w.put("/web/db/host", "3", plain, func(in *sdk.PutParameterInput) { in.Tags = tags("team", "ai") })
	w.put("/web/db/pass", "4", func(in *sdk.PutParameterInput) { in.KeyId = aws.String("alias/mine") })
	w.put("/website/x", "5", func(in *sdk.PutParameterInput) { in.Tags = tags("team", "ops") })
	w.put("flat", "6", plain)
	return w
}

func TestByPath_goesOneLevelOrAll(t *testing.T) {
	t.Parallel()
	w := tree(t)
	list := func(path string, recursive bool, size int32, filters ...types.ParameterStringFilter) (found []string) {
		pages := sdk.NewGetParametersByPathPaginator(w.client, &sdk.GetParametersByPathInput{
			Path: &path, Recursive: &recursive, MaxResults: &size, WithDecryption: aws.Bool(true), ParameterFilters: filters,
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(w.ctx)
			require.NoError(t, err)
			require.LessOrEqual(t, len(out.Parameters), int(size))
			for _, p := range out.Parameters {
				found = append(found, *p.Name+"="+*p.Value)
			}
		}
		return found
	}
	require.Equal(t, []string{"/web/a=1", "/web/b=2"}, list("/web", false, 1))
	require.Equal(t, []string{"/web/a=1", "/web/b=2"}, list("/web/", false, 10))
	require.Equal(t, []string{"/web/a=1", "/web/b=2", "/web/db/host=3", "/web/db/pass=4"}, list("/web", true, 3))
	require.Equal(t, []string{"/web/b=2", "/web/db/host=3"}, list("/web", true, 3, types.ParameterStringFilter{Key: aws.String("Type"), Values: []string{"String"}}))
	require.Empty(t, list("/none", true, 10))
	_, err := w.client.GetParametersByPath(w.ctx, &sdk.GetParametersByPathInput{Path: aws.String("/web"), MaxResults: aws.Int32(11)})
	wiretest.Refused(t, err, "ValidationException", "Member must have value less than or equal to 10")
	_, err = w.client.GetParametersByPath(w.ctx, &sdk.GetParametersByPathInput{Path: aws.String("web")})
	wiretest.Refused(t, err, "ValidationException", `The parameter name must begin with a forward slash "/".`)
	_, err = w.client.GetParametersByPath(w.ctx, &sdk.GetParametersByPathInput{
		Path: aws.String("/web"), ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{"x"}}},
	})
	wiretest.Refused(t, err, "InvalidFilterKey", "")
}

func TestDescribe_filters(t *testing.T) {
	t.Parallel()
	w := tree(t)
	for name, tc := range map[string]struct {
		key, option string
		values      []string
		want        []string
	}{
		"a name":            {"Name", "", []string{"/web/a", "flat"}, []string{"/web/a", "flat"}},
		"a name's begin":    {"Name", "BeginsWith", []string{"/web/"}, []string{"/web/a", "/web/b", "/web/db/host", "/web/db/pass"}},
		"a name's part":     {"Name", "Contains", []string{"b/"}, []string{"/web/a", "/web/b", "/web/db/host", "/web/db/pass"}},
		"a level":           {"Path", "", []string{"/web/db"}, []string{"/web/db/host", "/web/db/pass"}},
		"a path":            {"Path", "Recursive", []string{"/web"}, []string{"/web/a", "/web/b", "/web/db/host", "/web/db/pass"}},
		"a type":            {"Type", "", []string{"String"}, []string{"/web/b", "/web/db/host", "flat"}},
		"a key":             {"KeyId", "", []string{"alias/mine"}, []string{"/web/db/pass"}},
		"a tag":             {"tag:team", "", []string{"ai"}, []string{"/web/db/host"}},
		"a tag of any kind": {"tag:team", "", nil, []string{"/web/db/host", "/website/x"}},
		"a tier":            {"Tier", "", []string{"Advanced"}, nil},
		"a label":           {"Label", "", []string{"live"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := types.ParameterStringFilter{Key: &tc.key, Values: tc.values}
			if tc.option != "" {
				f.Option = &tc.option
			}
			var got []string
			pages := sdk.NewDescribeParametersPaginator(w.client, &sdk.DescribeParametersInput{
				ParameterFilters: []types.ParameterStringFilter{f}, MaxResults: aws.Int32(2),
			})
			for pages.HasMorePages() {
				out, err := pages.NextPage(w.ctx)
				require.NoError(t, err)
				for _, p := range out.Parameters {
					got = append(got, *p.Name)
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestDescribe_tellsAllButTheValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/web/key", "x", func(in *sdk.PutParameterInput) {
		in.Description, in.AllowedPattern = aws.String("the key"), aws.String("[a-z]")
	})
	w.put("/web/key", "y", overwrite)
	out, err := w.client.DescribeParameters(w.ctx, &sdk.DescribeParametersInput{
		Filters: []types.ParametersFilter{{Key: types.ParametersFilterKeyName, Values: []string{"/web"}}},
	})
	require.NoError(t, err)
	require.Equal(t, []types.ParameterMetadata{{
		Name: aws.String("/web/key"), ARN: aws.String(arn + "/web/key"), Type: types.ParameterTypeSecureString, KeyId: aws.String("alias/aws/ssm"),
		LastModifiedDate: &w.now, LastModifiedUser: aws.String("arn:aws:iam::123456789012:user/sandbox"),
		Description: aws.String("the key"), AllowedPattern: aws.String("[a-z]"), Version: 2,
		Tier: types.ParameterTierStandard, DataType: aws.String("text"), Policies: []types.ParameterInlinePolicy{},
	}}, out.Parameters)
}

func TestDescribe_refusesFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	describe := func(in sdk.DescribeParametersInput) error {
		_, err := w.client.DescribeParameters(w.ctx, &in)
		return err
	}
	one := func(key, option string, values ...string) sdk.DescribeParametersInput {
		return sdk.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{{Key: &key, Option: &option, Values: values}}}
	}
	wiretest.Refused(t, describe(one("Colour", "Equals", "red")), "InvalidFilterKey", "")
	wiretest.Refused(t, describe(one("Type", "Contains", "S")), "InvalidFilterOption", "Valid options include: [Equals, BeginsWith].")
	wiretest.Refused(t, describe(one("Type", "Equals")), "InvalidFilterValue", "Type")
	both := one("Type", "Equals", "String")
	both.Filters = []types.ParametersFilter{{Key: types.ParametersFilterKeyName, Values: []string{"x"}}}
	wiretest.Refused(t, describe(both), "ValidationException", "You can use either Filters or ParameterFilters in a single request.")
	wiretest.Refused(t, describe(sdk.DescribeParametersInput{NextToken: aws.String("abc")}), "InvalidNextToken", "")
	wiretest.Refused(t, describe(sdk.DescribeParametersInput{MaxResults: aws.Int32(51)}), "ValidationException", "less than or equal to 50")
}
