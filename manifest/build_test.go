package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

func TestLoad_keepsBuildSecretsOutOfImagesAndOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "deploy.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`version: 1
service: builds
image:
  build:
    context: app
    secrets: {npm: env:PASSWORD, pip: file:pip.conf, netrc: file:/root/.netrc}
`), 0o600))
	set, err := manifest.Load(manifest.Options{Paths: []string{file}, LookupEnv: lookup})
	require.NoError(t, err)
	require.Equal(t, []string{filepath.FromSlash("/root/.netrc"), filepath.Join(dir, "app", "pip.conf")}, set.EnvFiles)
	require.Equal(t, []string{environment["PASSWORD"]}, manifest.Redactions(set))
}

func TestLoad_takesSecretArgumentsFromWhoInsists(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deploy.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\nservice: insists\nhealth: {path: /}\nimage: {build: {args: {NPM_TOKEN: x}}}\n"), 0o600))
	set, err := manifest.Load(manifest.Options{Paths: []string{file}, LookupEnv: lookup})
	require.ErrorContains(t, err, "image.build.args.NPM_TOKEN: sounds like a secret")
	require.Empty(t, set.Documents)
	set, err = manifest.Load(manifest.Options{Paths: []string{file}, LookupEnv: lookup, AllowSecretArgs: true})
	require.NoError(t, err)
	require.Len(t, set.Documents, 1)
	require.Equal(t, "image.build.args.NPM_TOKEN", set.Warnings[0].Path)
}
