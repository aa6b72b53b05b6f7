package manifest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/state"
)

// everything are all keys that a release brings back, with legal values each.
var everything = []struct {
	key    string
	values []string
}{
	{"image", []string{"{version: v1, tags: [latest, stable]}", "{version: v2, tags: [latest], scan: {on_push: true, fail_on: HIGH}, retention: {keep: 3}}",
		"{build: {context: app, dockerfile: D, target: t, args: {A: one, B: $$x}, labels: {l: m}}, retention: {keep: 5, untagged_days: 7}}",
		"{from: docker.io/library/nginx, platforms: all, repository: other, scan: {fail_on: LOW, allow: [{id: CVE-2026-1, until: 2027-01-31}, {id: CVE-2026-2, until: 2027-02-28}]}}",
		"{build: {builder: podman, before: {run: [make, 'a # b'], env: {X: y}, inputs: ['*.go'], outputs: [out]}, secrets: {npm: 'env:NPM_UNSET', pip: 'file:x/pip.conf'}, cache: {from: [gha], to: ['local:../c']}}}"}},
	{"env", []string{"{}", "{A: b, C: c, D: 1.10, E: 'yes', F: \"two\\nlines\", G: '$$5'}", "{A: B, NEW: 'a: b, c', URL: '${services.api.url:-http://x?a=$$b}'}", "{F: '', URL: '${self.url}', SHA: '${git.sha:-none}'}"}},
	{"secrets", []string{"{}", "{S: ssm:/b, G_S: 'secretsmanager:g#k'}", "{S: ssm:/c, T_KEY: 'env:T_UNSET'}"}},
	{"command", []string{"node server.js", `"it's: quoted # not a comment"`, `""`}},
	{"port", []string{"3000", `"8080"`}},
	{"cpu", []string{"256\nmemory: 512", "1 vCPU\nmemory: 2 GB", "1024\nmemory: 3072", "0.25\nmemory: 1 GB"}},
	{"scaling", []string{"{min: 1, max: 3}", "{concurrency: 5}", "{metric: concurrency, target: 7}", "{}"}},
	{"health", []string{"{path: /health}", "{protocol: TCP}", "{path: /, interval: 10s, timeout: 5, healthy: 2, unhealthy: 6}"}},
	{"verify", []string{"[]", "[{path: /a}, {path: /b, status: 204}]", "[{path: /b, status: 204}]", "[{path: /c}, {path: /a}, {path: '/b?c=[d]', status: 204}]"}},
	{"domains", []string{"[]", "[shop.example.com]", "[{name: shop.example.com, wait: true}, {name: other.example.com, www: true, route53: true}]"}},
	{"network", []string{"{}", "{egress: {subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]}}", "{egress: {subnets: [subnet-0123456789abcdef0], security_groups: [sg-0123456789abcdef0]}, ip: dual}",
		"{public: false, ingress: {vpc: vpc-0123456789abcdef0, endpoint: vpce-0123456789abcdef0}}", "{egress: {}}"}},
	{"observability", []string{"{tracing: xray}", "{tracing: none}"}},
	{"roles", []string{"{access: mine}", "{access: auto, instance: auto}"}},
	{"permissions", []string{"[]", "['s3:GetObject arn:aws:s3:::b/*']", "['s3:GetObject arn:aws:s3:::b/*', 's3:PutObject arn:aws:s3:::b/*']"}},
	{"tags", []string{"{team: ai}", "{cost center: '1', team: ops}"}},
	{"auto_deploy", []string{"true", "false"}},
	{"apprunner", []string{"{web_acl: none}", "{kms_key: 'arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012'}"}},
	{"hooks", []string{"{after: [echo, done]}"}},
	{"budget", []string{"{monthly: 10 USD, alert_at: [80%, 100%]}"}},
	{"schedule", []string{"{pause: 'cron(0 20 ? * MON-FRI *)'}"}},
}

// laidOut draws a manifest of some keys. The mappings and lists of half of them stand over
// several lines, with comments.
func laidOut(t *rapid.T, label string) string {
	var b strings.Builder
	b.WriteString("# " + label + "\nversion: 1\nservice: property\n")
	for _, s := range everything {
		if !rapid.Bool().Draw(t, label+" has "+s.key) {
			continue
		}
		value := rapid.SampledFrom(s.values).Draw(t, label+" "+s.key)
		if !strings.Contains(value, "\n") && rapid.Bool().Draw(t, label+" spreads "+s.key) {
			b.WriteString(manifest.Spread(s.key, value))
			continue
		}
		b.WriteString(s.key + ": " + value + " # " + s.key + "\n")
	}
	return b.String()
}

