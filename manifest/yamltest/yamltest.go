// Package yamltest reads, in tests, YAML that is no manifest: workflows of CI systems.
package yamltest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// Read decodes a file. GitLab's !reference is left as the list of its names.
func Read(t testing.TB, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, into), file)
}
