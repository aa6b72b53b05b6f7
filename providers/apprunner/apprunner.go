// Package apprunner observes and changes App Runner services and what they refer to,
// follows the operations that it starts to their end, and tells why one failed.
//
//	apprunner/service/NAME             the service
//	apprunner/scaling/NAME             a scaling configuration, named by its content and shared
//	apprunner/vpc-connector/NAME       the way out through a VPC, likewise
//	apprunner/observability/NAME       where traces go, likewise
//	apprunner/vpc-ingress/NAME         the way in from a VPC, named like its service
//	apprunner/domain/NAME              the association of a service with a domain name
//	apprunner/domain-validation/NAME   that it is active: making it is waiting for that
//
// Anatomy: the desired files say what a manifest asks, the read files what is live, and
// write.go, scaling.go, beside.go, ingress.go and domain.go change it; wait.go follows
// operations, settle.go compares what is live afterwards, cause.go and evidence.go explain
// failures, verify.go asks the real URL, and only the convert files name SDK types and
// fields together.
package apprunner

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/orphan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	target        = "apprunner"
	kindService   = "service"
	kindScaling   = "scaling"
	kindConnector = "vpc-connector"
	kindTracing   = "observability"
	kindIngress   = "vpc-ingress"
	kindDomain    = "domain"
	kindActive    = "domain-validation"

	tagService = "apron:service" // whose a resource is
	tagManaged = "apron:managed" // any manifest may share it
	tagOrigin  = orphan.Tag      // where the manifest is
)

