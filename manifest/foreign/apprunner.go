package foreign

import (
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// appRunner reads a service in the shape of App Runner's API, which Terraform,
// CloudFormation and the CLI share.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CreateService.html
func (s *service) appRunner(r *resource) {
	r.used = true
	b := r.body
	s.name(b.get("ServiceName"), r)
	if s.region != nil {
		s.setRegion()
	}
	image := b.get("SourceConfiguration", "ImageRepository")
	code := b.get("SourceConfiguration", "CodeRepository")
	settings := image.get("ImageConfiguration")
	if image != nil {
		s.image(image)
	}
	if code != nil {
		settings = code.get("CodeConfiguration", "CodeConfigurationValues")
		s.code(code)
	}
	s.set(settings.get("Port"), "port")
	s.set(settings.get("StartCommand"), "command")
	s.environment(settings.get("RuntimeEnvironmentVariables"))
	s.references(settings.get("RuntimeEnvironmentSecrets"))
	s.autoDeploy(b.get("SourceConfiguration"), image)
	s.role(b.get("SourceConfiguration", "AuthenticationConfiguration", "AccessRoleArn"), "access")
	s.look(b.get("SourceConfiguration", "AuthenticationConfiguration", "ConnectionArn"), "is for services from source code: apron deploys images")

	instance := b.get("InstanceConfiguration")
	s.set(instance.get("Cpu"), "cpu")
	s.set(instance.get("Memory"), "memory")
	s.role(instance.get("InstanceRoleArn"), "instance")
	s.health(b.get("HealthCheckConfiguration"))
	s.scaling(b.get("AutoScalingConfigurationArn"))
	s.scaling(b.get("AutoScalingConfigurationSummary"))
	s.network(b.get("NetworkConfiguration"))
	s.tracing(b.get("ObservabilityConfiguration"))
	s.set(b.get("EncryptionConfiguration", "KmsKey"), "apprunner", "kms_key")
	s.tags(b.get("Tags"))
	s.around(r)
	s.leftovers(b)
}

var nameText = pattern.Lazy(`[^A-Za-z0-9_-]+`)

// name sets the service's name, and that of the repository where the two must differ.
func (s *service) name(n *node, r *resource) {
	if n == nil || n.kind == list || n.kind == mapping {
		text := strings.Trim(nameText().ReplaceAllString(r.name[strings.LastIndexByte(r.name, '.')+1:], "-"), "-_")
		for len(text) < 4 {
			text = strings.TrimLeft(text+"-app", "-")
		}
		text = strings.ToLower(text[:min(len(text), 40)])
		s.put(leaf(r.body.at, join(r.body.path, "ServiceName"), text), text, "service")
		s.missing(Look, r.body, "ServiceName", "is not given, so that its tool makes a name: service is a guess")
		return
	}
	s.set(n, "service")
}

// setRegion says where the service is, if that is known.
func (s *service) setRegion() {
	if r, ok := s.region.static(); ok && r != "" {
		s.put(nil, r, "region")
	}
}

var (
	ecrImage = pattern.Lazy(`^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+?)(?::[A-Za-z0-9_.\x00-]+)?(?:@(?:sha256:[0-9a-f]{64}|\x00))?$`)
	account  = &reference{as: "the account's id", name: "AWS_ACCOUNT_ID"}
	where    = &reference{as: "the Region", name: "AWS_REGION"}
)

// image takes an image that exists already: what the source deploys.
func (s *service) image(n *node) {
	id := n.get("ImageIdentifier")
	if id == nil || id.kind == list || id.kind == mapping {
		return
	}
	id.text = s.located(id.text)
	s.existing(id)
	if t := n.get("ImageRepositoryType"); t.is("ECR") || t.is("ECR_PUBLIC") {
		s.other(t, "follows from image.from")
	}
}

// autoDeploy says what App Runner does where nothing is said: it is on for an image in ECR
// of the service's own account, and apron turns off what a manifest leaves out.
// https://docs.aws.amazon.com/apprunner/latest/api/API_SourceConfiguration.html
func (s *service) autoDeploy(source, image *node) {
	given := source.get("AutoDeploymentsEnabled")
	if s.set(given, "auto_deploy") || given != nil && given.tag != "!!null" || !image.get("ImageRepositoryType").is("ECR") {
		return
	}
	own, known := s.entry("account").Value.(string)
	if id := image.get("ImageIdentifier"); known && id != nil && len(id.text) > 0 {
		if of, _, ok := strings.Cut(id.text[0].literal, ".dkr.ecr."); ok && of != own {
			return // the default is off
		}
	}
	key := "AutoDeploymentsEnabled"
	if s.format == "Terraform" {
		key = "auto_deployments_enabled"
	}
	s.put(source, true, "auto_deploy")
	s.missing(Other, source, key, "is not given: App Runner's default is to deploy each image that is pushed, if it is of the service's own account: auto_deploy: true says so")
}

// existing takes an image that the service runs from where it is. What apron keeps of a
// repository of its own is a suggestion beside that.
func (s *service) existing(n *node) {
	if !s.set(n, "image", "from") {
		return
	}
	s.put(n, false, "image", "copy")
	s.suggest(manifest.Draft{{Key: "context", Value: "."}}, "instead of from and copy, to have apron build it", "image", "build")
	known := n.text.with(func(r *reference) string {
		switch r.name {
		case "AWS_ACCOUNT_ID":
			return "123456789012"
		case "AWS_REGION":
			return s.here()
		}
		return "\x00"
	})
	if m := ecrImage().FindStringSubmatch(known); m != nil {
		s.suggest(m[2], "with that build", "image", "repository")
	}
}

// located replaces an ECR repository that the source declares by its address.
func (s *service) located(t text) text {
	var out text
	for _, p := range t {
		if p.ref == nil || p.ref.to == nil || p.ref.to.kind != "AWS::ECR::Repository" {
			out = append(out, p)
			continue
		}
		name := p.ref.to.body.get("RepositoryName")
		if name == nil {
			name = p.ref.to.body.get("Name")
		}
		if !name.nameable() {
			out = append(out, p)
			continue
		}
		switch {
		case sameKey(p.ref.attr, "RepositoryUrl") || sameKey(p.ref.attr, "RepositoryUri"):
			region := s.region
			if region == nil {
				region = text{{ref: where}}
			}
			out = append(out, piece{ref: account}, piece{literal: ".dkr.ecr."})
			out = append(append(out, region...), piece{literal: ".amazonaws.com/"})
			out = append(out, name.text...)
		case p.ref.attr == "" || sameKey(p.ref.attr, "Name") || sameKey(p.ref.attr, "Id"):
			out = append(out, name.text...)
		default:
			out = append(out, p)
			continue
		}
		s.repository(p.ref.to)
	}
	return tidy(&node{text: out}).text
}

// nameable reports whether a node is good for a name: a text, or something that the source
// has a name for.
func (n *node) nameable() bool {
	return n != nil && (n.kind == scalar || n.kind == unknown && !n.text.alone().loose)
}

// code tells of a service that App Runner builds itself.
func (s *service) code(n *node) {
	s.suggest(manifest.Draft{{Key: "context", Value: "."}}, "write a Dockerfile: apron deploys images", "image", "build")
	for _, key := range []string{"RepositoryUrl", "SourceCodeVersion", "SourceDirectory"} {
		s.look(n.get(key), "is about source code, which App Runner builds: apron deploys images, so write a Dockerfile")
	}
	s.look(n.get("CodeConfiguration", "ConfigurationSource"), "is about source code, which App Runner builds: apron deploys images")
	values := n.get("CodeConfiguration", "CodeConfigurationValues")
	s.look(values.get("Runtime"), "belongs into the Dockerfile, as FROM")
	s.look(values.get("BuildCommand"), "belongs into the Dockerfile, as RUN")
}

// role names a role that is there already: apron uses it and does not change it.
func (s *service) role(n *node, key string) {
	if n == nil {
		return
	}
	if r := target(n, "AWS::IAM::Role"); r != nil && slices.Contains([]string{"", "arn", "name", "id"}, strings.ToLower(n.text.alone().attr)) {
		name := r.body.get("RoleName")
		if name == nil {
			name = r.body.get("Name")
		}
		if name.nameable() {
			copied := *n
			copied.kind, copied.text = scalar, name.text
			s.set(&copied, "roles", key)
			n.mark()
			return
		}
	}
	s.set(n, "roles", key)
}

func (s *service) health(n *node) {
	protocol, path := n.get("Protocol"), n.get("Path")
	if protocol.is("TCP") && path != nil {
		s.look(path, "is for HTTP only, and App Runner ignores it with TCP")
		path = nil
	}
	s.set(protocol, "health", "protocol")
	if s.set(path, "health", "path") && protocol == nil {
		s.remark(Look, path, "App Runner ignores it as long as no protocol is given; in a manifest a path means HTTP")
	}
	s.set(n.get("Interval"), "health", "interval")
	s.set(n.get("Timeout"), "health", "timeout")
	s.set(n.get("HealthyThreshold"), "health", "healthy")
	s.set(n.get("UnhealthyThreshold"), "health", "unhealthy")
}

func (s *service) tracing(n *node) {
	enabled, arn := n.get("ObservabilityEnabled"), n.get("ObservabilityConfigurationArn")
	switch {
	case enabled.is("true"):
		s.put(enabled, "xray", "observability", "tracing")
		s.other(enabled, "observability.tracing says so")
	case enabled.is("false"):
		s.put(enabled, "none", "observability", "tracing")
		s.other(enabled, "observability.tracing says so")
	case enabled != nil:
		s.look(enabled, "whether there is tracing is known only to %s: write xray or none", s.tool)
		s.suggest("xray", "", "observability", "tracing")
	}
	if r := target(arn, "AWS::AppRunner::ObservabilityConfiguration"); r != nil {
		r.used = true
		if v := r.body.get("TraceConfiguration", "Vendor"); v.is("AWSXRAY") {
			s.other(v, "observability.tracing says so")
		}
		s.other(r.body.get("ObservabilityConfigurationName"), "apron makes and names a configuration of its own")
		s.tell(Other, r.body.get("Tags"), "apron makes and tags a configuration of its own")
		s.leftovers(r.body)
	}
	s.other(arn, "apron makes a configuration of its own")
}

// target is the resource that a node refers to, if it is of that kind.
func target(n *node, kind string) *resource {
	if n == nil {
		return nil
	}
	if r := n.text.alone(); r != nil && r.to != nil && r.to.kind == kind {
		return r.to
	}
	return nil
}
