package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// bom is what editors on Windows may put in front of a text.
const bom = "\uFEFF"

func TestEnvNames_takesTheFirstOneBehindABOM(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	require.NoError(t, os.WriteFile(file, []byte(bom+"API_TOKEN=x\r\nB=y\r\n"), 0o600))
	names, err := manifest.EnvNames(file)
	require.NoError(t, err)
	require.Equal(t, []manifest.EnvName{{Name: "API_TOKEN", Secret: true}, {Name: "B"}}, names)
}

func TestLoad_findsManifestsInADirectory(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		other bool
	}{
		"plain":               {text: "version: 1\nservice: shop\n"},
		"with a BOM":          {text: bom + "version: 1\nservice: shop\n"},
		"keys in quotes":      {text: "\"version\": 1\n'service': shop\n"},
		"all of it":           {text: bom + "\"version\": 1\r\n\"service\" : shop\r\n"},
		"a key further in":    {text: "a:\n  version: 1\n  service: shop\n", other: true},
		"a key that ends so":  {text: "api-version: 1\nservice: shop\n", other: true},
		"compose's file":      {text: "version: '3'\nservices: {}\n", other: true},
		"half of the quotes":  {text: "\"version: 1\nservice: shop\n", other: true},
		"one that is no YAML": {text: "version: 1\nservice: [shop\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(tc.text), 0o600))
			set, _ := manifest.Load(manifest.Options{Paths: []string{dir}, LookupEnv: lookup})
			require.Equal(t, tc.other, len(set.Unread) == 1)
		})
	}
}

func TestRewrite_behindABOM(t *testing.T) {
	out, _, err := manifest.Rewrite("deploy.yaml", []byte(bom+"service: shop # ours\nport: 80\n"), manifest.EditOptions{},
		[]manifest.Edit{{Path: "service", Value: "shop2"}, {Path: "port", Value: "81"}})
	require.NoError(t, err)
	require.Equal(t, bom+"service: shop2 # ours\nport: 81\n", string(out))
}
