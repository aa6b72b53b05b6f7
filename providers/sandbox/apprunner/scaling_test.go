package apprunner

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

const scalings = "arn:aws:apprunner:us-east-1:123456789012:autoscalingconfiguration/"

// revise makes the next revision of a scaling configuration.
func (r *rig) revise(name string) (*types.AutoScalingConfiguration, error) {
	out, err := r.api.CreateAutoScalingConfiguration(context.Background(), &sdk.CreateAutoScalingConfigurationInput{AutoScalingConfigurationName: &name})
	if err != nil {
		return nil, err
	}
	return out.AutoScalingConfiguration, nil
}

func (r *rig) mustRevise(name string) *types.AutoScalingConfiguration {
	r.t.Helper()
	c, err := r.revise(name)
	require.NoError(r.t, err)
	return c
}

func (r *rig) scaling(arn string) (*types.AutoScalingConfiguration, error) {
	out, err := r.api.DescribeAutoScalingConfiguration(context.Background(), &sdk.DescribeAutoScalingConfigurationInput{AutoScalingConfigurationArn: &arn})
	if err != nil {
		return nil, err
	}
	return out.AutoScalingConfiguration, nil
}

func (r *rig) dropScaling(arn string, all bool) (*types.AutoScalingConfiguration, error) {
	out, err := r.api.DeleteAutoScalingConfiguration(context.Background(), &sdk.DeleteAutoScalingConfigurationInput{AutoScalingConfigurationArn: &arn, DeleteAllRevisions: all})
	if err != nil {
		return nil, err
	}
	return out.AutoScalingConfiguration, nil
}

func TestScaling_isRevised(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	out, err := r.api.CreateAutoScalingConfiguration(context.Background(), &sdk.CreateAutoScalingConfigurationInput{
		AutoScalingConfigurationName: aws.String("apron-1-2-50"), MaxConcurrency: aws.Int32(50), MinSize: aws.Int32(1), MaxSize: aws.Int32(2),
	})
	require.NoError(t, err)
	one := out.AutoScalingConfiguration
	require.Regexp(t, `^`+scalings+`apron-1-2-50/1/[0-9a-f]{32}$`, *one.AutoScalingConfigurationArn)
	require.Equal(t, []int32{1, 50, 1, 2}, []int32{*one.AutoScalingConfigurationRevision, *one.MaxConcurrency, *one.MinSize, *one.MaxSize})
	require.Equal(t, []bool{true, false, false}, []bool{*one.Latest, *one.IsDefault, *one.HasAssociatedService})
	require.Equal(t, "active", string(one.Status), "in lower case, unlike the model's enum")
	require.NotNil(t, one.CreatedAt)
	require.Nil(t, one.DeletedAt)

	two := r.mustRevise("apron-1-2-50")
	require.Equal(t, []int32{2, 100, 1, 25}, []int32{*two.AutoScalingConfigurationRevision, *two.MaxConcurrency, *two.MinSize, *two.MaxSize}, "AWS's defaults")
	require.True(t, *two.Latest)
	for arn, want := range map[string]*string{
		scalings + "apron-1-2-50":         two.AutoScalingConfigurationArn,
		scalings + "apron-1-2-50/1":       one.AutoScalingConfigurationArn,
		*one.AutoScalingConfigurationArn:  one.AutoScalingConfigurationArn,
		scalings + "DefaultConfiguration": aws.String(scalings + "DefaultConfiguration/1/00000000000000000000000000000001"),
	} {
		got, err := r.scaling(arn)
		require.NoError(t, err, arn)
		require.Equal(t, *want, *got.AutoScalingConfigurationArn)
	}
	got, err := r.scaling(*one.AutoScalingConfigurationArn)
	require.NoError(t, err)
	require.False(t, *got.Latest)

	gone, err := r.dropScaling(scalings+"apron-1-2-50", false)
	require.NoError(t, err)
	require.Equal(t, *two.AutoScalingConfigurationArn, *gone.AutoScalingConfigurationArn, "a name alone means the latest")
	require.Equal(t, "inactive", string(gone.Status))
	require.NotNil(t, gone.DeletedAt)
	require.False(t, *gone.Latest)
	got, err = r.scaling(*one.AutoScalingConfigurationArn)
	require.NoError(t, err)
	require.True(t, *got.Latest, "again")
	three := r.mustRevise("apron-1-2-50")
	require.Equal(t, int32(3), *three.AutoScalingConfigurationRevision, "numbers only grow")
	_, err = r.dropScaling(*two.AutoScalingConfigurationArn, false)
	refused(t, err, "InvalidRequestException", "The auto scaling configuration you specified has been deleted. ARN: '"+*two.AutoScalingConfigurationArn+"'")

	all, err := r.dropScaling(scalings+"apron-1-2-50", true)
	require.NoError(t, err)
	require.Equal(t, &types.AutoScalingConfiguration{
		AutoScalingConfigurationArn: aws.String(scalings + "apron-1-2-50"), AutoScalingConfigurationName: aws.String("apron-1-2-50"), Status: "inactive",
	}, all)
	_, err = r.scaling(scalings + "apron-1-2-50")
	refused(t, err, "ResourceNotFoundException", "The auto scaling configuration you specified doesn't exist. ARN: '"+scalings+"apron-1-2-50'")
}

