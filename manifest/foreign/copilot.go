package foreign

import (
	"path"
	"strings"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// readCopilot reads Copilot's manifest of a Request-Driven Web Service.
// https://aws.github.io/copilot-cli/docs/manifest/rd-web-service/
func readCopilot(f File, root *node) (*Result, error) {
	src := newSource("Copilot", "Copilot", []File{f})
	substitute(root)
	s := src.service()
	name := root.get("name")
	s.put(name, copilotName(s, name, "${"+s.variable(&reference{as: "${COPILOT_ENVIRONMENT_NAME}", name: "COPILOT_ENVIRONMENT_NAME"}, anything)+"}"), "service")
	if name != nil {
		name.mark()
		s.remark(Other, name, "Copilot names the service by application and environment, too: set COPILOT_APPLICATION_NAME and COPILOT_ENVIRONMENT_NAME")
	}
	s.other(root.get("type"), "is what apron deploys")
	s.copilot(root)
	s.note(Look, root.at, "COPILOT_*", "Copilot adds variables of its own, COPILOT_APPLICATION_NAME and others: add those that the application reads")
	for _, e := range environments(root) {
		s.under = []string{"environments", e.key}
		s.put(e.value, copilotName(s, name, e.key), "service")
		s.copilot(e.value)
		s.leftovers(e.value)
		s.under = nil
	}
	s.leftovers(root)
	return src.finish([]*service{s})
}

func environments(root *node) []field {
	all := root.get("environments")
	if all == nil || all.kind != mapping {
		return nil
	}
	var named []field
	for _, f := range all.fields {
		if environmentName().MatchString(f.key) && f.value.kind == mapping {
			named = append(named, f)
		}
	}
	return named
}

var environmentName = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$`)

// copilotName is what Copilot calls the service in App Runner.
func copilotName(s *service, n *node, environment string) string {
	app := "${" + s.variable(&reference{as: "${COPILOT_APPLICATION_NAME}", name: "COPILOT_APPLICATION_NAME"}, anything) + "}"
	own := "web"
	if n != nil && n.kind == scalar {
		own = s.write(n, "service")
	}
	return app + "-" + environment + "-" + own
}

var copilotVariable = pattern.Lazy(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// substitute reads ${NAME}, which Copilot replaces by the environment's value.
// https://aws.github.io/copilot-cli/docs/developing/manifest-env-var/
func substitute(n *node) {
	if n.kind == scalar {
		whole, _ := n.static()
		end := 0
		var t text
		for _, m := range copilotVariable().FindAllStringSubmatchIndex(whole, -1) {
			name := whole[m[2]:m[3]]
			t = append(t, piece{literal: whole[end:m[0]]}, piece{ref: &reference{as: "${" + name + "}", name: name}})
			end = m[1]
		}
		if end > 0 {
			n.text = append(t, piece{literal: whole[end:]})
			tidy(n)
		}
	}
	for _, f := range n.fields {
		substitute(f.value)
	}
	for _, item := range n.items {
		substitute(item)
	}
}

// copilot reads the keys of a manifest, or of one of its environments.
func (s *service) copilot(root *node) {
	s.copilotImage(root.get("image"))
	s.set(root.get("image", "port"), "port")
	s.set(root.get("cpu"), "cpu")
	s.set(root.get("memory"), "memory")
	s.copilotCommand(root.get("command"))
	s.copilotVariables(root.get("variables"))
	s.copilotSecrets(root.get("secrets"))
	s.tags(root.get("tags"))

	http := root.get("http")
	check := http.get("healthcheck")
	if check != nil && (check.kind == scalar || check.kind == unknown) {
		s.set(check, "health", "path")
	} else {
		s.set(check.get("path"), "health", "path")
		s.set(check.get("interval"), "health", "interval")
		s.set(check.get("timeout"), "health", "timeout")
		s.set(check.get("healthy_threshold"), "health", "healthy")
		s.set(check.get("unhealthy_threshold"), "health", "unhealthy")
	}
	s.copilotDomain(http.get("alias"))
	s.copilotIngress(http.get("private"))
	s.copilotNetwork(root.get("network", "vpc"))
	switch tracing := root.get("observability", "tracing"); {
	case tracing.is("awsxray"):
		s.put(tracing, "xray", "observability", "tracing")
		s.other(tracing, "observability.tracing says so")
	case tracing != nil:
		s.look(tracing, "is no tracing that App Runner has")
	}
	if count := root.get("count"); count != nil {
		s.look(count, "names a configuration, and how it scales is not here: aws apprunner describe-auto-scaling-configuration says")
		s.suggest(manifest.Draft{{Key: "min", Value: 1}, {Key: "max", Value: 25}, {Key: "concurrency", Value: 100}}, "App Runner's defaults", "scaling")
	}
	s.look(root.get("publish"), "SNS topics are made by Copilot, and their ARNs are in COPILOT_SNS_TOPIC_ARNS: name them under env, and in permissions")
}

func (s *service) copilotImage(n *node) {
	if location := n.get("location"); location != nil {
		s.existing(location)
	}
	build := n.get("build")
	if build == nil {
		return
	}
	if build.kind == scalar || build.kind == unknown {
		file, ok := build.static()
		if !ok {
			s.look(build, "which Dockerfile is known only to Copilot: write it under image.build")
			return
		}
		s.dockerfile(build, path.Dir(path.Clean(file)), path.Clean(file))
		build.mark()
		return
	}
	file, fileOK := build.get("dockerfile").static()
	dir, dirOK := build.get("context").static()
	switch {
	case fileOK && dirOK:
		s.dockerfile(build.get("dockerfile"), path.Clean(dir), path.Clean(file))
	case fileOK:
		s.dockerfile(build.get("dockerfile"), path.Dir(path.Clean(file)), path.Clean(file))
	case dirOK:
		s.dockerfile(build.get("context"), path.Clean(dir), path.Join(dir, "Dockerfile"))
	}
	if fileOK {
		build.get("dockerfile").mark()
	}
	if dirOK {
		build.get("context").mark()
	}
	s.set(build.get("target"), "image", "build", "target")
	s.look(build.get("cache_from"), "Copilot pulls it for its layers: image.build.cache is for the same")
	for _, p := range s.pairs(build.get("args")) {
		s.buildArgument(p.name, p.value)
	}
}

// dockerfile says where to build. Copilot's paths are relative to the workspace, as are a
// manifest's that stands there; a Dockerfile is relative to its context.
func (s *service) dockerfile(n *node, dir, file string) {
	s.put(n, dir, "image", "build", "context")
	s.missing(Other, n, "(paths)", "are relative to the root of the workspace: keep the manifest there")
	rel := strings.TrimPrefix(file, dir+"/")
	if dir == "." {
		rel = file
	}
	switch {
	case strings.HasPrefix(rel, "/") || strings.HasPrefix(rel, "../"), rel == file && dir != ".":
		s.remark(Look, n, "the Dockerfile is not within the context: write image.build.dockerfile relative to the context")
	case rel != "Dockerfile":
		s.put(n, rel, "image", "build", "dockerfile")
	}
}

// buildArgument takes a build argument. A secret would stay readable in the image.
func (s *service) buildArgument(name string, n *node) {
	switch {
	case !plainName().MatchString(name) || n.kind == list || n.kind == mapping:
		s.look(n, "cannot be a build argument")
	default:
		if what := hidden(name, n.text); what != "" {
			v := s.ofSecret(name, n)
			s.put(n, "env:"+v, "image", "build", "secrets", name)
			n.mark()
			s.remark(Look, n, "%s, and a build argument stays readable in the image: have the Dockerfile read it with RUN --mount=type=secret,id=%s, and set %s", what, name, v)
			return
		}
		s.set(n, "image", "build", "args", name)
	}
}

func (s *service) copilotCommand(n *node) {
	if n == nil || n.kind != list {
		s.set(n, "command")
		return
	}
	var words []string
	for _, item := range n.items {
		word, ok := item.static()
		if !ok || strings.ContainsAny(word, " \"'\\$\n") {
			s.look(n, "has words that do not fit into one line: write command")
			return
		}
		words = append(words, word)
	}
	s.put(n, strings.Join(words, " "), "command")
	n.mark()
}

// copilotVariables reads variables, of which some may be the outputs of stacks.
func (s *service) copilotVariables(n *node) {
	for _, p := range s.pairs(n) {
		if from := p.value.get("from_cfn"); from != nil && len(from.text) > 0 {
			v := s.variable(&reference{as: from.text.with(func(r *reference) string { return r.as }), name: variable(p.name)}, anything)
			s.put(p.value, "${"+v+"}", "env", p.name)
			s.look(from, "is the output of a stack: set %s", v)
			continue
		}
		s.setVariable(p.name, p.value)
	}
}

// copilotSecrets reads secrets: the name or ARN of a parameter, or a secret's.
// https://aws.github.io/copilot-cli/docs/developing/secrets/
func (s *service) copilotSecrets(n *node) {
	for _, p := range s.pairs(n) {
		by, from := p.value.get("secretsmanager"), p.value.get("from_cfn")
		switch {
		case by != nil && len(by.text) > 0:
			s.setAs(by, copilotSecret, "secrets", p.name)
		case from != nil && len(from.text) > 0:
			v := s.variable(&reference{as: from.text.with(func(r *reference) string { return r.as }), name: variable(p.name, "ARN")}, example([]string{"secrets"}, true, s.here()))
			s.put(p.value, "${"+v+"}", "secrets", p.name)
			s.look(from, "is the output of a stack, the ARN of a secret: set %s", v)
		default:
			s.setReference(p.name, p.value)
		}
	}
}

// copilotSecret is Copilot's name:key:stage:version as apron has it.
func copilotSecret(t string) string {
	if strings.HasPrefix(t, "arn:") {
		return t
	}
	name, rest, keyed := strings.Cut(t, ":")
	if strings.Contains(name, "${") && !strings.HasSuffix(name, "}") && strings.Contains(rest, "}") {
		return "secretsmanager:" + t // a default within a reference, not a key
	}
	if !keyed {
		return "secretsmanager:" + t
	}
	return "secretsmanager:" + name + "#" + strings.TrimRight(rest, ":")
}

// copilotDomain reads aliases, whose records Copilot writes itself.
func (s *service) copilotDomain(n *node) {
	if n == nil {
		return
	}
	var names []string
	for _, item := range n.every() {
		if item.kind == list || item.kind == mapping {
			s.look(item, "is no domain name")
			continue
		}
		names = append(names, s.write(item, "domains"))
		item.mark()
		s.remark(Look, item, "Copilot writes the domain's records itself; with route53: true apron does")
	}
	if len(names) > 0 {
		s.put(n, names, "domains")
	}
}

func (s *service) copilotIngress(n *node) {
	const way = "write the VPC's id, and that of an endpoint for com.amazonaws.REGION.apprunner.requests"
	endpoint := n.get("endpoint")
	switch {
	case n == nil:
	case n.is("false"):
		s.put(n, "true", "network", "public")
		s.other(n, "network.public says so")
	case n.is("true"), endpoint != nil:
		s.put(n, "false", "network", "public")
		s.suggest(manifest.Draft{{Key: "vpc", Value: "vpc-0123456789abcdef0"}, {Key: "endpoint", Value: "vpce-0123456789abcdef0"}}, way, "network", "ingress")
		if endpoint != nil {
			s.look(endpoint, "the VPC that it is in is not here: write network.ingress")
			return
		}
		s.look(n, "Copilot makes the VPC endpoint: write network.ingress")
	default:
		s.look(n, "must be true, false or an endpoint")
	}
}

func (s *service) copilotNetwork(n *node) {
	placement := n.get("placement")
	switch {
	case placement.is("private"):
		s.look(placement, "is the private subnets of Copilot's VPC, whose ids are not here: write network.egress")
		s.suggest(manifest.Draft{{Key: "subnets", Value: []string{"subnet-0123456789abcdef0"}}}, "copilot env show --resources says which", "network", "egress")
	case placement.get("subnets").get("from_tags") != nil:
		s.look(placement, "chooses subnets by their tags, and their ids are not here: write network.egress.subnets")
		s.suggest(manifest.Draft{{Key: "subnets", Value: []string{"subnet-0123456789abcdef0"}}}, "aws ec2 describe-subnets --filters says which", "network", "egress")
	case placement.get("subnets") != nil:
		s.ids(placement.get("subnets"), "subnet-0123456789abcdef0", "network", "egress", "subnets")
	}
	if groups := n.get("security_groups"); groups != nil && groups.kind == list {
		s.ids(groups, "sg-0123456789abcdef0", "network", "egress", "security_groups")
	}
}
