package manifest

import (
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/state"
)

// linter looks for what is legal and probably not meant. It runs on a manifest that has
// passed every check, and never quotes a value.
type linter struct {
	*checker
	spec state.Spec
	vars *expander
	// allowArgs makes a warning of a build argument that looks like a secret.
	allowArgs bool
}

func (l *linter) lint() {
	l.environment()
	l.secrets()
	l.build()
	l.healthCheck()
	l.tagging()
	l.wildcards()
	l.place()
	l.network()
	l.tracing()
}

func (l *linter) environment() {
	for _, name := range sortedKeys(l.m.Env) {
		n := l.m.Env[name].node
		p, value, env := "env."+name, n.value.plain(), l.spec.Env[name]
		l.awsKey(p, name)
		l.reservedPrefix(p, name)
		switch what := revealing(name, value); {
		case env.Provenance || isAWSKey(name):
		case what != "":
			l.warn(n.at, p, "move it: secrets: {"+name+": env:"+name+"}",
				"the value looks like %s, and everybody who may describe the service can read it", what)
		case l.holdsSecret(value):
			l.warn(n.at, p, "refer to the secret under secrets instead",
				"the value holds that of a secret, and everybody who may describe the service can read it")
		case SecretLooking(name) && len(value) > 5:
			l.warn(n.at, p, "move it: secrets: {"+name+": env:"+name+"}",
				"sounds like a secret, and everybody who may describe the service can read it")
		}
		if env.Omit {
			l.warn(n.at, p, "give the reference a default: ${…url:-http://localhost}",
				"is left out of the first rollout, because the URL is not known yet; a second one follows with it")
		}
		if strings.Contains(value, "\n") {
			l.warn(n.at, p, "encode it, in base64 for one, or keep it in a secret", "spans several lines, which App Runner may refuse")
		}
		if upper := strings.ToUpper(name); strings.HasSuffix(upper, "JWKS_URL") || strings.HasSuffix(upper, "JWKS_URI") {
			l.jwks(n, p, value)
		}
	}
	if n := len(l.m.Env) + len(l.m.Secrets); n > 50 {
		l.warn(l.at("env"), "env", "put several values in one, as JSON or in a secret",
			"there are %d variables and secrets together; users report that App Runner stops at 50", n)
	}
}

func (l *linter) jwks(n *node, path, value string) {
	const fix = "it looks like https://HOST/.well-known/jwks.json"
	switch {
	case value == "" || len(n.value.soft) > 0:
	case !strings.HasPrefix(value, "https://"):
		l.warn(n.at, path, fix, "is not an https URL: keys that verify tokens must not be changed on their way")
	case !strings.HasSuffix(value, "/.well-known/jwks.json"):
		l.warn(n.at, path, fix, "does not end with /.well-known/jwks.json, so it is probably not the address of the keys")
	}
}

// minHidden is the shortest secret that is looked for within other texts: shorter ones
// occur everywhere.
const minHidden = 4

func (l *linter) holdsSecret(value string) bool { return holdsSecret(value, secretValues(l.spec)) }

func holdsSecret(value string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool {
		return value == s || len(s) >= minHidden && strings.Contains(value, s)
	})
}

// secretValues are those of the env: secrets of a service and of its build.
func secretValues(s state.Spec) []string {
	var values []string
	for _, ref := range s.Secrets {
		if ref.Set {
			values = append(values, ref.Value.Reveal())
		}
	}
	if s.Image.Build != nil {
		for _, ref := range s.Image.Build.Secrets {
			if ref.Set {
				values = append(values, ref.Value.Reveal())
			}
		}
	}
	return values
}

func isAWSKey(name string) bool {
	return slices.Contains([]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}, name)
}

func (l *linter) awsKey(path, name string) {
	if isAWSKey(name) {
		l.warn(l.at(path), path, "leave it out, and say what the application may do with permissions",
			"gives the application a static AWS key; its instance role has credentials that need no care")
	}
}

func (l *linter) reservedPrefix(path, name string) {
	if strings.HasPrefix(strings.ToUpper(name), "AWSAPPRUNNER") {
		l.warn(l.at(path), path, "choose another name", "names that start with AWSAPPRUNNER may be reserved by App Runner")
	}
}

