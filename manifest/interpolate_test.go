package manifest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// TestLoad_takesBracesIntoDefaults holds which brace closes a reference, in a manifest and
// in an env file.
func TestLoad_takesBracesIntoDefaults(t *testing.T) {
	for text, want := range map[string]string{
		`${SET:-{}}`:                     `value`,
		`${UNSET:-{}}`:                   `{}`,
		`${SET:-{"a":{"b":1}}}, ${SET}`:  `value, value`,
		`${UNSET:-{"a":{"b":1}}}-${SET}`: `{"a":{"b":1}}-value`,
		`${UNSET:-{{x}}}!`:               `{{x}}!`,
		`${SET:+{{x}}}`:                  `{{x}}`,
		`${UNSET:-{"a":"${SET}"}}`:       `{"a":"value"}`,
		`{"a":${UNSET:-{}},"b":{}}`:      `{"a":{},"b":{}}`,
		`{"a":"${SET:-x}","b":{}}`:       `{"a":"value","b":{}}`,
		`${UNSET:-${SET}} ${SET}`:        `value value`,

		// Of braces that do not come in pairs, the first that can closes.
		`${UNSET:-{} and ${SET}`: `{ and value`,
		`${SET:-{}`:              `value`,
		`${UNSET:-{}`:            `{`,
		`${SET}}`:                `value}`,
	} {
		for name, env := range map[string]string{text: "", "${WHOLE}": "WHOLE=" + text + "\n"} {
			if env != "" && strings.Contains(text, `"`) {
				env = "WHOLE=\"" + strings.ReplaceAll(text, `"`, `\"`) + "\"\n"
			}
			set, err := manifest.Load(manifest.Options{
				LookupEnv: func(name string) (string, bool) { return "value", name == "SET" },
				ReadFile: func(file string) ([]byte, error) {
					if file == "deploy.yaml" {
						return []byte("version: 1\nservice: braces\nenv: {KEY: '" + name + "'}\n"), nil
					}
					return []byte(env), nil
				}})
			require.NoError(t, err, text)
			require.Equal(t, want, set.Documents[0].Spec.Env["KEY"].Value, "%s by way of %q", text, env)
		}
	}
}
