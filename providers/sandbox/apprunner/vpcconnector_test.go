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

// connect makes a VPC connector of one subnet.
func (r *rig) connect(name string, subnet int, groups ...string) (*types.VpcConnector, error) {
	out, err := r.api.CreateVpcConnector(context.Background(), &sdk.CreateVpcConnectorInput{
		VpcConnectorName: &name, Subnets: []string{fmt.Sprintf("subnet-%017x", subnet)}, SecurityGroups: groups, Tags: tagsOf("k", "v"),
	})
	if err != nil {
		return nil, err
	}
	return out.VpcConnector, nil
}

func (r *rig) disconnect(arn *string) (*types.VpcConnector, error) {
	out, err := r.api.DeleteVpcConnector(context.Background(), &sdk.DeleteVpcConnectorInput{VpcConnectorArn: arn})
	if err != nil {
		return nil, err
	}
	return out.VpcConnector, nil
}

func TestVpcConnector_isMadeAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	out, err := r.api.CreateVpcConnector(ctx, &sdk.CreateVpcConnectorInput{
		VpcConnectorName: aws.String("apron-vpc"), Subnets: []string{"subnet-0a1b2c3d", "subnet-00000000000000002"}, SecurityGroups: []string{"sg-0a1b2c3d"}, Tags: tagsOf("k", "v"),
	})
	require.NoError(t, err)
	made := out.VpcConnector
	require.Regexp(t, `^arn:aws:apprunner:us-east-1:123456789012:vpcconnector/apron-vpc/1/[0-9a-f]{32}$`, *made.VpcConnectorArn)
	require.Equal(t, []string{"subnet-0a1b2c3d", "subnet-00000000000000002"}, made.Subnets)
	require.Equal(t, []string{"sg-0a1b2c3d"}, made.SecurityGroups)
	require.Equal(t, int32(1), made.VpcConnectorRevision)
	require.Equal(t, "active", string(made.Status), "in lower case, unlike the model's enum")
	require.NotNil(t, made.CreatedAt)
	tags, err := r.listed(made.VpcConnectorArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("k", "v"), tags)
	r.close()
	r.open() // it outlives a restart
	got, err := r.api.DescribeVpcConnector(ctx, &sdk.DescribeVpcConnectorInput{VpcConnectorArn: made.VpcConnectorArn})
	require.NoError(t, err)
	require.Equal(t, made, got.VpcConnector)

	gone, err := r.disconnect(made.VpcConnectorArn)
	require.NoError(t, err)
	require.Equal(t, "inactive", string(gone.Status))
	require.NotNil(t, gone.DeletedAt)
	got, err = r.api.DescribeVpcConnector(ctx, &sdk.DescribeVpcConnectorInput{VpcConnectorArn: made.VpcConnectorArn})
	require.NoError(t, err, "for a while")
	require.Equal(t, gone, got.VpcConnector)
	_, err = r.disconnect(made.VpcConnectorArn)
	refused(t, err, "InvalidRequestException", "The VPC connector you specified has been deleted. ARN: '"+*made.VpcConnectorArn+"'")
	list, err := r.api.ListVpcConnectors(ctx, &sdk.ListVpcConnectorsInput{})
	require.NoError(t, err)
	require.Empty(t, list.VpcConnectors)
	again, err := r.connect("apron-vpc", 1)
	require.NoError(t, err, "the name is free again")
	require.Equal(t, int32(1), again.VpcConnectorRevision)
	require.NotEqual(t, *made.VpcConnectorArn, *again.VpcConnectorArn)
	require.Regexp(t, `^sg-[0-9a-f]{17}$`, again.SecurityGroups[0], "the default group")
}

