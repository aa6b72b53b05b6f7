package manifest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/manifest"
)

// settings are keys with a few legal values each, in a fixed order.
var settings = []struct {
	key    string
	values []string
}{
	{"region", []string{"us-east-1", "eu-west-1"}},
	{"account", []string{`"123456789012"`}},
	{"image", []string{"{version: v1, tags: [latest, stable]}", "{build: {context: app, args: {A: '${A}', B: $$x}}}", "{scan: {on_push: true}, retention: {keep: 3}}",
		"{build: {builder: podman, secrets: {npm: 'env:NPM_UNSET', pip: 'file:x/pip.conf'}, cache: {from: [gha, 'registry:r/x:c'], to: ['local:../c']}}}"}},
	{"env", []string{"{}", "{A: b, C: '${A}', D: 1.10, E: 'yes', F: \"two\\nlines\"}", "{URL: '${self.url:-http://x?a=$$b}', SHA: '${git.sha:-none}', API_KEY: '${A}'}"}},
	{"secrets", []string{"{}", "{A_TOKEN: env:A, B: ssm:/b, G: 'secretsmanager:g#k'}"}},
	{"command", []string{"node server.js", `"it's: quoted # not a comment"`}},
	{"port", []string{"3000", `"8080"`, "${PORT_UNSET:-80}"}},
	{"scaling", []string{"{min: 1, max: 3}", "{concurrency: 5}", "{metric: concurrency, target: 7}"}},
	{"health", []string{"{path: /health}", "{protocol: TCP}", "{path: /, interval: 10s, timeout: 5}"}},
	{"verify", []string{"[]", "[{path: /a}, {path: /b, status: 204}]"}},
	{"permissions", []string{"[]", "['s3:GetObject arn:aws:s3:::b/*']"}},
	{"tags", []string{"{team: ai}", "{cost center: '1'}"}},
	{"auto_deploy", []string{"true", "false"}},
}

func write(keys map[string]string) string {
	var b strings.Builder
	b.WriteString("version: 1\nservice: property\n")
	for _, s := range settings {
		if v, ok := keys[s.key]; ok {
			fmt.Fprintf(&b, "%s: %s\n", s.key, v)
		}
	}
	return b.String()
}

func draw(t *rapid.T) map[string]string {
	keys := map[string]string{}
	for _, s := range settings {
		if rapid.Bool().Draw(t, "has "+s.key) {
			keys[s.key] = rapid.SampledFrom(s.values).Draw(t, s.key)
		}
	}
	if _, both := keys["env"]; both && keys["secrets"] != "" {
		delete(keys, "secrets")
	}
	return keys
}

func one(t require.TestingT, text, environment string) *manifest.Document {
	set, err := loadBytes([]byte(text), nil, environment)
	require.NoError(t, err, text)
	require.Len(t, set.Documents, 1)
	return &set.Documents[0]
}

func rendered(t require.TestingT, d *manifest.Document) string {
	var b bytes.Buffer
	require.NoError(t, manifest.Render(&b, d))
	return b.String()
}

func TestProperty_nullInAnOverlayIsLeavingOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := draw(t)
		without := map[string]string{}
		over := []string{}
		for _, s := range settings {
			if v, ok := keys[s.key]; ok {
				if rapid.Bool().Draw(t, "null "+s.key) {
					over = append(over, s.key+": null")
				} else {
					without[s.key] = v
				}
			}
		}
		text := write(keys) + "environments: {prod: {" + strings.Join(over, ", ") + "}}\n"
		require.Equal(t, one(t, write(without), "").Spec, one(t, text, "prod").Spec)
	})
}

func TestProperty_anOverlayIsTheWholeThing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := draw(t)
		var over []string
		for _, s := range settings {
			if v, ok := keys[s.key]; ok {
				over = append(over, "    "+s.key+": "+v)
			}
		}
		slices.Reverse(over)
		text := "version: 1\nservice: property\nenvironments:\n  prod:\n    service: property\n" + strings.Join(over, "\n") + "\n"
		require.Equal(t, one(t, write(keys), "").Spec, one(t, text, "prod").Spec)
	})
}

func TestProperty_renderingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rendered(t, one(t, write(draw(t)), ""))
		require.Equal(t, first, rendered(t, one(t, first, "")))
	})
}

func TestProperty_whatIsRenderedMeansTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := one(t, write(draw(t)), "")
		again := one(t, rendered(t, d), "")
		for name, v := range d.Spec.Env { // masked, and no longer known to come from git
			if v.Hidden {
				v.Value = "(sensitive)"
			}
			v.Provenance, v.Source = false, ""
			d.Spec.Env[name] = v
		}
		if b := d.Spec.Image.Build; b != nil {
			for name, v := range b.Args { // a secret's value is masked wherever it stands
				for _, ref := range d.Spec.Secrets {
					if ref.Set && v == ref.Value.Reveal() {
						b.Args[name] = "(sensitive)"
					}
				}
			}
		}
		require.Equal(t, d.Spec, again.Spec)
	})
}
