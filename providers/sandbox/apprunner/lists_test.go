package apprunner

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

func tagsOf(keysAndValues ...string) (list []types.Tag) {
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, types.Tag{Key: &keysAndValues[i], Value: &keysAndValues[i+1]})
	}
	return list
}

// listed returns the tags of a resource.
func (r *rig) listed(arn *string) ([]types.Tag, error) {
	out, err := r.api.ListTagsForResource(context.Background(), &sdk.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func TestTags_areApartFromTheService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	s := r.create(func(in *sdk.CreateServiceInput) { in.Tags = tagsOf("b", "2", "a", "1") })
	_, err := r.api.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: s.ServiceArn, Tags: tagsOf("c", "", "a", "one")})
	require.NoError(t, err)
	_, err = r.api.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: s.ServiceArn, TagKeys: []string{"b", "none"}})
	require.NoError(t, err)
	got, err := r.listed(s.ServiceArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("a", "one", "c", ""), got)
	require.Equal(t, s.UpdatedAt, r.describe(s.ServiceArn).UpdatedAt, "a tag is no update")

	out, err := r.api.CreateAutoScalingConfiguration(ctx, &sdk.CreateAutoScalingConfigurationInput{AutoScalingConfigurationName: aws.String("apron"), Tags: tagsOf("k", "v")})
	require.NoError(t, err)
	got, err = r.listed(out.AutoScalingConfiguration.AutoScalingConfigurationArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("k", "v"), got)
	_, err = r.dropScaling(scalings+"apron", false)
	require.NoError(t, err)
	_, err = r.listed(out.AutoScalingConfiguration.AutoScalingConfigurationArn)
	require.ErrorContains(t, err, "ResourceNotFoundException")
}

func TestTags_areRefusedAsAWSRefusesThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) { in.Tags = tagsOf("a", "1") })
	add := func(tags ...types.Tag) error {
		_, err := r.api.TagResource(context.Background(), &sdk.TagResourceInput{ResourceArn: s.ServiceArn, Tags: tags})
		return err
	}
	var many []string
	for n := range 50 {
		many = append(many, fmt.Sprint("key", n), "")
	}
	refused(t, add(tagsOf(many...)...), "InvalidRequestException", "A resource can have at most 50 tags.")
	require.ErrorContains(t, add(tagsOf("aws:x", "")...), "1 validation error detected: Value 'aws:x' at 'tags.member.key'")
	require.ErrorContains(t, add(tagsOf("", "")...), "Member must have length greater than or equal to 1")
	require.ErrorContains(t, add(tagsOf("k", strings.Repeat("v", 257))...), "Member must have length less than or equal to 256")
	_, err := r.api.CreateService(context.Background(), &sdk.CreateServiceInput{
		ServiceName: aws.String("other"), SourceConfiguration: source("web:v1"), Tags: tagsOf(append(many, "one", "more")...),
	})
	refused(t, err, "InvalidRequestException", "1 validation error detected: Value '[51 elements]' at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	got, err := r.listed(s.ServiceArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("a", "1"), got)
	_, err = r.listed(aws.String(*s.ServiceArn + "0"))
	refused(t, err, "ResourceNotFoundException", "Resource with the provided ARN doesn't exist: "+*s.ServiceArn+"0.")
}