func TestScaling_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	for text, in := range map[string]*sdk.CreateAutoScalingConfigurationInput{
		"minSize must be at least 1":                    {MinSize: aws.Int32(0)},
		"minSize must be at most 25":                    {MinSize: aws.Int32(26), MaxSize: aws.Int32(26)},
		"maxSize must be at least 1":                    {MaxSize: aws.Int32(0)},
		"minSize must be less than or equal to maxSize": {MinSize: aws.Int32(3), MaxSize: aws.Int32(2)},
		"1 validation error detected: Value '201' at 'maxConcurrency' failed to satisfy constraint: Member must have value less than or equal to 200": {MaxConcurrency: aws.Int32(201)},
		`2 validation errors detected: Value 'abc' at 'autoScalingConfigurationName' failed to satisfy constraint: Member must have length greater than or equal to 4; ` +
			`Value 'abc' at 'autoScalingConfigurationName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\-_]{3,31}`: {AutoScalingConfigurationName: aws.String("abc")},
	} {
		if in.AutoScalingConfigurationName == nil {
			in.AutoScalingConfigurationName = aws.String("apron")
		}
		_, err := r.api.CreateAutoScalingConfiguration(ctx, in)
		refused(t, err, "InvalidRequestException", text)
	}
	_, err := r.scaling("arn:aws:apprunner:us-east-1:123456789012:service/shop")
	refused(t, err, "InvalidRequestException", "The auto scaling configuration ARN you specified isn't valid. ARN: 'arn:aws:apprunner:us-east-1:123456789012:service/shop'")
	_, err = r.dropScaling(scalings+"apron/1", true)
	refused(t, err, "ResourceNotFoundException", "The auto scaling configuration you specified doesn't exist. ARN: '"+scalings+"apron/1'")
	r.mustRevise("apron")
	_, err = r.dropScaling(scalings+"apron/1", true)
	refused(t, err, "InvalidRequestException", "To delete all revisions, specify an auto scaling configuration ARN that ends with the name. ARN: '"+scalings+"apron/1'")
	_, err = r.dropScaling(scalings+"DefaultConfiguration", false)
	refused(t, err, "InvalidRequestException", "You can't delete the default auto scaling configuration. To delete it, make another auto scaling configuration the default. ARN: '"+
		scalings+"DefaultConfiguration/1/00000000000000000000000000000001'")
}

func TestScaling_hasQuotas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 5 {
		r.mustRevise("apron-0")
	}
	_, err := r.revise("apron-0")
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of revisions (5) for the auto scaling configuration apron-0 has been reached.")
	_, err = r.dropScaling(scalings+"apron-0/2", false)
	require.NoError(t, err)
	require.Equal(t, int32(6), *r.mustRevise("apron-0").AutoScalingConfigurationRevision, "what is deleted does not count")

	for n := range 9 {
		r.mustRevise(fmt.Sprint("apron-", n+1))
	}
	_, err = r.revise("apron-10")
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of auto scaling configurations (10) for this account in this Region has been reached.")
	r.mustRevise("apron-9")
	r.mustRevise("DefaultConfiguration")
	_, err = r.dropScaling(scalings+"apron-9", true)
	require.NoError(t, err)
	r.mustRevise("apron-10")
}

