package manifest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/manifest"
)

// TestSyntaxError_blamesTheTabThatBrokeIt holds that a tab which YAML allows is no reason for
// an error further down.
func TestSyntaxError_blamesTheTabThatBrokeIt(t *testing.T) {
	const tab = "a tab in the indentation"
	long := strings.Repeat("# a comment\n", 400)
	for text, want := range map[string]string{
		"a: 1\nb:\n\tc: 1\n":                    "deploy.yaml:3:1: is not YAML: " + tab,
		"a:\n  b: 1\n\tc: 2\n":                  "deploy.yaml:3:1: is not YAML: " + tab,
		"a:\n  b: 1\n  \tc: 2\n":                "deploy.yaml:3:3: is not YAML: " + tab,
		"\ta: 1\n":                              "deploy.yaml:1:1: is not YAML: " + tab,
		"a: |\n  x\n  \ty\nb: 1\nc:\n\td: 1\n":  "deploy.yaml:6:1: is not YAML: " + tab,
		long + "a:\n  b: 1\n\tc: 2\n":           "deploy.yaml:403:1: is not YAML: " + tab,
		long + "a:\n\tc: 2\n":                   "deploy.yaml:402:1: is not YAML: " + tab,
		"a: |\n  x\n  \ty\nb: [1\n":             "deploy.yaml:4:1: is not YAML: a [ is never closed, or a comma is missing",
		"a: |\n  x\n  \ty\nb: @foo\n":           "deploy.yaml:4:1: is not YAML: a value starts with a character that YAML keeps for itself",
		"a: [\n\tb,\n\tc\n]\nd: \"x\n":          "deploy.yaml:5:1: is not YAML: a quote is never closed",
		"a: |\n  x\n  \ty\nb:\n  - c\n  d: 1\n": "deploy.yaml:6:1: is not YAML: the items of the list are not in one column",
		long + "a: |\n  x\n  \ty\nb: c: d\n":    "deploy.yaml:404:1: is not YAML: a second \": \" where only one can be",
	} {
		err := yaml.Unmarshal([]byte(text), &yaml.Node{})
		require.Error(t, err, text)
		got := manifest.SyntaxError("deploy.yaml", []byte(text), err)
		require.Equal(t, want, got.Error(), "%s: %v", strings.TrimPrefix(text, long), err)
		require.NotEmpty(t, got.Hint())
	}
}