func TestListServices_pages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	var made []string
	for n := range 5 {
		s := r.create(func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String(fmt.Sprint("shop-", n)) })
		made = append(made, *s.ServiceArn)
	}
	all, err := r.api.ListServices(ctx, &sdk.ListServicesInput{})
	require.NoError(t, err)
	require.Len(t, all.ServiceSummaryList, 5, "without MaxResults, all")
	require.Nil(t, all.NextToken)
	s := r.describe(&made[0])
	require.Equal(t, types.ServiceSummary{
		ServiceName: s.ServiceName, ServiceId: s.ServiceId, ServiceArn: s.ServiceArn, ServiceUrl: s.ServiceUrl,
		Status: types.ServiceStatusRunning, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}, all.ServiceSummaryList[0])

	var found []string
	pages := sdk.NewListServicesPaginator(r.api, &sdk.ListServicesInput{MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		require.NoError(t, err)
		for _, s := range out.ServiceSummaryList {
			found = append(found, *s.ServiceArn)
			// Deleting what a page showed loses nothing of the next one.
			gone, err := r.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
			require.NoError(t, err)
			r.follow(s.ServiceArn, gone.OperationId)
		}
	}
	require.Equal(t, made, found)
	for max, text := range map[int32]string{0: "greater than or equal to 1", 21: "less than or equal to 20"} {
		_, err := r.api.ListServices(ctx, &sdk.ListServicesInput{MaxResults: &max})
		refused(t, err, "InvalidRequestException", fmt.Sprintf("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value %s", max, text))
	}
	_, err = r.api.ListServices(ctx, &sdk.ListServicesInput{NextToken: aws.String("abc")})
	refused(t, err, "InvalidRequestException", "The NextToken you specified isn't valid.")
}

func TestListOperations_pagesTheNewestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	s := r.create()
	for range 2 {
		r.update(unchanged(s.ServiceArn))
	}
	var all []types.OperationSummary
	pages := sdk.NewListOperationsPaginator(r.api, &sdk.ListOperationsInput{ServiceArn: s.ServiceArn, MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		require.NoError(t, err)
		require.Len(t, out.OperationSummaryList, 1)
		all = append(all, out.OperationSummaryList...)
	}
	require.Len(t, all, 3)
	require.Equal(t, types.OperationTypeCreateService, all[2].Type)
	for i, o := range all {
		require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, *o.Id)
		require.Equal(t, *s.ServiceArn, *o.TargetArn)
		require.False(t, o.EndedAt.Before(*o.StartedAt))
		require.Equal(t, *o.EndedAt, *o.UpdatedAt)
		if i > 0 {
			require.Equal(t, types.OperationTypeUpdateService, all[i-1].Type)
			require.False(t, all[i-1].StartedAt.Before(*o.EndedAt), "one at a time")
		}
	}
	_, err := r.api.ListOperations(ctx, &sdk.ListOperationsInput{ServiceArn: aws.String(*s.ServiceArn + "0")})
	refused(t, err, "ResourceNotFoundException", "Service with the provided ARN doesn't exist: "+*s.ServiceArn+"0.")
	_, err = r.api.ListOperations(ctx, &sdk.ListOperationsInput{ServiceArn: s.ServiceArn, MaxResults: aws.Int32(21)})
	require.ErrorContains(t, err, "less than or equal to 20")
}

// A service that failed to be created keeps its name and its place until it is deleted.
func TestCreateFailed_keepsItsName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:nope")}
	out, err := r.api.CreateService(ctx, in)
	require.NoError(t, err)
	r.follow(out.Service.ServiceArn, out.OperationId)
	list, err := r.api.ListServices(ctx, &sdk.ListServicesInput{})
	require.NoError(t, err)
	require.Equal(t, types.ServiceStatusCreateFailed, list.ServiceSummaryList[0].Status)
	_, err = r.api.CreateService(ctx, in)
	refused(t, err, "InvalidRequestException", "Service with the provided name already exists: shop.")
	users, err := r.api.ListServicesForAutoScalingConfiguration(ctx, &sdk.ListServicesForAutoScalingConfigurationInput{
		AutoScalingConfigurationArn: aws.String(scalings + "DefaultConfiguration"),
	})
	require.NoError(t, err)
	require.Len(t, users.ServiceArnList, 1, "it uses its scaling configuration")
	gone, err := r.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: out.Service.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(out.Service.ServiceArn, gone.OperationId).Status)
	r.create()
}

