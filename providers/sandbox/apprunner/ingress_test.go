package apprunner

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"
)

func ingressOf(private bool) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{IngressConfiguration: &types.IngressConfiguration{IsPubliclyAccessible: !private}}
}

func (r *rig) createPrivate(name string) *types.Service {
	r.t.Helper()
	return r.create(func(in *sdk.CreateServiceInput) { in.ServiceName, in.NetworkConfiguration = &name, ingressOf(true) })
}

func endpoint(id string) *types.IngressVpcConfiguration {
	return &types.IngressVpcConfiguration{VpcId: aws.String("vpc-0a1b2c3d"), VpcEndpointId: &id}
}

func (r *rig) link(name string, service *string) (*types.VpcIngressConnection, error) {
	out, err := r.api.CreateVpcIngressConnection(context.Background(), &sdk.CreateVpcIngressConnectionInput{
		VpcIngressConnectionName: &name, ServiceArn: service, IngressVpcConfiguration: endpoint("vpce-0a1b2c3d"), Tags: tagsOf("k", "v"),
	})
	if err != nil {
		return nil, err
	}
	return out.VpcIngressConnection, nil
}

func (r *rig) relink(arn *string, to string) (*types.VpcIngressConnection, error) {
	out, err := r.api.UpdateVpcIngressConnection(context.Background(), &sdk.UpdateVpcIngressConnectionInput{VpcIngressConnectionArn: arn, IngressVpcConfiguration: endpoint(to)})
	if err != nil {
		return nil, err
	}
	return out.VpcIngressConnection, nil
}

func (r *rig) unlink(arn *string) (*types.VpcIngressConnection, error) {
	out, err := r.api.DeleteVpcIngressConnection(context.Background(), &sdk.DeleteVpcIngressConnectionInput{VpcIngressConnectionArn: arn})
	if err != nil {
		return nil, err
	}
	return out.VpcIngressConnection, nil
}

// linked waits until a connection has a status.
func (r *rig) linked(arn *string, status types.VpcIngressConnectionStatus) (i *types.VpcIngressConnection) {
	r.t.Helper()
	r.eventually(func() bool {
		out, err := r.api.DescribeVpcIngressConnection(context.Background(), &sdk.DescribeVpcIngressConnectionInput{VpcIngressConnectionArn: arn})
		require.NoError(r.t, err)
		i = out.VpcIngressConnection
		return i.Status == status
	})
	return i
}

func TestVpcIngress_isTheWayToAPrivateService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	s := r.createPrivate("shop")
	require.Empty(t, aws.ToString(s.ServiceUrl))
	_, public := r.s.Route("shop.localhost")
	require.False(t, public)

	made, err := r.link("apron-shop", s.ServiceArn)
	require.NoError(t, err)
	require.Regexp(t, `^arn:aws:apprunner:us-east-1:123456789012:vpcingressconnection/apron-shop/[0-9a-f]{32}$`, *made.VpcIngressConnectionArn)
	require.Equal(t, types.VpcIngressConnectionStatusPendingCreation, made.Status, "in upper case, unlike those of connectors")
	require.Equal(t, account, *made.AccountId)
	require.Equal(t, *s.ServiceArn, *made.ServiceArn)
	require.Equal(t, endpoint("vpce-0a1b2c3d"), made.IngressVpcConfiguration)
	require.Regexp(t, `^[0-9a-f]{10}\.vpce-0a1b2c3d\.localhost$`, *made.DomainName)
	tags, err := r.listed(made.VpcIngressConnectionArn)
	require.NoError(t, err)
	require.Equal(t, tagsOf("k", "v"), tags)
	r.close()
	r.open() // whatever was under way goes on
	r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusAvailable)
	r.eventually(func() bool { _, body := r.get(*made.DomainName, "/"); return body == "v1" })
	domains, err := r.api.DescribeCustomDomains(ctx, &sdk.DescribeCustomDomainsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, []types.VpcDNSTarget{{DomainName: made.DomainName, VpcId: aws.String("vpc-0a1b2c3d"), VpcIngressConnectionArn: made.VpcIngressConnectionArn}}, domains.VpcDNSTargets)

	_, err = r.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
	refused(t, err, "InvalidRequestException", "You can't delete the service. It has active VPC ingress connections. To delete it, delete them first. ARN: '"+*made.VpcIngressConnectionArn+"'")

	changed, err := r.relink(made.VpcIngressConnectionArn, "vpce-ffffffff")
	require.NoError(t, err)
	require.Equal(t, types.VpcIngressConnectionStatusPendingUpdate, changed.Status)
	changed = r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusAvailable)
	require.Equal(t, endpoint("vpce-ffffffff"), changed.IngressVpcConfiguration)
	_, body := r.get(*changed.DomainName, "/")
	require.Equal(t, "v1", body)

	gone, err := r.unlink(made.VpcIngressConnectionArn)
	require.NoError(t, err)
	require.Equal(t, types.VpcIngressConnectionStatusPendingDeletion, gone.Status)
	gone = r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusDeleted)
	require.NotNil(t, gone.DeletedAt)
	_, reachable := r.s.Route(*changed.DomainName)
	require.False(t, reachable)
	_, err = r.unlink(made.VpcIngressConnectionArn)
	refused(t, err, "InvalidStateException", "VPC ingress connection cannot be deleted in the current state: DELETED.")
	out, err := r.api.DeleteService(ctx, &sdk.DeleteServiceInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Equal(t, types.OperationStatusSucceeded, r.follow(s.ServiceArn, out.OperationId).Status)
}