func (l *linter) secrets() {
	for _, name := range sortedKeys(l.m.Secrets) {
		p := "secrets." + name
		l.awsKey(p, name)
		l.reservedPrefix(p, name)
		if s := l.m.Secrets[name]; s.Version != "" {
			l.warn(l.at(p), p, "leave the version out to follow the current one",
				"is fixed to one version of the secret: a rotation does not reach the application")
		}
		if s := l.m.Secrets[name]; s.Source == state.FromEnv && !l.spec.Secrets[name].Set {
			if _, ok := l.vars.lookup(s.Name); ok {
				l.warn(l.at(p), p, "give "+s.Name+" a value, or leave it unset to keep the one that is stored",
					"%s is empty, which counts as not set", s.Name)
			}
		}
	}
}

func (l *linter) healthCheck() {
	h := l.m.Health
	if h == nil {
		l.warn(l.root.at, "health", "add health: {path: /health}",
			"there is no health check, so App Runner only tries to connect, and a broken build that listens passes")
		return
	}
	at := l.at("health")
	switch {
	case h.Path == nil && h.Protocol == nil:
		l.warn(at, "health", "add path: /health", "has no path, so App Runner only tries to connect, and a broken build that listens passes")
	case h.Protocol != nil && *h.Protocol == "TCP":
		l.warn(l.at("health.protocol"), "health.protocol", "use path: /health, if the application speaks HTTP",
			"TCP only tries to connect, and a broken build that listens passes")
	}
	// https://docs.aws.amazon.com/apprunner/latest/api/API_HealthCheckConfiguration.html
	interval, timeout, failures := 5*time.Second, 2*time.Second, 5
	if h.Interval != nil {
		interval = time.Duration(*h.Interval)
	}
	if h.Timeout != nil {
		timeout = time.Duration(*h.Timeout)
	}
	if h.Unhealthy != nil {
		failures = *h.Unhealthy
	}
	if (h.Interval == nil) != (h.Timeout == nil) && timeout >= interval {
		l.warn(at, "health", "give both, the interval longer than the timeout",
			"the timeout of %s does not fit the interval of %s, counting App Runner's default for the one left out", timeout, interval)
	}
	switch {
	case failures == 1:
		l.warn(l.at("health.unhealthy"), "health.unhealthy", "use 3 or more", "one slow answer is enough to replace an instance")
	case time.Duration(failures)*interval < 10*time.Second:
		l.warn(at, "health", "use a longer interval or a greater unhealthy",
			"an instance is given up after %s without an answer, less than many applications need to start", time.Duration(failures)*interval)
	}
	if timeout == time.Second {
		l.warn(l.at("health.timeout"), "health.timeout", "use 2 to 5 seconds", "one second is short for an instance under load")
	}
}

func (l *linter) tagging() {
	im := l.m.Image
	if im != nil && im.Version == "" && len(im.Tags) == 1 && im.Tags[0] == "latest" {
		l.warn(l.at("image.tags"), "image.tags", "add image.version, such as v1.0.0, which never moves",
			"latest is the only name of the image, so nothing says which version runs")
	}
	if l.spec.AutoDeploy && !l.spec.Image.InPlace {
		with := ""
		if im != nil && im.Version != "" {
			with = ", least of all with a fixed image.version"
		}
		l.warn(l.at("auto_deploy"), "auto_deploy", "leave it off; apron starts each rollout itself",
			"has nothing to wait for: the service runs a tag that names the image's content and is never pushed again%s", with)
	}
}

func (l *linter) wildcards() {
	for i, p := range l.m.Permissions {
		path := "permissions" + index(i)
		switch {
		case p.Action == "*" || strings.HasSuffix(p.Action, ":*"):
			l.warn(l.at(path), path, "name the actions the application uses", "allows every action; planning refuses that unless it is told to allow wildcards")
		case p.Resource == "*":
			l.warn(l.at(path), path, "name the resource by its ARN", "allows the action on every resource; planning refuses that unless it is told to allow wildcards")
		}
	}
}

// appRunnerRegions is where App Runner is.
// https://docs.aws.amazon.com/general/latest/gr/apprunner.html
var appRunnerRegions = []string{
	"us-east-1", "us-east-2", "us-west-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
	"ap-northeast-1", "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3",
}

func (l *linter) place() {
	if l.target == targetAppRunner && l.m.Region != "" && !slices.Contains(appRunnerRegions, l.m.Region) {
		l.warn(l.at("region"), "region", "it is in "+either(appRunnerRegions), "App Runner is not known to be in this Region")
	}
}
