package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
)

// TestScan_stopsARollout: what ECR finds in an image that was pushed decides whether a
// service gets it. The one that runs keeps what it has.
func TestScan_stopsARollout(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	c.replace("deploy.yaml", "tags: [latest]}", "tags: [latest], scan: {fail_on: HIGH}}")
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	pushed := func() string {
		t.Helper()
		code, out := w.run(t.Context(), "push", "--yes")
		require.Equal(t, exitOK, code, out)
		code, out = w.run(t.Context(), "images", "--json")
		require.Equal(t, exitOK, code, out)
		_, digest, _ := strings.Cut(out, `"digest": "`)
		return digest[:len("sha256:")+64]
	}
	found := ecr.Scan{Findings: []ecr.ScanFinding{
		{Name: "CVE-2026-1", Severity: "CRITICAL", Package: "openssl", Version: "3.0.1"},
		{Name: "CVE-2026-2", Severity: "LOW", Package: "zlib", Version: "1.2"},
	}}
	require.NoError(t, w.SetScan("shop", pushed(), found))
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitPolicy, code, out)
	require.Regexp(t, `CRITICAL +1 +0 +1`, out)
	require.Contains(t, out, "1 finding at or above HIGH: CVE-2026-1 openssl")
	require.Contains(t, out, "skipped   + ecr/tag/shop:latest")
	require.NotContains(t, w.inventory(), "service RUNNING shop")

	c.replace("deploy.yaml", "fail_on: HIGH", "fail_on: HIGH, allow: [{id: CVE-2026-1, until: 2020-01-31}]")
	code, out = w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitPolicy, code, out)
	require.Contains(t, out, "CVE-2026-1 has ended on 2020-01-31")

	c.replace("deploy.yaml", "until: 2020-01-31", "until: 2099-12-31")
	code, out = w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, w.inventory(), "service RUNNING shop")

	c.replace("deploy.yaml", "id: CVE-2026-1", "id: CVE-2026-9")
	c.replace("deploy.yaml", "cpu: 256", "cpu: 512")
	c.replace("deploy.yaml", "memory: 512", "memory: 1024")
	code, out = w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, "a change that keeps the image is not asked about\n%s", out)
}
