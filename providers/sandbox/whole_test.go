package sandbox_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner"
	artypes "github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	r53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// greeter is an engine whose instances answer with the greeting that their image is
// labelled with.
type greeter struct{ idleEngine }

func (greeter) Start(_ context.Context, s runner.Spec) (runner.Instance, error) {
	config, err := s.Image.ConfigFile()
	if err != nil {
		return nil, err
	}
	i := &greeting{done: make(chan struct{})}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(config.Config.Labels["greeting"]))
	}))
	return i, nil
}

type greeting struct {
	server *httptest.Server
	done   chan struct{}
}

func (i *greeting) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", i.server.Listener.Addr().String())
}
func (i *greeting) Done() <-chan struct{}            { return i.done }
func (i *greeting) Exit() runner.Exit                { return runner.Exit{} }
func (i *greeting) Stats() (s runner.Stats, _ error) { return s, nil }
func (i *greeting) Stop(context.Context, time.Duration) error {
	i.server.CloseClientConnections()
	i.server.Close()
	close(i.done)
	return nil
}

// push puts an image that greets under a tag, as docker would.
func push(t testing.TB, s *sandbox.Server, tag, greets string) {
	t.Helper()
	info := s.Info()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{Labels: map[string]string{"greeting": greets}}})
	require.NoError(t, err)
	token, err := ecr.NewFromConfig(config(s)).GetAuthorizationToken(t.Context(), &ecr.GetAuthorizationTokenInput{})
	require.NoError(t, err)
	ref, err := name.ParseReference(strings.TrimPrefix(info.Endpoint(), "http://")+"/"+tag, name.Insecure)
	require.NoError(t, err)
	auth := authn.FromConfig(authn.AuthConfig{Auth: *token.AuthorizationData[0].AuthorizationToken})
	require.NoError(t, remote.Write(ref, img, remote.WithAuth(auth), remote.WithContext(t.Context())))
}

// deploy makes a running service of the image web:latest.
func deploy(t testing.TB, s *sandbox.Server) (*apprunner.Client, *artypes.Service) {
	t.Helper()
	ctx := t.Context()
	_, err := ecr.NewFromConfig(config(s)).CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("web")})
	require.NoError(t, err)
	push(t, s, "web:latest", "hello")
	roles := iam.NewFromConfig(config(s))
	role, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("access"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"build.apprunner.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	require.NoError(t, err)
	_, err = roles.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("access"), PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess")})
	require.NoError(t, err)
	services := apprunner.NewFromConfig(config(s))
	made, err := services.CreateService(ctx, &apprunner.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: &artypes.SourceConfiguration{
		AuthenticationConfiguration: &artypes.AuthenticationConfiguration{AccessRoleArn: role.Role.Arn},
		ImageRepository: &artypes.ImageRepository{
			ImageIdentifier: aws.String(account + ".dkr.ecr." + region + ".amazonaws.com/web"), ImageRepositoryType: artypes.ImageRepositoryTypeEcr,
		},
	}})
	require.NoError(t, err)
	require.True(t, *made.Service.SourceConfiguration.AutoDeploymentsEnabled, "the default for a private repository of the account")
	eventually(t, func() bool {
		got, err := services.DescribeService(ctx, &apprunner.DescribeServiceInput{ServiceArn: made.Service.ServiceArn})
		require.NoError(t, err)
		require.NotEqual(t, artypes.ServiceStatusCreateFailed, got.Service.Status)
		return got.Service.Status == artypes.ServiceStatusRunning
	})
	return services, made.Service
}

func eventually(t testing.TB, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 10*time.Second, 5*time.Millisecond)
}

func TestServer_deploysWhatIsPushed(t *testing.T) {
	s := serve(t, func(o *sandbox.Options) { o.Speed, o.Runner = 1000, greeter{} })
	services, service := deploy(t, s)
	_, body := send(t, http.MethodGet, s.Endpoint()+"/", "shop.localhost", nil)
	require.Equal(t, "hello", body)
	push(t, s, "web:other", "not followed")
	push(t, s, "web:latest", "welcome")
	eventually(t, func() bool {
		_, body := send(t, http.MethodGet, s.Endpoint()+"/", "shop.localhost", nil)
		return body == "welcome"
	})
	operations, err := services.ListOperations(t.Context(), &apprunner.ListOperationsInput{ServiceArn: service.ServiceArn})
	require.NoError(t, err)
	require.Len(t, operations.OperationSummaryList, 2)
	require.Equal(t, artypes.OperationTypeStartDeployment, operations.OperationSummaryList[0].Type)
}

// A custom domain is proved by the hosted zones, or by a name server that is not the
// sandbox's own. Once it is active, it serves.
func TestServer_servesCustomDomains(t *testing.T) {
	s := serve(t, func(o *sandbox.Options) { o.Speed, o.Runner = 1000, greeter{} })
	services, service := deploy(t, s)
	// Another sandbox's zones stand for a name server in the world.
	elsewhere := serve(t, func(o *sandbox.Options) { o.Speed = 1000 })
	for domain, at := range map[string]*sandbox.Server{"shop.example.com": s, "shop.example.org": elsewhere} {
		status, _ := send(t, http.MethodGet, s.Endpoint()+"/", domain, nil)
		require.Equal(t, http.StatusForbidden, status)
		_, err := services.AssociateCustomDomain(t.Context(), &apprunner.AssociateCustomDomainInput{ServiceArn: service.ServiceArn, DomainName: &domain})
		require.NoError(t, err)
		find := func() (found artypes.CustomDomain) {
			got, err := services.DescribeCustomDomains(t.Context(), &apprunner.DescribeCustomDomainsInput{ServiceArn: service.ServiceArn})
			require.NoError(t, err)
			for _, d := range got.CustomDomains {
				if *d.DomainName == domain {
					found = d
				}
			}
			return found
		}
		eventually(t, func() bool { return find().Status == "pending_certificate_dns_validation" })
		zones := route53.NewFromConfig(config(at))
		zone, err := zones.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(strings.TrimPrefix(domain, "shop.")), CallerReference: &domain})
		require.NoError(t, err)
		var changes []r53types.Change
		for _, r := range find().CertificateValidationRecords {
			changes = append(changes, r53types.Change{Action: r53types.ChangeActionUpsert, ResourceRecordSet: &r53types.ResourceRecordSet{
				Name: r.Name, Type: r53types.RRTypeCname, TTL: aws.Int64(300), ResourceRecords: []r53types.ResourceRecord{{Value: r.Value}},
			}})
		}
		_, err = zones.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: zone.HostedZone.Id, ChangeBatch: &r53types.ChangeBatch{Changes: changes}})
		require.NoError(t, err)
		if at == elsewhere {
			require.Equal(t, http.StatusForbidden, resolve(t, s, "not the token", elsewhere.Info().Resolver()))
			require.Equal(t, http.StatusBadRequest, resolve(t, s, s.Info().Token, "127.0.0.1"))
			require.Equal(t, http.StatusNoContent, resolve(t, s, s.Info().Token, elsewhere.Info().Resolver()))
		}
		eventually(t, func() bool { return find().Status == "active" })
		status, body := send(t, http.MethodGet, s.Endpoint()+"/", "www."+domain+":443", nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "hello", body)
	}
}

// resolve names the sandbox a name server, and returns the status of its answer.
func resolve(t *testing.T, s *sandbox.Server, token, server string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint()+"/_apron/resolver", strings.NewReader(server))
	require.NoError(t, err)
	r.Header.Set("X-Apron-Token", token)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
