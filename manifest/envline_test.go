package manifest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/manifest"
)

// TestEnvLine_isReadAsItWasWritten writes any value into an env file and has a manifest take
// it from there.
func TestEnvLine_isReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.StringMatching(`[a-z$'"\\{}#= \n]{1,12}`),
			rapid.StringMatching(`[ -~éß]{1,30}`),
		).Draw(t, "value")
		set, err := manifest.Load(manifest.Options{
			Paths: []string{"deploy.yaml"}, LookupEnv: func(string) (string, bool) { return "", false },
			ReadFile: func(name string) ([]byte, error) {
				switch name {
				case "deploy.yaml":
					return []byte("version: 1\nservice: shop\nenv: {KEY: \"${KEY}\"}\n"), nil
				case ".env":
					return []byte("FIRST=1\n" + manifest.EnvLine("KEY", value) + "LAST=2\n"), nil
				}
				return nil, os.ErrNotExist
			}})
		require.NoError(t, err)
		require.Equal(t, value, set.Documents[0].Spec.Env["KEY"].Value)
	})
}
