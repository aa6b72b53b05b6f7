package apprunner

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// The patterns of AWS's model, which its errors quote.
var (
	serviceName   = whole(`[A-Za-z0-9][A-Za-z0-9-_]{3,39}`)
	scalingName   = whole(`[A-Za-z0-9][A-Za-z0-9\-_]{3,31}`) // and those of observability configurations and connections
	connectorName = whole(`[A-Za-z0-9][A-Za-z0-9\-_]{3,39}`) // and those of VPC ingress connections
	domainName    = whole(`[A-Za-z0-9*.-]{1,255}`)
	cpuSize       = whole(`256|512|1024|2048|4096|(0.25|0.5|1|2|4) vCPU`)
	memorySize    = whole(`512|1024|2048|3072|4096|6144|8192|10240|12288|(0.5|1|2|3|4|6|8|10|12) GB`)
	roleARN       = whole(`arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):iam::[0-9]{12}:(role|role\/service-role)\/[\w+=,.@\-/]{1,1000}`)
	resourceARN   = whole(`arn:aws(-[\w]+)*:[a-z0-9-\.]{0,63}:[a-z0-9-\.]{0,63}:[0-9]{12}:(\w|\/|-){1,1011}`)
	kmsKeyARN     = whole(`arn:aws(-[\w]+)*:kms:[a-z\-]+-[0-9]{1}:[0-9]{12}:key\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	command       = whole(`[^\x0a\x0d]+`)
	imageName     = whole(`([0-9]{12}.dkr.ecr.[a-z\-]+-[0-9]{1}.amazonaws.com\/((?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)(:([\w\d+\-=._:\/@])+|@([\w\d\:]+))?)|(^public\.ecr\.aws\/.+\/((?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)(:([\w\d+\-=._:\/@])+|@([\w\d\:]+))?)`)
)

// maxString is the length of a string about which the model says no more.
const maxString = 51200

// shape is an expression that a whole value must match.
type shape struct {
	text string
	re   func() *regexp.Regexp
}

// whole makes one. Go repeats no more than 1000 times, so the longest count is open.
func whole(text string) shape {
	return shape{text, pattern.Lazy(`^(?:` + strings.ReplaceAll(text, "{1,1011}", "+") + `)$`)}
}

// checks are AWS's schema checks. App Runner reports them as InvalidRequestException,
// and tells an empty string from an absent one.
type checks struct{ wire.Checks }

func (c *checks) match(path string, v *string, p shape) {
	if v != nil && !p.re().MatchString(*v) {
		c.Fail(path, *v, "Member must satisfy regular expression pattern: "+p.text)
	}
}

// arn checks a required resource ARN.
func (c *checks) arn(path string, v *string) {
	c.Present(path, v != nil)
	c.optionalARN(path, v)
}

func (c *checks) optionalARN(path string, v *string) {
	c.LengthOf(path, v, 1, 1011)
	c.match(path, v, resourceARN)
}

// name checks a required name. AWS's validation names each constraint that is broken.
func (c *checks) name(path string, v *string, p shape, most int) {
	c.Present(path, v != nil)
	c.optionalName(path, v, p, most)
}

func (c *checks) optionalName(path string, v *string, p shape, most int) {
	c.LengthOf(path, v, 4, most)
	c.match(path, v, p)
}

// page checks how many results are asked for, and the token.
func (c *checks) page(in pageInput, most int) {
	c.LengthOf("nextToken", in.NextToken, 1, 1024)
	c.Range("maxResults", in.MaxResults, 1, most)
}

// anyPage is page for the calls whose token may be any string.
func (c *checks) anyPage(in pageInput, most int) {
	c.LengthOf("nextToken", in.NextToken, 0, maxString)
	c.Range("maxResults", in.MaxResults, 1, most)
}

func (c *checks) err() error { return c.Err(invalidRequest) }

// config checks the members that a create and an update share. ScalingArn has texts of
// its own, elsewhere.
func (c *checks) config(in config) {
	if i := in.InstanceConfiguration; i != nil {
		c.match("instanceConfiguration.memory", i.Memory, memorySize)
		c.match("instanceConfiguration.cpu", i.Cpu, cpuSize)
		c.LengthOf("instanceConfiguration.instanceRoleArn", i.InstanceRoleArn, 29, 1024)
		c.match("instanceConfiguration.instanceRoleArn", i.InstanceRoleArn, roleARN)
	}
	if h := in.HealthCheckConfiguration; h != nil {
		const at = "healthCheckConfiguration."
		c.EnumOf(at+"protocol", h.Protocol, "TCP", "HTTP")
		c.LengthOf(at+"path", h.Path, 1, maxString)
		c.Range(at+"interval", h.Interval, 1, 20)
		c.Range(at+"timeout", h.Timeout, 1, 20)
		c.Range(at+"healthyThreshold", h.HealthyThreshold, 1, 20)
		c.Range(at+"unhealthyThreshold", h.UnhealthyThreshold, 1, 20)
	}
	if n := in.NetworkConfiguration; n != nil {
		c.EnumOf("networkConfiguration.ipAddressType", n.IpAddressType, "IPV4", "DUAL_STACK")
		if e := n.EgressConfiguration; e != nil {
			c.EnumOf("networkConfiguration.egressConfiguration.egressType", e.EgressType, "DEFAULT", vpcEgress)
			c.optionalARN("networkConfiguration.egressConfiguration.vpcConnectorArn", e.VpcConnectorArn)
		}
	}
	if o := in.ObservabilityConfiguration; o != nil {
		c.optionalARN("observabilityConfiguration.observabilityConfigurationArn", o.ObservabilityConfigurationArn)
	}
	if s := in.SourceConfiguration; s != nil {
		c.source(s)
	}
}

func (c *checks) source(s *sourceShape) {
	const at = "sourceConfiguration."
	if auth := s.AuthenticationConfiguration; auth != nil {
		c.LengthOf(at+"authenticationConfiguration.accessRoleArn", auth.AccessRoleArn, 29, 1024)
		c.match(at+"authenticationConfiguration.accessRoleArn", auth.AccessRoleArn, roleARN)
		c.optionalARN(at+"authenticationConfiguration.connectionArn", auth.ConnectionArn)
	}
	if s.CodeRepository != nil {
		c.code(s.CodeRepository)
	}
	image := s.ImageRepository
	if image == nil {
		return
	}
	c.LengthOf(at+"imageRepository.imageIdentifier", image.ImageIdentifier, 1, 1024)
	c.match(at+"imageRepository.imageIdentifier", image.ImageIdentifier, imageName)
	c.EnumOf(at+"imageRepository.imageRepositoryType", image.ImageRepositoryType, private, public)
	if image.ImageConfiguration != nil {
		c.settings(at+"imageRepository.imageConfiguration.", image.ImageConfiguration)
	}
}

// settings checks what an application gets: its port, command and environment.
func (c *checks) settings(in string, settings *imageConfigShape) {
	if p := settings.Port; p != nil {
		if n, err := strconv.Atoi(*p); err != nil || n < 1 || n > 65535 {
			c.Fail(in+"port", *p, "Member must be a port from 1 to 65535")
		}
	}
	c.command(in+"startCommand", settings.StartCommand)
	// The values below may be confidential, so they are not repeated.
	for _, key := range slices.Sorted(maps.Keys(settings.RuntimeEnvironmentVariables)) {
		c.LengthOf(in+"runtimeEnvironmentVariables.key", &key, 1, maxString)
		if v := settings.RuntimeEnvironmentVariables[key]; len(v) > maxString {
			c.FailSecret(in+"runtimeEnvironmentVariables."+key, "Member must have length less than or equal to "+strconv.Itoa(maxString))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(settings.RuntimeEnvironmentSecrets)) {
		ref := settings.RuntimeEnvironmentSecrets[key]
		c.LengthOf(in+"runtimeEnvironmentSecrets.key", &key, 1, 2048)
		c.LengthOf(in+"runtimeEnvironmentSecrets."+key, &ref, 1, 2048)
	}
}

// command checks a command, which may be confidential.
func (c *checks) command(path string, v *string) {
	if v != nil && !command.re().MatchString(*v) {
		c.FailSecret(path, "Member must satisfy regular expression pattern: "+command.text)
	}
}

// tags checks a list of tags by itself.
func (c *checks) tags(tags []tagShape) {
	c.Count("tags", len(tags), 0, maxTags)
	for _, t := range tags {
		c.Present("tags.member.key", t.Key != nil)
		c.tagKey("tags.member.key", t.Key)
		c.LengthOf("tags.member.value", t.Value, 0, 256)
	}
}

// tagKey checks a key; those of AWS's own are not for others to write.
func (c *checks) tagKey(path string, key *string) {
	c.LengthOf(path, key, 1, 128)
	if key != nil && (*key == "" || strings.HasPrefix(*key, "aws:")) {
		c.Fail(path, *key, "Member must satisfy regular expression pattern: ^(?!aws:).+")
	}
}
