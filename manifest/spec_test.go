package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpec_saysWhatNamesTheCommitIsMadeFrom holds what an approval compares: another commit
// makes no difference to it, and all that the manifest itself says does.
func TestSpec_saysWhatNamesTheCommitIsMadeFrom(t *testing.T) {
	env := one(t, "version: 1\nservice: web-app\nenv: {SHA: '--v ${git.sha:-none}', A: '${B:-b}'}\n", "").Spec.Env
	require.True(t, env["SHA"].Provenance)
	require.Equal(t, "--v ${git.sha:-none}", env["SHA"].Source)
	require.False(t, env["A"].Provenance)
	require.Empty(t, env["A"].Source)
}
