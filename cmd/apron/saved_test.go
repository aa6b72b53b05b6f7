package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSaved_isOfTheFlagsItWasMadeBy: whoever applies a saved plan repeats none of them.
func TestSaved_isOfTheFlagsItWasMadeBy(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+"env: {LEVEL: \"${LEVEL}\"}\n---\n"+strings.Replace(small, "service: shop", "service: bill", 1), built.tiny)
	c.write("vars", "LEVEL=debug\nKEY="+canary+"-value\n")
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	w.vars = map[string]string{}
	file, vars := filepath.Join(c.dir, "plan.json"), filepath.Join(c.dir, "vars")
	code, out := w.run(t.Context(), "plan", "--no-verify", "--out", file, "--only", "shop", "--env-file", vars, "--region", sandboxRegion)
	require.Equal(t, exitOK, code, out)
	v, err := readSaved(file)
	require.NoError(t, err)
	require.Equal(t, []string{"shop"}, v.Only)
	require.Equal(t, []string{vars}, v.EnvFiles)
	require.Equal(t, sandboxRegion, v.Region)
	code, out = w.run(t.Context(), "apply", file, "--no-verify")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, w.inventory(), "service RUNNING shop")
	require.NotContains(t, w.inventory(), "service RUNNING bill")

	// Of the flags that are given again, these count.
	code, out = w.run(t.Context(), "apply", file, "--no-verify", "--only", "bill")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "not approved: create apprunner/service/bill")
}

// TestSaved_whereASecretIsAsAnythingElse: a secret whose value the plan says for other reasons,
// too, keeps no plan from being carried out.
func TestSaved_whereASecretIsAsAnythingElse(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"shop", "plan", "apprunner", "create", sandboxRegion, sandboxAccount, "deploy.yaml"} {
		t.Run(secret, func(t *testing.T) {
			t.Parallel()
			c := newCheckout(t, small+"env: {ALSO: \"x-${KEY}-y\"}\n", built.tiny)
			w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
			w.vars = map[string]string{"KEY": secret}
			file := filepath.Join(c.dir, "plan.json")
			code, out := w.run(t.Context(), "plan", "--no-verify", "--out", file)
			require.Equal(t, exitOK, code, out)
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NotContains(t, string(data), "x-"+secret)

			c.replace("deploy.yaml", "max: 2", "max: 3")
			code, out = w.run(t.Context(), "apply", file, "--no-verify")
			require.Equal(t, exitUnapproved, code, out)
			require.Contains(t, out, "nothing was changed")
			require.Contains(t, out, "apron-1-2-50")
			c.replace("deploy.yaml", "max: 3", "max: 2")
			code, out = w.run(t.Context(), "apply", file, "--no-verify")
			require.Equal(t, exitOK, code, out)
			require.Contains(t, out, "Apply complete")

			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), `"hash": "`, `"hash": "0`, 1)), 0o600))
			code, out = w.run(t.Context(), "apply", file, "--no-verify")
			require.Equal(t, exitUsage, code, out)
			require.Contains(t, out, "was changed after it was saved")
		})
	}
}
