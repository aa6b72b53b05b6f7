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

const observabilities = "arn:aws:apprunner:us-east-1:123456789012:observabilityconfiguration/"

// trace makes the next revision of an observability configuration.
func (r *rig) trace(name string) (*types.ObservabilityConfiguration, error) {
	out, err := r.api.CreateObservabilityConfiguration(context.Background(), &sdk.CreateObservabilityConfigurationInput{
		ObservabilityConfigurationName: &name, TraceConfiguration: &types.TraceConfiguration{Vendor: types.TracingVendorAwsxray}, Tags: tagsOf("k", "v"),
	})
	if err != nil {
		return nil, err
	}
	return out.ObservabilityConfiguration, nil
}

func (r *rig) untrace(arn string) (*types.ObservabilityConfiguration, error) {
	out, err := r.api.DeleteObservabilityConfiguration(context.Background(), &sdk.DeleteObservabilityConfigurationInput{ObservabilityConfigurationArn: &arn})
	if err != nil {
		return nil, err
	}
	return out.ObservabilityConfiguration, nil
}

func TestObservability_isRevised(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	one, err := r.trace("apron-xray")
	require.NoError(t, err)
	require.Regexp(t, `^`+observabilities+`apron-xray/1/[0-9a-f]{32}$`, *one.ObservabilityConfigurationArn)
	require.Equal(t, types.TracingVendorAwsxray, one.TraceConfiguration.Vendor)
	require.Equal(t, "active", string(one.Status))
	require.True(t, one.Latest)
	tags, err := r.listed(one.ObservabilityConfigurationArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("k", "v"), tags)
	two, err := r.trace("apron-xray")
	require.NoError(t, err)
	plain, err := r.api.CreateObservabilityConfiguration(ctx, &sdk.CreateObservabilityConfigurationInput{ObservabilityConfigurationName: aws.String("plain")})
	require.NoError(t, err)
	require.Nil(t, plain.ObservabilityConfiguration.TraceConfiguration, "not asked for, not enabled")
	r.close()
	r.open()
	for arn, want := range map[string]*types.ObservabilityConfiguration{
		observabilities + "apron-xray": two, observabilities + "apron-xray/2": two, *two.ObservabilityConfigurationArn: two,
	} {
		got, err := r.api.DescribeObservabilityConfiguration(ctx, &sdk.DescribeObservabilityConfigurationInput{ObservabilityConfigurationArn: &arn})
		require.NoError(t, err, arn)
		require.Equal(t, want, got.ObservabilityConfiguration)
	}
	got, err := r.api.DescribeObservabilityConfiguration(ctx, &sdk.DescribeObservabilityConfigurationInput{ObservabilityConfigurationArn: aws.String(observabilities + "apron-xray/1")})
	require.NoError(t, err)
	require.False(t, got.ObservabilityConfiguration.Latest)

	gone, err := r.untrace(observabilities + "apron-xray")
	require.NoError(t, err)
	require.Equal(t, *two.ObservabilityConfigurationArn, *gone.ObservabilityConfigurationArn, "a name alone means the latest")
	require.Equal(t, "inactive", string(gone.Status))
	three, err := r.trace("apron-xray")
	require.NoError(t, err)
	require.Equal(t, int32(3), three.ObservabilityConfigurationRevision)

	list := func(in sdk.ListObservabilityConfigurationsInput) (found []string) {
		pages := sdk.NewListObservabilityConfigurationsPaginator(r.api, &in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, c := range out.ObservabilityConfigurationSummaryList {
				found = append(found, fmt.Sprintf("%s/%d", *c.ObservabilityConfigurationName, c.ObservabilityConfigurationRevision))
			}
		}
		return found
	}
	require.Equal(t, []string{"DefaultConfiguration/1", "plain/1", "apron-xray/3"}, list(sdk.ListObservabilityConfigurationsInput{MaxResults: aws.Int32(1), LatestOnly: true}))
	require.Equal(t, []string{"apron-xray/3"}, list(sdk.ListObservabilityConfigurationsInput{ObservabilityConfigurationName: aws.String("apron-xray")}))
}

func TestObservability_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.trace("DefaultConfiguration")
	refused(t, err, "InvalidRequestException", "You can't use the reserved observability configuration name: 'DefaultConfiguration'.")
	_, err = r.untrace(observabilities + "DefaultConfiguration")
	refused(t, err, "InvalidRequestException", "You can't delete a reserved observability configuration: 'DefaultConfiguration'.")
	_, err = r.untrace(observabilities + "none")
	refused(t, err, "ResourceNotFoundException", "The observability configuration you specified doesn't exist. ARN: '"+observabilities+"none'")
	_, err = r.untrace(scalings + "none")
	refused(t, err, "InvalidRequestException", "The observability configuration ARN you specified isn't valid. ARN: '"+scalings+"none'")
	_, err = r.api.CreateObservabilityConfiguration(context.Background(), &sdk.CreateObservabilityConfigurationInput{
		ObservabilityConfigurationName: aws.String("xray"), TraceConfiguration: &types.TraceConfiguration{Vendor: "JAEGER"},
	})
	refused(t, err, "InvalidRequestException", "1 validation error detected: Value 'JAEGER' at 'traceConfiguration.vendor' failed to satisfy constraint: Member must satisfy enum value set: [AWSXRAY]")

	for range 10 {
		_, err := r.trace("name-0")
		require.NoError(t, err)
	}
	_, err = r.trace("name-0")
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of revisions of the observability configuration name-0 (10) for this account in this Region has been reached.")
	for n := range 9 {
		_, err := r.trace(fmt.Sprint("name-", n+1))
		require.NoError(t, err)
	}
	_, err = r.trace("name-10")
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of observability configurations (10) for this account in this Region has been reached.")
}

func TestObservability_bindsServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, err := r.trace("apron-xray")
	require.NoError(t, err)
	name := aws.String(observabilities + "apron-xray")
	s := r.create(func(in *sdk.CreateServiceInput) {
		in.ObservabilityConfiguration = &types.ServiceObservabilityConfiguration{ObservabilityEnabled: true, ObservabilityConfigurationArn: name}
	})
	require.Equal(t, types.ServiceObservabilityConfiguration{ObservabilityEnabled: true, ObservabilityConfigurationArn: one.ObservabilityConfigurationArn}, *s.ObservabilityConfiguration, "the full ARN comes back")
	_, err = r.untrace(*name)
	refused(t, err, "InvalidRequestException", "You can't delete the observability configuration. It's used by one or more services. To delete it, update the services to use other observability configurations.")
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, ObservabilityConfiguration: &types.ServiceObservabilityConfiguration{}})
	require.Equal(t, types.ServiceObservabilityConfiguration{}, *r.describe(s.ServiceArn).ObservabilityConfiguration)
	_, err = r.untrace(*name)
	require.NoError(t, err)
	on := func(arn *string) *sdk.UpdateServiceInput {
		return &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, ObservabilityConfiguration: &types.ServiceObservabilityConfiguration{ObservabilityEnabled: true, ObservabilityConfigurationArn: arn}}
	}
	_, err = r.api.UpdateService(context.Background(), on(name))
	refused(t, err, "InvalidRequestException", "The observability configuration ARN you specified isn't valid. ARN: '"+*name+"'")
	r.update(on(nil))
	require.Equal(t, observabilities+"DefaultConfiguration/1/00000000000000000000000000000001", *r.describe(s.ServiceArn).ObservabilityConfiguration.ObservabilityConfigurationArn)
}