func TestVpcIngress_refusesWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Waits.Bind = 1e6 * o.Waits.Bind }) // nothing ends here
	public := r.create(func(in *sdk.CreateServiceInput) { in.ServiceName = aws.String("public") })
	s := r.createPrivate("shop")
	_, err := r.link("link", public.ServiceArn)
	refused(t, err, "InvalidRequestException", "The service "+*public.ServiceArn+" is publicly accessible. A VPC ingress connection needs a service with IsPubliclyAccessible set to false.")
	missing := *s.ServiceArn + "0"
	_, err = r.link("link", &missing)
	refused(t, err, "InvalidRequestException", "Service with the provided ARN doesn't exist: "+missing+".")
	_, err = r.unlink(&missing)
	refused(t, err, "ResourceNotFoundException", "VPC ingress connection with the provided ARN doesn't exist: "+missing+".")
	made, err := r.link("link", s.ServiceArn)
	require.NoError(t, err)
	_, err = r.relink(made.VpcIngressConnectionArn, "vpce-1")
	refused(t, err, "InvalidStateException", "VPC ingress connection cannot be updated in the current state: PENDING_CREATION.")
	_, err = r.unlink(made.VpcIngressConnectionArn)
	refused(t, err, "InvalidStateException", "VPC ingress connection cannot be deleted in the current state: PENDING_CREATION.")
	_, err = r.link("link", s.ServiceArn)
	refused(t, err, "InvalidRequestException", "VPC ingress connection with the provided name already exists: link.")
	_, err = r.link("other", s.ServiceArn)
	refused(t, err, "ServiceQuotaExceededException", "The maximum number of VPC ingress connections (1) for the service "+*s.ServiceArn+" has been reached.")
	for text, v := range map[string]*types.IngressVpcConfiguration{
		"The vpc ID '' does not exist":           {},
		"The Vpc Endpoint Id 'x' does not exist": endpoint("x"),
	} {
		_, err := r.api.CreateVpcIngressConnection(context.Background(), &sdk.CreateVpcIngressConnectionInput{VpcIngressConnectionName: aws.String("more"), ServiceArn: s.ServiceArn, IngressVpcConfiguration: v})
		refused(t, err, "InvalidRequestException", text)
	}
}

// A connection to a service that has become public fails, and can be made to work.
func TestVpcIngress_failsWithItsService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.createPrivate("shop")
	made, err := r.link("link", s.ServiceArn)
	require.NoError(t, err)
	r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusAvailable)
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: ingressOf(false)})
	_, err = r.relink(made.VpcIngressConnectionArn, "vpce-1")
	require.NoError(t, err)
	r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusFailedUpdate)
	r.update(&sdk.UpdateServiceInput{ServiceArn: s.ServiceArn, NetworkConfiguration: ingressOf(true)})
	_, err = r.relink(made.VpcIngressConnectionArn, "vpce-1")
	require.NoError(t, err)
	r.linked(made.VpcIngressConnectionArn, types.VpcIngressConnectionStatusAvailable)
}

func TestVpcIngress_isListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var services, links []string
	for _, name := range []string{"shop-a", "shop-b"} {
		s := r.createPrivate(name)
		made, err := r.link(name, s.ServiceArn)
		require.NoError(t, err)
		services, links = append(services, *s.ServiceArn), append(links, *made.VpcIngressConnectionArn)
	}
	r.linked(&links[1], types.VpcIngressConnectionStatusAvailable)
	_, err := r.relink(&links[1], "vpce-1")
	require.NoError(t, err)
	list := func(f *types.ListVpcIngressConnectionsFilter) (found []string) {
		pages := sdk.NewListVpcIngressConnectionsPaginator(r.api, &sdk.ListVpcIngressConnectionsInput{Filter: f, MaxResults: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(context.Background())
			require.NoError(t, err)
			for _, i := range page.VpcIngressConnectionSummaryList {
				found = append(found, *i.VpcIngressConnectionArn)
			}
		}
		return found
	}
	require.Equal(t, links, list(nil))
	require.Equal(t, links[:1], list(&types.ListVpcIngressConnectionsFilter{ServiceArn: &services[0]}))
	require.Equal(t, links[1:], list(&types.ListVpcIngressConnectionsFilter{VpcEndpointId: aws.String("vpce-1")}))
	require.Empty(t, list(&types.ListVpcIngressConnectionsFilter{ServiceArn: &services[0], VpcEndpointId: aws.String("vpce-1")}))
}