func TestVpcConnector_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	made, err := r.connect("apron-vpc", 1, "sg-0000000a", "sg-0000000b")
	require.NoError(t, err)
	_, err = r.connect("apron-vpc", 2)
	refused(t, err, "InvalidRequestException", "VPC connector with the provided name already exists: apron-vpc.")
	_, err = r.connect("other", 1, "sg-0000000b", "sg-0000000a")
	refused(t, err, "InvalidRequestException", "VPC connector with the provided subnets and security groups already exists. ARN: '"+*made.VpcConnectorArn+"'")
	for text, in := range map[string]sdk.CreateVpcConnectorInput{
		"Subnets must not be empty.":                   {Subnets: []string{}},
		"The subnet ID 'vpc-1' does not exist":         {Subnets: []string{"vpc-1"}},
		"The security group 'subnet-1' does not exist": {Subnets: []string{"subnet-0000000a"}, SecurityGroups: []string{"subnet-1"}},
		"2 validation errors detected: Value 'abc' at 'vpcConnectorName' failed to satisfy constraint: Member must have length greater than or equal to 4; " +
			`Value 'abc' at 'vpcConnectorName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\-_]{3,39}`: {VpcConnectorName: aws.String("abc"), Subnets: []string{}},
	} {
		if in.VpcConnectorName == nil {
			in.VpcConnectorName = aws.String("fresh")
		}
		_, err := r.api.CreateVpcConnector(ctx, &in)
		refused(t, err, "InvalidRequestException", text)
	}
	for _, arn := range []string{"arn:aws:apprunner:us-east-1:123456789012:vpcconnector/apron-vpc", "arn:aws:apprunner:us-east-1:123456789012:vpcconnector/apron-vpc/1", scalings + "DefaultConfiguration"} {
		_, err := r.api.DescribeVpcConnector(ctx, &sdk.DescribeVpcConnectorInput{VpcConnectorArn: &arn})
		refused(t, err, "InvalidRequestException", "The VPC connector ARN you specified isn't valid. ARN: '"+arn+"'")
	}
	missing := "arn:aws:apprunner:us-east-1:123456789012:vpcconnector/apron-vpc/1/0123456789abcdef0123456789abcdef"
	_, err = r.disconnect(&missing)
	refused(t, err, "ResourceNotFoundException", "The VPC connector you specified doesn't exist. ARN: '"+missing+"'")

	for n := 2; n <= 10; n++ {
		_, err := r.connect(fmt.Sprint("vpc-", n), n)
		require.NoError(t, err)
	}
	_, err = r.connect("vpc-11", 11)
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of VPC connectors (10) for this account in this Region has been reached.")
	var found int
	pages := sdk.NewListVpcConnectorsPaginator(r.api, &sdk.ListVpcConnectorsInput{MaxResults: aws.Int32(4)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.VpcConnectors), 4)
		found += len(page.VpcConnectors)
	}
	require.Equal(t, 10, found)
}

// egress sends a service's traffic through a connector.
func egress(arn *string) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeVpc, VpcConnectorArn: arn}}
}

func TestVpcConnector_isKeptWhileUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	made, err := r.connect("apron-vpc", 1)
	require.NoError(t, err)
	const partial = "arn:aws:apprunner:us-east-1:123456789012:vpcconnector/apron-vpc/1"
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1"), NetworkConfiguration: egress(aws.String(partial))}
	_, err = r.api.CreateService(ctx, in)
	refused(t, err, "InvalidRequestException", "The VPC connector ARN you specified isn't valid. ARN: '"+partial+"'")
	in.NetworkConfiguration = &types.NetworkConfiguration{EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeDefault, VpcConnectorArn: made.VpcConnectorArn}}
	_, err = r.api.CreateService(ctx, in)
	refused(t, err, "InvalidRequestException", "VpcConnectorArn can be specified only when EgressType is VPC.")

	s := r.create(func(in *sdk.CreateServiceInput) { in.NetworkConfiguration = egress(made.VpcConnectorArn) })
	require.Equal(t, egress(made.VpcConnectorArn).EgressConfiguration, s.NetworkConfiguration.EgressConfiguration)
	require.True(t, s.NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible, "the other members have their defaults")
	_, err = r.disconnect(made.VpcConnectorArn)
	refused(t, err, "InvalidRequestException", "Provided VPC connector arn is being used by other services. ARN: "+*made.VpcConnectorArn)

	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: &types.NetworkConfiguration{IpAddressType: types.IpAddressTypeDualStack}})
	s = r.describe(s.ServiceArn)
	require.Equal(t, *made.VpcConnectorArn, *s.NetworkConfiguration.EgressConfiguration.VpcConnectorArn, "left out is kept")
	require.Equal(t, types.IpAddressTypeDualStack, s.NetworkConfiguration.IpAddressType)

	back := &types.NetworkConfiguration{EgressConfiguration: &types.EgressConfiguration{EgressType: types.EgressTypeDefault}}
	op := r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: back, SourceConfiguration: mode("web:v1", "exit3")})
	require.Equal(t, types.OperationStatusRollbackSucceeded, op.Status)
	_, err = r.disconnect(made.VpcConnectorArn)
	require.ErrorContains(t, err, "is being used", "a rollback uses it again")
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: back})
	require.Nil(t, r.describe(s.ServiceArn).NetworkConfiguration.EgressConfiguration.VpcConnectorArn)
	_, err = r.disconnect(made.VpcConnectorArn)
	require.NoError(t, err)
	_, err = r.api.UpdateService(ctx, &sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: egress(made.VpcConnectorArn)})
	refused(t, err, "InvalidRequestException", "The VPC connector ARN you specified isn't valid. ARN: '"+*made.VpcConnectorArn+"'")
}