func TestScaling_isListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"apron-a", "apron-b", "apron-a", "apron-a"} {
		r.mustRevise(name)
	}
	_, err := r.dropScaling(scalings+"apron-a/2", false)
	require.NoError(t, err)
	list := func(in sdk.ListAutoScalingConfigurationsInput) (found []string) {
		pages := sdk.NewListAutoScalingConfigurationsPaginator(r.api, &in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(context.Background())
			require.NoError(t, err)
			for _, c := range out.AutoScalingConfigurationSummaryList {
				found = append(found, fmt.Sprintf("%s/%d", *c.AutoScalingConfigurationName, c.AutoScalingConfigurationRevision))
				require.Equal(t, *c.AutoScalingConfigurationName == "DefaultConfiguration", *c.IsDefault)
			}
		}
		return found
	}
	one := aws.Int32(1)
	require.Equal(t, []string{"DefaultConfiguration/1", "apron-b/1", "apron-a/3"}, list(sdk.ListAutoScalingConfigurationsInput{MaxResults: one, LatestOnly: true}))
	require.Equal(t, []string{"apron-a/3"}, list(sdk.ListAutoScalingConfigurationsInput{AutoScalingConfigurationName: aws.String("apron-a"), LatestOnly: true}))
	_, err = r.api.ListAutoScalingConfigurations(context.Background(), &sdk.ListAutoScalingConfigurationsInput{MaxResults: aws.Int32(101)})
	refused(t, err, "InvalidRequestException", "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100")
	_, err = r.api.ListAutoScalingConfigurations(context.Background(), &sdk.ListAutoScalingConfigurationsInput{NextToken: aws.String("abc")})
	refused(t, err, "InvalidRequestException", "The NextToken you specified isn't valid.")
}

// A service follows the revision that it was bound to, and keeps it in use.
func TestScaling_bindsServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	first := r.mustRevise("apron-a")
	name := aws.String(scalings + "apron-a")
	s := r.create(func(in *sdk.CreateServiceInput) { in.AutoScalingConfigurationArn = name })
	bound := func() string {
		return *r.describe(s.ServiceArn).AutoScalingConfigurationSummary.AutoScalingConfigurationArn
	}
	require.Equal(t, *first.AutoScalingConfigurationArn, bound(), "the full ARN comes back")
	second := r.mustRevise("apron-a")
	require.Equal(t, *first.AutoScalingConfigurationArn, bound(), "until its next update")
	_, err := r.dropScaling(*first.AutoScalingConfigurationArn, false)
	const used = "You can't delete the auto scaling configuration. It's used by one or more services. To delete it, update the services to use other auto scaling configurations."
	refused(t, err, "InvalidRequestException", used)
	_, err = r.dropScaling(*name, true)
	refused(t, err, "InvalidRequestException", used)
	r.update(unchanged(s.ServiceArn))
	require.Equal(t, *first.AutoScalingConfigurationArn, bound(), "left out is kept")

	op := r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, AutoScalingConfigurationArn: name, SourceConfiguration: mode("web:v1", "exit3")})
	require.Equal(t, types.OperationStatusRollbackSucceeded, op.Status)
	require.Equal(t, *first.AutoScalingConfigurationArn, bound(), "a rollback restores it")
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, AutoScalingConfigurationArn: name})
	require.Equal(t, *second.AutoScalingConfigurationArn, bound())
	_, err = r.dropScaling(*first.AutoScalingConfigurationArn, false)
	require.NoError(t, err)
	users, err := r.api.ListServicesForAutoScalingConfiguration(ctx, &sdk.ListServicesForAutoScalingConfigurationInput{AutoScalingConfigurationArn: name})
	require.NoError(t, err)
	require.Equal(t, []string{*s.ServiceArn}, users.ServiceArnList)
	got, err := r.scaling(*name)
	require.NoError(t, err)
	require.True(t, *got.HasAssociatedService)
	_, err = r.api.UpdateService(ctx, &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, AutoScalingConfigurationArn: first.AutoScalingConfigurationArn})
	refused(t, err, "InvalidRequestException", "The auto scaling configuration ARN you specified isn't valid. ARN: '"+*first.AutoScalingConfigurationArn+"'")
}

func TestScaling_defaultIsForServicesToCome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	before := r.create()
	c := r.mustRevise("apron-a")
	out, err := r.api.UpdateDefaultAutoScalingConfiguration(ctx, &sdk.UpdateDefaultAutoScalingConfigurationInput{AutoScalingConfigurationArn: aws.String(scalings + "apron-a")})
	require.NoError(t, err)
	require.True(t, *out.AutoScalingConfiguration.IsDefault)
	after := r.create(func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String("later") })
	require.Equal(t, *c.AutoScalingConfigurationArn, *after.AutoScalingConfigurationSummary.AutoScalingConfigurationArn)
	require.Equal(t, "DefaultConfiguration", *r.describe(before.ServiceArn).AutoScalingConfigurationSummary.AutoScalingConfigurationName)
	old, err := r.scaling(scalings + "DefaultConfiguration")
	require.NoError(t, err)
	require.False(t, *old.IsDefault)
	_, err = r.dropScaling(scalings+"apron-a", false)
	require.ErrorContains(t, err, "You can't delete the default auto scaling configuration.")
}
