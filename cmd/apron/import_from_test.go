package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/stretchr/testify/require"
)

// TestImportFrom_plansNothing drafts manifests from what describe-service prints of services
// that somebody made by hand, and takes them over: nothing is changed but tags.
func TestImportFrom_plansNothing(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorldAt(t, c, filepath.Join(t.TempDir(), "state"), 0, 100)
	h := newByHand(t, w)
	for name, settings := range map[string][]string{
		"variables": {"sized", "other-port", "plain-variables", "http-health", "encrypted"},
		"secrets":   {"secret-references", "commanded", "own-scaling", "dual-stack"},
		"connected": {"traced", "through-a-vpc", "tcp-health"},
	} {
		t.Run(name, func(t *testing.T) {
			in := h.plain("from-" + name)
			for _, s := range settings {
				handMade[s].set(h, in)
			}
			arn, err := h.create(t.Context(), in)
			require.NoError(t, err)
			live, err := h.DescribeService(t.Context(), &sdk.DescribeServiceInput{ServiceArn: &arn})
			require.NoError(t, err)
			c.write(name+"/service.json", printed(t, map[string]any{"Service": live.Service}))

			w.manifest = name + "/deploy.yaml"
			code, out := w.run(t.Context(), "import", "--from", filepath.Join(c.dir, name, "service.json"))
			require.Equal(t, exitOK, code, out)
			require.Empty(t, w.calls)
			text, err := os.ReadFile(filepath.Join(c.dir, name, "deploy.yaml"))
			require.NoError(t, err)
			code, out = w.run(t.Context(), "apply", "--adopt", "--yes")
			require.Equal(t, exitOK, code, "%s\n%s", out, text)
			for _, call := range w.calls {
				_, operation, _ := strings.Cut(call, " ")
				require.NotRegexp(t, "Service$|Deployment$", strings.TrimPrefix(operation, "DescribeService"), "the service stays as it is:\n%s\n%s", out, text)
			}
			code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
			require.Equal(t, exitOK, code, "%s\n%s", out, text)
		})
	}
}

// printed is JSON as the AWS CLI prints it: without what is not there.
func printed(t *testing.T, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var tree any
	require.NoError(t, json.Unmarshal(data, &tree))
	var strip func(any)
	strip = func(v any) {
		m, _ := v.(map[string]any)
		for k, inner := range m {
			if inner == nil {
				delete(m, k)
				continue
			}
			strip(inner)
		}
	}
	strip(tree)
	data, err = json.MarshalIndent(tree, "", "    ")
	require.NoError(t, err)
	return string(data)
}
