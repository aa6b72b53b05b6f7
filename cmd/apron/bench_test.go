package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkVersion is the time that the binary needs to start and end.
func BenchmarkVersion(b *testing.B) {
	c := newCheckout(b, small, built.tiny)
	for b.Loop() {
		require.NoError(b, c.command("version").Run())
	}
}

// BenchmarkPlan plans a service that is live and one that is not, against a sandbox whose
// calls take 50 ms each. Reads overlap, so that the time is that of a few round trips,
// which are reported, and not of some thirty calls.
func BenchmarkPlan(b *testing.B) {
	const latency = 50 * time.Millisecond
	for name, applied := range map[string]bool{"new": false, "live": true} {
		b.Run(name, func(b *testing.B) {
			c := newCheckout(b, small, built.tiny)
			w := newWorld(b, c, filepath.Join(b.TempDir(), "state"), latency)
			if applied {
				code, out := w.run(b.Context(), "apply", "--yes")
				require.Equal(b, exitOK, code, out)
			}
			for b.Loop() {
				code, out := w.run(b.Context(), "plan")
				require.Equal(b, exitOK, code, out)
			}
			b.ReportMetric(float64(len(w.calls)), "calls/op")
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(latency), "roundtrips/op")
		})
	}
}
