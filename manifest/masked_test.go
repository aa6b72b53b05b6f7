package manifest_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// A release keeps what Render wrote; what it had to mask is found again in it.
func TestDocument_Masked(t *testing.T) {
	load := func(text string) *manifest.Document {
		set, err := manifest.Load(manifest.Options{Paths: []string{"deploy.yaml"}, LookupEnv: func(name string) (string, bool) { return "hush-4711", name == "KEY" },
			AllowSecretArgs: true, ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
		require.NoError(t, err)
		return &set.Documents[0]
	}
	d := load(`version: 1
service: shop
image: {build: {args: {TOKEN: "${KEY}"}}}
command: "serve ${KEY}"
env: {A: one, API_TOKEN: plain, B: "x${KEY}"}
secrets: {KEY: "env:KEY"}
health: {path: /health}
`)
	var text bytes.Buffer
	require.NoError(t, manifest.Render(&text, d))
	again := load(text.String())
	require.Equal(t, []string{"env.API_TOKEN", "env.B", "command"}, again.Masked())
	require.Equal(t, "one", again.Spec.Env["A"].Value)
	require.Empty(t, load("version: 1\nservice: shop\n").Masked())
}

func TestHides_whatRenderMasks(t *testing.T) {
	set, err := loadBytes([]byte(`version: 1
service: shop
region: us-east-1
image:
  build:
    context: app
    args: {VERSION: one}
    before: {run: [make, "--key=${TOKEN}"], env: {NPM_TOKEN: x, GOOS: linux}, outputs: [out]}
    secrets: {token: "env:TOKEN"}
secrets: {KEY: "env:TOKEN"}
`), nil, "")
	require.NoError(t, err)
	d := &set.Documents[0]
	for path, want := range map[string]bool{
		"image.build.args.VERSION": false, "image.build.before.env.NPM_TOKEN": true, "image.build.before.env.GOOS": false,
		"image.build.before.run": true, "image.build.before.outputs": false, "image.build.args.OTHER": false,
	} {
		require.Equal(t, want, d.Hides(path), path)
	}
}