// api is the part of the SDK's client that this package calls.
type api interface {
	AssociateCustomDomain(context.Context, *sdk.AssociateCustomDomainInput, ...func(*sdk.Options)) (*sdk.AssociateCustomDomainOutput, error)
	CreateAutoScalingConfiguration(context.Context, *sdk.CreateAutoScalingConfigurationInput, ...func(*sdk.Options)) (*sdk.CreateAutoScalingConfigurationOutput, error)
	CreateObservabilityConfiguration(context.Context, *sdk.CreateObservabilityConfigurationInput, ...func(*sdk.Options)) (*sdk.CreateObservabilityConfigurationOutput, error)
	CreateService(context.Context, *sdk.CreateServiceInput, ...func(*sdk.Options)) (*sdk.CreateServiceOutput, error)
	CreateVpcConnector(context.Context, *sdk.CreateVpcConnectorInput, ...func(*sdk.Options)) (*sdk.CreateVpcConnectorOutput, error)
	CreateVpcIngressConnection(context.Context, *sdk.CreateVpcIngressConnectionInput, ...func(*sdk.Options)) (*sdk.CreateVpcIngressConnectionOutput, error)
	DeleteAutoScalingConfiguration(context.Context, *sdk.DeleteAutoScalingConfigurationInput, ...func(*sdk.Options)) (*sdk.DeleteAutoScalingConfigurationOutput, error)
	DeleteObservabilityConfiguration(context.Context, *sdk.DeleteObservabilityConfigurationInput, ...func(*sdk.Options)) (*sdk.DeleteObservabilityConfigurationOutput, error)
	DeleteService(context.Context, *sdk.DeleteServiceInput, ...func(*sdk.Options)) (*sdk.DeleteServiceOutput, error)
	DeleteVpcConnector(context.Context, *sdk.DeleteVpcConnectorInput, ...func(*sdk.Options)) (*sdk.DeleteVpcConnectorOutput, error)
	DeleteVpcIngressConnection(context.Context, *sdk.DeleteVpcIngressConnectionInput, ...func(*sdk.Options)) (*sdk.DeleteVpcIngressConnectionOutput, error)
	DescribeAutoScalingConfiguration(context.Context, *sdk.DescribeAutoScalingConfigurationInput, ...func(*sdk.Options)) (*sdk.DescribeAutoScalingConfigurationOutput, error)
	DescribeCustomDomains(context.Context, *sdk.DescribeCustomDomainsInput, ...func(*sdk.Options)) (*sdk.DescribeCustomDomainsOutput, error)
	DescribeObservabilityConfiguration(context.Context, *sdk.DescribeObservabilityConfigurationInput, ...func(*sdk.Options)) (*sdk.DescribeObservabilityConfigurationOutput, error)
	DescribeService(context.Context, *sdk.DescribeServiceInput, ...func(*sdk.Options)) (*sdk.DescribeServiceOutput, error)
	DescribeVpcIngressConnection(context.Context, *sdk.DescribeVpcIngressConnectionInput, ...func(*sdk.Options)) (*sdk.DescribeVpcIngressConnectionOutput, error)
	DisassociateCustomDomain(context.Context, *sdk.DisassociateCustomDomainInput, ...func(*sdk.Options)) (*sdk.DisassociateCustomDomainOutput, error)
	ListAutoScalingConfigurations(context.Context, *sdk.ListAutoScalingConfigurationsInput, ...func(*sdk.Options)) (*sdk.ListAutoScalingConfigurationsOutput, error)
	ListObservabilityConfigurations(context.Context, *sdk.ListObservabilityConfigurationsInput, ...func(*sdk.Options)) (*sdk.ListObservabilityConfigurationsOutput, error)
	ListOperations(context.Context, *sdk.ListOperationsInput, ...func(*sdk.Options)) (*sdk.ListOperationsOutput, error)
	ListServices(context.Context, *sdk.ListServicesInput, ...func(*sdk.Options)) (*sdk.ListServicesOutput, error)
	ListServicesForAutoScalingConfiguration(context.Context, *sdk.ListServicesForAutoScalingConfigurationInput, ...func(*sdk.Options)) (*sdk.ListServicesForAutoScalingConfigurationOutput, error)
	ListTagsForResource(context.Context, *sdk.ListTagsForResourceInput, ...func(*sdk.Options)) (*sdk.ListTagsForResourceOutput, error)
	ListVpcConnectors(context.Context, *sdk.ListVpcConnectorsInput, ...func(*sdk.Options)) (*sdk.ListVpcConnectorsOutput, error)
	ListVpcIngressConnections(context.Context, *sdk.ListVpcIngressConnectionsInput, ...func(*sdk.Options)) (*sdk.ListVpcIngressConnectionsOutput, error)
	PauseService(context.Context, *sdk.PauseServiceInput, ...func(*sdk.Options)) (*sdk.PauseServiceOutput, error)
	ResumeService(context.Context, *sdk.ResumeServiceInput, ...func(*sdk.Options)) (*sdk.ResumeServiceOutput, error)
	StartDeployment(context.Context, *sdk.StartDeploymentInput, ...func(*sdk.Options)) (*sdk.StartDeploymentOutput, error)
	TagResource(context.Context, *sdk.TagResourceInput, ...func(*sdk.Options)) (*sdk.TagResourceOutput, error)
	UpdateService(context.Context, *sdk.UpdateServiceInput, ...func(*sdk.Options)) (*sdk.UpdateServiceOutput, error)
	UpdateVpcIngressConnection(context.Context, *sdk.UpdateVpcIngressConnectionInput, ...func(*sdk.Options)) (*sdk.UpdateVpcIngressConnectionOutput, error)
}

