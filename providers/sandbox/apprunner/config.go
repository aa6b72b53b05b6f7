package apprunner

import (
	"fmt"
	"slices"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// repository takes a private image identifier apart: account, region, repository, and
// its tag or digest.
var repository = pattern.Lazy(`^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^:@]+)(?::([^@]+))?(?:@(.+))?$`)

const (
	private = "ECR"
	public  = "ECR_PUBLIC"
)

// sizes are the instances that App Runner offers: memory in MiB by CPU units.
// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html#architecture.vcpu-memory
var sizes = map[string][]string{
	"256":  {"512", "1024"},
	"512":  {"1024"},
	"1024": {"2048", "3072", "4096"},
	"2048": {"4096", "6144"},
	"4096": {"8192", "10240", "12288"},
}

// units turns what people write into what App Runner answers: plain CPU units and MiB.
var units = map[string]string{
	"0.25 vCPU": "256", "0.5 vCPU": "512", "1 vCPU": "1024", "2 vCPU": "2048", "4 vCPU": "4096",
	"0.5 GB": "512", "1 GB": "1024", "2 GB": "2048", "3 GB": "3072", "4 GB": "4096", "6 GB": "6144",
	"8 GB": "8192", "10 GB": "10240", "12 GB": "12288",
}

// defaults is the configuration of a service about which nothing was said.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
func defaults() config {
	return config{
		SourceConfiguration: &sourceShape{ImageRepository: &imageShape{
			ImageConfiguration: &imageConfigShape{Port: new("8080")},
		}},
		InstanceConfiguration: &instanceShape{Cpu: new("1024"), Memory: new("2048")},
		HealthCheckConfiguration: &healthShape{
			Protocol: new("TCP"), Path: new("/"), Interval: new(5), Timeout: new(2),
			HealthyThreshold: new(1), UnhealthyThreshold: new(5),
		},
		NetworkConfiguration: &networkShape{
			EgressConfiguration:  &egressShape{EgressType: new("DEFAULT")},
			IngressConfiguration: &ingressShape{IsPubliclyAccessible: true},
			IpAddressType:        new("IPV4"),
		},
		ObservabilityConfiguration: &observabilityShape{},
	}
}

// with returns c changed by what an update sent: members merge, at every level; a map
// that was sent replaces the map, and an empty one clears it.
func (c config) with(in config) config {
	return config{
		SourceConfiguration:         mergeSource(c.SourceConfiguration, in.SourceConfiguration),
		InstanceConfiguration:       merge(c.InstanceConfiguration, in.InstanceConfiguration, mergeInstance),
		HealthCheckConfiguration:    merge(c.HealthCheckConfiguration, in.HealthCheckConfiguration, mergeHealth),
		NetworkConfiguration:        merge(c.NetworkConfiguration, in.NetworkConfiguration, mergeNetwork),
		ObservabilityConfiguration:  either(in.ObservabilityConfiguration, c.ObservabilityConfiguration),
		AutoScalingConfigurationArn: either(in.AutoScalingConfigurationArn, c.AutoScalingConfigurationArn),
	}
}

// either returns what was sent, else what was there.
func either[T any](sent, old *T) *T {
	if sent != nil {
		return sent
	}
	return old
}

// merge returns a changed copy of old.
func merge[T any](old, sent *T, into func(out *T, sent T)) *T {
	if sent == nil {
		return old
	}
	out := *old
	into(&out, *sent)
	return &out
}

func mergeSource(old, sent *sourceShape) *sourceShape {
	return merge(old, sent, func(out *sourceShape, sent sourceShape) {
		out.AutoDeploymentsEnabled = either(sent.AutoDeploymentsEnabled, out.AutoDeploymentsEnabled)
		out.AuthenticationConfiguration = either(sent.AuthenticationConfiguration, out.AuthenticationConfiguration)
		out.ImageRepository = merge(out.ImageRepository, sent.ImageRepository, func(out *imageShape, sent imageShape) {
			out.ImageIdentifier = either(sent.ImageIdentifier, out.ImageIdentifier)
			out.ImageRepositoryType = either(sent.ImageRepositoryType, out.ImageRepositoryType)
			out.ImageConfiguration = merge(out.ImageConfiguration, sent.ImageConfiguration, mergeImage)
		})
	})
}

func mergeImage(out *imageConfigShape, sent imageConfigShape) {
	out.Port = either(sent.Port, out.Port)
	out.StartCommand = either(sent.StartCommand, out.StartCommand)
	if sent.RuntimeEnvironmentVariables != nil {
		out.RuntimeEnvironmentVariables = sent.RuntimeEnvironmentVariables
	}
	if sent.RuntimeEnvironmentSecrets != nil {
		out.RuntimeEnvironmentSecrets = sent.RuntimeEnvironmentSecrets
	}
}

func mergeInstance(out *instanceShape, sent instanceShape) {
	out.Cpu = plain(either(sent.Cpu, out.Cpu))
	out.Memory = plain(either(sent.Memory, out.Memory))
	out.InstanceRoleArn = either(sent.InstanceRoleArn, out.InstanceRoleArn)
}

// plain writes a size in the unit that App Runner answers with.
func plain(size *string) *string {
	if unit, ok := units[*size]; ok {
		return &unit
	}
	return size
}

func mergeHealth(out *healthShape, sent healthShape) {
	out.Protocol = either(sent.Protocol, out.Protocol)
	out.Path = either(sent.Path, out.Path)
	out.Interval = either(sent.Interval, out.Interval)
	out.Timeout = either(sent.Timeout, out.Timeout)
	out.HealthyThreshold = either(sent.HealthyThreshold, out.HealthyThreshold)
	out.UnhealthyThreshold = either(sent.UnhealthyThreshold, out.UnhealthyThreshold)
}

func mergeNetwork(out *networkShape, sent networkShape) {
	out.EgressConfiguration = either(sent.EgressConfiguration, out.EgressConfiguration)
	out.IngressConfiguration = either(sent.IngressConfiguration, out.IngressConfiguration)
	out.IpAddressType = either(sent.IpAddressType, out.IpAddressType)
}

// image and its settings, which every stored configuration has.
func (c config) image() *imageShape          { return c.SourceConfiguration.ImageRepository }
func (c config) settings() *imageConfigShape { return c.image().ImageConfiguration }

// accessRole and instanceRole are "" if there is none.
func (c config) accessRole() string {
	if auth := c.SourceConfiguration.AuthenticationConfiguration; auth != nil {
		return value(auth.AccessRoleArn)
	}
	return ""
}
func (c config) instanceRole() string { return value(c.InstanceConfiguration.InstanceRoleArn) }

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// consider checks what a whole configuration must obey, beyond its schema, and fills in
// whether deployments are automatic.
func (s *Service) consider(c *config) error {
	cpu, memory := *c.InstanceConfiguration.Cpu, *c.InstanceConfiguration.Memory
	if !slices.Contains(sizes[cpu], memory) {
		return wire.Errorf(invalidRequest, "Invalid combination of Cpu and Memory: Cpu %s doesn't support Memory %s. Supported Memory: %v.", cpu, memory, sizes[cpu])
	}
	settings := c.settings()
	_, variable := settings.RuntimeEnvironmentVariables["PORT"]
	_, secret := settings.RuntimeEnvironmentSecrets["PORT"]
	if variable || secret {
		return wire.Errorf(invalidRequest, "PORT is a reserved environment variable. Use the Port of the image configuration instead.")
	}
	if len(settings.RuntimeEnvironmentSecrets) > 0 && c.instanceRole() == "" {
		return wire.Errorf(invalidRequest, "Instance Role have to be provided if passing in RuntimeEnvironmentSecrets.")
	}
	return s.considerImage(c)
}

// considerImage checks the source: what may be pulled, with what role, and when.
func (s *Service) considerImage(c *config) error {
	image, source := c.image(), c.SourceConfiguration
	parts := repository().FindStringSubmatch(*image.ImageIdentifier)
	if (parts != nil) != (*image.ImageRepositoryType == private) {
		return wire.Errorf(invalidRequest, "ImageIdentifier %s isn't an image of the repository type %s.", *image.ImageIdentifier, *image.ImageRepositoryType)
	}
	if (c.accessRole() != "") != (parts != nil) {
		return wire.Errorf(invalidRequest, "Authentication configuration is invalid.")
	}
	own := parts != nil && parts[1] == s.o.Account
	switch auto := source.AutoDeploymentsEnabled; {
	case auto == nil:
		filled := *source
		filled.AutoDeploymentsEnabled = &own
		c.SourceConfiguration = &filled
	case *auto && parts == nil:
		return wire.Errorf(invalidRequest, "App Runner doesn't support automatic deployments for an image in an ECR Public repository.")
	case *auto && !own:
		return wire.Errorf(invalidRequest, "App Runner doesn't support automatic deployments for an image in an ECR repository that belongs to a different AWS account.")
	}
	return nil
}

// The principals that assume a service's two roles.
// https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html
const (
	buildPrincipal = "build.apprunner.amazonaws.com"
	tasksPrincipal = "tasks.apprunner.amazonaws.com"
)

// assume checks that App Runner may assume both roles, on every create and update.
func (s *Service) assume(c config) error {
	for _, role := range []struct{ name, arn, principal string }{
		{"access", c.accessRole(), buildPrincipal},
		{"instance", c.instanceRole(), tasksPrincipal},
	} {
		if role.arn != "" && s.assumeOne(role.arn, role.principal) != nil {
			return wire.Errorf(invalidRequest, "Error in assuming %s role %s", role.name, role.arn)
		}
	}
	return nil
}

func (s *Service) assumeOne(arn, principal string) error {
	if err := s.o.Faults.role(); err != nil {
		return err
	}
	if err := s.o.Roles.Assume(arn, principal); err != nil {
		return fmt.Errorf("%s: %w", principal, err)
	}
	return nil
}