// What a client without checks of its own could send.
func TestConfig_isCheckedBySchema(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, change := range map[string]func(*sdk.CreateServiceInput){
		"'serviceName'": func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String("abc") },
		"'encryptionConfiguration.kmsKey'": func(in *sdk.CreateServiceInput) {
			in.EncryptionConfiguration = &types.EncryptionConfiguration{KmsKey: aws.String("alias/x")}
		},
		"'healthCheckConfiguration.protocol'": func(in *sdk.CreateServiceInput) {
			in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Protocol: "HTTPS"}
		},
		"'healthCheckConfiguration.path'": func(in *sdk.CreateServiceInput) {
			in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Path: aws.String("")}
		},
		"'healthCheckConfiguration.interval'": func(in *sdk.CreateServiceInput) {
			in.HealthCheckConfiguration = &types.HealthCheckConfiguration{Interval: aws.Int32(21)}
		},
		"'healthCheckConfiguration.unhealthyThreshold'": func(in *sdk.CreateServiceInput) {
			in.HealthCheckConfiguration = &types.HealthCheckConfiguration{UnhealthyThreshold: aws.Int32(0)}
		},
		"'instanceConfiguration.instanceRoleArn'": func(in *sdk.CreateServiceInput) {
			in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String("web")}
		},
		"'networkConfiguration.ipAddressType'": func(in *sdk.CreateServiceInput) {
			in.NetworkConfiguration = &types.NetworkConfiguration{IpAddressType: "IPV6"}
		},
		"'networkConfiguration.egressConfiguration.egressType'": func(in *sdk.CreateServiceInput) {
			in.NetworkConfiguration = &types.NetworkConfiguration{EgressConfiguration: &types.EgressConfiguration{EgressType: "NAT"}}
		},
		"'sourceConfiguration.imageRepository.imageIdentifier'": func(in *sdk.CreateServiceInput) {
			in.SourceConfiguration.ImageRepository.ImageIdentifier = aws.String("nginx")
		},
		"'sourceConfiguration.imageRepository.imageConfiguration": func(in *sdk.CreateServiceInput) {
			in.SourceConfiguration.ImageRepository.ImageConfiguration.Port = aws.String("http")
		},
		"imageConfiguration.startCommand'": func(in *sdk.CreateServiceInput) {
			in.SourceConfiguration.ImageRepository.ImageConfiguration.StartCommand = aws.String("")
		},
	} {
		in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
		change(in)
		_, err := r.api.CreateService(context.Background(), in)
		require.ErrorContains(t, err, "InvalidRequestException: ", path)
		require.ErrorContains(t, err, "validation error", path)
		require.ErrorContains(t, err, path)
	}
}

func TestUpdate_mergesTheNetwork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create()
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: &types.NetworkConfiguration{IpAddressType: types.IpAddressTypeDualStack}})
	got := r.describe(s.ServiceArn)
	require.Equal(t, types.IpAddressTypeDualStack, got.NetworkConfiguration.IpAddressType)
	require.True(t, got.NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible, "left out is kept")
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: &types.NetworkConfiguration{
		IngressConfiguration: &types.IngressConfiguration{IsPubliclyAccessible: false},
	}})
	got = r.describe(s.ServiceArn)
	require.Equal(t, types.IpAddressTypeDualStack, got.NetworkConfiguration.IpAddressType)
	require.Empty(t, aws.ToString(got.ServiceUrl), "a private service has no address")
	code, _ := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 404, code)
	_, err := r.api.UpdateService(context.Background(), &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: &types.NetworkConfiguration{
		EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeVpc, VpcConnectorArn: aws.String("arn:aws:apprunner:us-east-1:123456789012:vpcconnector/x/1/2")},
	}})
	refused(t, err, "InvalidRequestException", "The VPC connector ARN you specified isn't valid. ARN: 'arn:aws:apprunner:us-east-1:123456789012:vpcconnector/x/1/2'")
}
