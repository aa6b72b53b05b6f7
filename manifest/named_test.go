package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

func TestNamesIn_takesAllDocumentsAndEnvironments(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want manifest.Named
		bad  bool
	}{
		"a service":                  {text: "version: 1\nservice: web\n", want: manifest.Named{Services: []string{"web"}}},
		"several":                    {text: "version: 1\nservice: web\n---\nversion: 1\nservice: api\n---\nservice: web\n", want: manifest.Named{Services: []string{"web", "api"}}},
		"environments":               {text: "service: web\nenvironments:\n  test: {}\n  production: {service: web-prod}\n  empty:\n", want: manifest.Named{Services: []string{"web", "web-prod"}, Environments: []string{"test", "production", "empty"}}},
		"a variable":                 {text: "service: web-${PR}\n", want: manifest.Named{Services: []string{"web-${PR}"}, Open: true}},
		"one in an anchor":           {text: "x-prod: &prod {service: \"web-${PR}\"}\nservice: web\nenvironments: {prod: *prod}\n", want: manifest.Named{Services: []string{"web", "web-${PR}"}, Environments: []string{"prod"}, Open: true}},
		"merged":                     {text: "x-name: &name {service: web}\n<<: *name\nversion: 1\n", want: manifest.Named{Services: []string{"web"}}},
		"something else":             {text: "kind: List\nitems: []\n"},
		"a list":                     {text: "- a\n", bad: true},
		"environments that are none": {text: "service: [web]\nenvironments: none\n"},
		"no YAML":                    {text: "service: [web\n", bad: true},
		"half of it":                 {text: "service: web\n---\nservice: *none\n", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := manifest.NamesIn([]byte(tc.text))
			require.Equal(t, !tc.bad, ok)
			require.Equal(t, tc.want, got)
		})
	}
}
