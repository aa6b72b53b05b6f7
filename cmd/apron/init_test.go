package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInit_asksAgain has answers on a terminal that the manifest would refuse.
func TestInit_asksAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		typed string
		flags []string
		code  int
		says  []string
		never string
		holds []string // lines of the manifest; none: it was not written
	}{
		"what was found": {typed: "\n\n\n", holds: []string{"service: shop", "port: 8000", "health: {path: /healthz}"}, never: "is not"},
		"a name that is none": {typed: "x\nstore\n\n\n", says: []string{"apron: service: x is not a service name: use 4 to 40 letters"},
			holds: []string{"service: store", "port: 8000"}},
		"a port that is none": {typed: "\nabc\n70000\n0\n8081\n\n", says: []string{`apron: port: "abc" is not a number from 1 to 65535`, `apron: port: "70000" is not`, `apron: port: "0" is not`},
			holds: []string{"service: shop", "port: 8081"}},
		"a path that is none": {typed: "\n\nhealth\n/health\n", says: []string{"apron: health.path: "}, holds: []string{"health: {path: /health}"}},
		"none":                {typed: "\n\n-\n", holds: []string{"# health: {path: /health}"}},
		"a right one ends it": {typed: "\n\n", holds: []string{"service: shop", "port: 8000", "health: {path: /healthz}"}},
		"a wrong one ends it": {typed: "\nabc", code: exitUsage, says: []string{`port: "abc" is not a number from 1 to 65535; nothing was written`}},
		"a wrong flag":        {typed: "\n\n\n", flags: []string{"--service", "x"}, code: exitUsage, says: []string{"service: x is not a service name"}, never: "port it listens on"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"name": "shop"}`), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nEXPOSE 8000\nHEALTHCHECK CMD curl http://localhost:8000/healthz\n"), 0o600))
			var out bytes.Buffer
			a := newApp(strings.NewReader(tc.typed), &out, &out)
			a.ttyIn, a.lookup = true, func(string) (string, bool) { return "", false }
			file := filepath.Join(dir, "deploy.yaml")
			require.Equal(t, tc.code, a.run(t.Context(), append([]string{"init", "--file", file}, tc.flags...)), out.String())
			for _, text := range tc.says {
				require.Contains(t, out.String(), text)
			}
			if tc.never != "" {
				require.NotContains(t, strings.ReplaceAll(out.String(), "apron: error: ", ""), tc.never)
			}
			written, err := os.ReadFile(file)
			if len(tc.holds) == 0 {
				require.ErrorIs(t, err, os.ErrNotExist)
				return
			}
			require.NoError(t, err)
			for _, line := range tc.holds {
				require.Contains(t, string(written), "\n"+line)
			}
		})
	}
}