// TestProperty_whatIsRestoredIsTheSameAgain edits one manifest so that it says what
// another one does: what is planned of the two is the same then, to the last setting.
func TestProperty_whatIsRestoredIsTheSameAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		then, now := laidOut(t, "then"), laidOut(t, "now")
		kept := one(t, rendered(t, one(t, then, "")), "")
		edits, err := manifest.Restore(one(t, now, ""), kept)
		require.NoError(t, err)
		out, _, err := manifest.Rewrite("deploy.yaml", []byte(now), manifest.EditOptions{Literal: true}, edits)
		if err != nil {
			require.Regexp(t, `^deploy.yaml:\d+:\d+: env.URL: is made from a variable$`, err.Error())
			return
		}
		got := one(t, string(out), "")
		left, err := manifest.Restore(got, kept)
		require.NoError(t, err)
		require.Empty(t, left, "%s\n%s", now, out)
		require.Equal(t, plannable(kept.Spec), plannable(got.Spec), "%s\n%s", now, out)
		for _, line := range strings.Split(now, "\n") {
			if strings.HasPrefix(line, "# ") || line == "version: 1" {
				require.Contains(t, string(out), line)
			}
		}
	})
}

// plannable is what a plan sees: that a value names the commit changes nothing.
func plannable(s state.Spec) state.Spec {
	s.Env = maps.Clone(s.Env)
	for name, v := range s.Env {
		if v.Provenance || name == "SHA" {
			s.Env[name] = state.EnvValue{}
		}
	}
	return s
}

// masking is a build with words of a command, some of which are a secret.
func masking(words string) string {
	return "secrets: {S: 'env:S'}\nimage: {build: {before: {run: [" + words + "], outputs: [o]}}}"
}

func TestRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		then, now string
		edits     []string // path=value, or path for one that goes
		err       string
	}{
		"what means the same":        {"cpu: 1024\nmemory: 2 GB\nhealth: {path: /, interval: 5s}", "cpu: 1 vCPU\nmemory: 2048\nhealth: {interval: 5, path: /}", nil, ""},
		"a variable of today":        {"port: 8000", "port: ${PORT_UNSET:-8000}", nil, ""},
		"the commit":                 {"env: {SHA: '${git.sha}', A: b}", "env: {A: b, SHA: '${git.sha}'}", nil, ""},
		"keys in and out":            {"env: {A: b, B: c}\nscaling: {max: 2}", "env: {C: d, A: x}\nhealth: {path: /}\nport: 80", []string{"env.A=b", "env.B=c", "env.C", "port", "scaling.max=2", "health"}, ""},
		"no variables, and unsaid":   {"env: {}\nnetwork: {egress: {}}", "secrets: {A: 'ssm:/a'}", []string{"env={}", "secrets", "network.egress={}"}, ""},
		"lists as a whole":           {"image: {tags: [a, b]}\npermissions: ['s3:Get* *']", "image: {tags: [a]}", []string{"image.tags=[a, b]", "permissions=[s3:Get* *]"}, ""},
		"which service, and where":   {"region: us-east-1\naccount: '123456789012'", "region: eu-west-1", nil, ""},
		"a masked value that is":     {"env: {API_KEY: x}", "env: {API_KEY: y}", nil, ""},
		"a masked word that is":      {masking("make, '${S}', x"), masking("make, '${S}', x"), nil, ""},
		"words around a masked one":  {masking("make, '${S}', x"), masking("make, '${T}', y, z"), []string{"image.build.before.run=[make, \"${T}\", x]"}, ""},
		"a masked word that is not":  {masking("make, x, '${S}'"), masking("make, x"), nil, "deploy.yaml:4:31: image.build.before.run: is missing, and its value was masked"},
		"a masked value that is not": {"env: {API_KEY: x}", "env: {A: y}", nil, "deploy.yaml:3:6: env.API_KEY: is missing, and its value was masked"},
	} {
		t.Run(name, func(t *testing.T) {
			const head = "version: 1\nservice: property\n"
			kept := one(t, rendered(t, one(t, head+tc.then, "")), "")
			edits, err := manifest.Restore(one(t, head+tc.now, ""), kept)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, e := range edits {
				text := e.Path + "=" + e.Value
				if e.Remove {
					text = e.Path
				}
				got = append(got, text)
			}
			slices.Sort(got)
			slices.Sort(tc.edits)
			require.Equal(t, tc.edits, got)
		})
	}
}