// logsAPI reads what a rollout and the application said.
type logsAPI interface {
	DescribeLogStreams(context.Context, *cloudwatchlogs.DescribeLogStreamsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error)
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

var (
	_ api     = (*sdk.Client)(nil)
	_ logsAPI = (*cloudwatchlogs.Client)(nil)
)

// Options steer a [Provider]; the zero value is for use.
type Options struct {
	// Timeout bounds the wait for one operation: 35 minutes by default. A failing
	// health check takes App Runner eighteen to twenty.
	Timeout time.Duration
	// Poll is the longest pause between two looks at an operation: 5 seconds by default.
	Poll time.Duration
	// Look is the pause between two looks at the logs of an operation: 2 seconds by
	// default, which is two of the five calls a second that CloudWatch Logs allows.
	Look time.Duration
	// Rehearsal says that this is a sandbox: what AWS takes as a rule does not hold.
	Rehearsal bool
	// Learn, if set, makes the secrets of the services known to whoever masks them. It is
	// called before the first line of an application is shown; when it fails, none is.
	Learn func(ctx context.Context) error
	// ProbeFor is how long the real URL may take to answer as asked after a rollout: one
	// minute by default.
	ProbeFor time.Duration
	// Probes are the requests to make of each service, by its name.
	Probes map[string][]state.Probe
	// Gate, if set, must agree before a service gets an image, and says what it waits for.
	Gate func(ctx context.Context, service string, env apply.Env, waiting func(string)) error
	// Recheck looks again at what a rollout of a service needs, after one has failed. Nil
	// looks at nothing.
	Recheck func(ctx context.Context, service string) []state.Check
	// Place says where the manifest of a service has a key, as FILE:LINE, or "". Nil knows no
	// place.
	Place func(service, path string) string
	// SecretLooking says which plain variables of a live service are masked.
	SecretLooking func(name, value string) bool
}

// Provider handles services and scaling configurations.
type Provider struct {
	api    api
	logs   logsAPI
	quotas quotasAPI
	web    *http.Client
	id     awsapi.Identity
	region string
	o      Options

	mu     sync.Mutex
	listed map[string]string // see Listed
}

var _ reconcile.Provider = (*Provider)(nil)

// New returns a provider for one account and Region.
func New(cfg aws.Config, id awsapi.Identity, o Options) *Provider {
	if o.Timeout == 0 {
		o.Timeout = 35 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
	}
	if o.Look == 0 {
		o.Look = 2 * time.Second
	}
	if o.ProbeFor == 0 {
		o.ProbeFor = time.Minute
	}
	return &Provider{api: sdk.NewFromConfig(cfg), quotas: servicequotas.NewFromConfig(cfg), logs: cloudwatchlogs.NewFromConfig(cfg), web: webClient(), id: id, region: cfg.Region, o: o}
}

// Types implements [reconcile.Provider].
func (p *Provider) Types() []string {
	return []string{target + "/" + kindService, target + "/" + kindScaling, target + "/" + kindConnector,
		target + "/" + kindTracing, target + "/" + kindIngress, target + "/" + kindDomain, target + "/" + kindActive}
}

// Service is the address of a service.
func Service(name string) state.Address {
	return state.Address{Target: target, Kind: kindService, Name: name}
}

// Scaling is the address of a scaling configuration.
func Scaling(name string) state.Address {
	return state.Address{Target: target, Kind: kindScaling, Name: name}
}

// Connector is the address of a VPC connector.
func Connector(name string) state.Address {
	return state.Address{Target: target, Kind: kindConnector, Name: name}
}

// Tracing is the address of an observability configuration.
func Tracing(name string) state.Address {
	return state.Address{Target: target, Kind: kindTracing, Name: name}
}

// Ingress is the address of a VPC ingress connection.
func Ingress(name string) state.Address {
	return state.Address{Target: target, Kind: kindIngress, Name: name}
}

// Domain is the address of a domain name.
func Domain(name string) state.Address {
	return state.Address{Target: target, Kind: kindDomain, Name: name}
}

// Active is the address of a domain name's being active.
func Active(name string) state.Address {
	return state.Address{Target: target, Kind: kindActive, Name: name}
}

// Scope is what turns ARNs into addresses and back.
type Scope struct {
	Account   string
	Region    string
	Partition string
}

// Registry is the host of the account's registry.
func (s Scope) Registry() string { return s.registry() }

// registry is the host of the account's registry, as repository URIs spell it.
func (s Scope) registry() string {
	suffix := "amazonaws.com"
	if s.Partition == "aws-cn" {
		suffix = "amazonaws.com.cn"
	}
	return fmt.Sprintf("%s.dkr.ecr.%s.%s", s.Account, s.Region, suffix)
}

// Image is the address of an image by its identifier, if it is in the account's own
// registry and has a tag; else it is zero.
func (s Scope) Image(identifier string) state.Address { return s.image(identifier) }

func (p *Provider) scope() Scope {
	return Scope{Account: p.id.Account, Region: p.region, Partition: p.id.Partition}
}
