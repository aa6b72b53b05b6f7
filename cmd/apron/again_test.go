package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestApply_againAsksTheRegistryAtMostOnce counts what reaches the registry's /v2/: of a
// first apply, of a second one with nothing changed, and of one after a source has changed.
func TestApply_againAsksTheRegistryAtMostOnce(t *testing.T) {
	t.Parallel()
	for name, manifest := range map[string]string{
		"built":  small,
		"copied": strings.Replace(small, "{build: {context: app}, version: v1, tags: [latest]}", "{from: ./image.tar}", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCheckout(t, manifest, built.tiny)
			c.write("build.yaml", small)
			w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
			archive := func() {
				w.manifest = "build.yaml"
				code, out := w.run(t.Context(), "build", "--output", filepath.Join(c.dir, "image.tar"))
				require.Equal(t, exitOK, code, out)
				w.manifest = ""
			}
			apply := func() (requests, uploads int, out string) {
				t.Helper()
				code, out := w.run(t.Context(), "apply", "--yes")
				require.Equal(t, exitOK, code, out)
				for _, call := range w.calls {
					switch method, ok := strings.CutPrefix(call, "registry "); {
					case ok && (method == "POST" || method == "PATCH" || method == "PUT"):
						uploads++
						fallthrough
					case ok:
						requests++
					}
				}
				return requests, uploads, out
			}
			archive()
			_, uploads, _ := apply()
			require.GreaterOrEqual(t, uploads, 3, "a layer, the configuration, the manifest")

			requests, uploads, out := apply()
			require.Zero(t, uploads)
			require.LessOrEqual(t, requests, 1)
			require.Contains(t, out, "No changes")
			require.NotContains(t, out, "building with", "nothing is built")

			c.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
			if strings.Contains(manifest, "version: v1") {
				c.replace("deploy.yaml", "version: v1", "version: v2")
			}
			archive()
			_, uploads, _ = apply()
			require.Positive(t, uploads)
		})
	}
}
