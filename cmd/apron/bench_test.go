package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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

// BenchmarkPlan_directory plans a directory of services, of which the first few are live,
// against a sandbox whose calls take 20 ms each.
func BenchmarkPlan_directory(b *testing.B) {
	const latency = 20 * time.Millisecond
	for _, size := range []int{50, 200} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := newCheckout(b, small, built.tiny)
			for n := range size - 1 { // beside deploy.yaml
				c.write(fmt.Sprintf("s%03d.yaml", n), strings.Replace(small, "service: shop", fmt.Sprintf("service: shop-%03d", n), 1))
			}
			w := newWorld(b, c, filepath.Join(b.TempDir(), "state"), latency)
			w.manifest = "."
			for b.Loop() {
				code, out := w.run(b.Context(), "plan")
				require.Equal(b, exitOK, code, out)
			}
			count := map[string]int{}
			for _, call := range w.calls {
				count[call]++
			}
			names := []string{}
			for k := range count {
				names = append(names, k)
			}
			slices.SortFunc(names, func(x, y string) int { return cmp.Compare(count[y], count[x]) })
			for _, k := range names {
				b.Log(k, count[k])
			}
			b.ReportMetric(float64(len(w.calls))/float64(size), "calls/service")
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(latency), "roundtrips/op")
		})
	}
}
