package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
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

// paces are how many calls a second, and at once, a run of apron allows itself, by the
// names that the sandbox has for APIs; an operation with a pace of its own is not counted
// among its API's calls.
var paces = map[string]struct{ rate, burst float64 }{
	"apprunner": {20, 40}, "ecr": {100, 200}, "iam": {20, 40}, "ssm": {40, 40}, "ecr BatchGetImage": {1000, 200}, "tagging": {15, 15},
}

// BenchmarkPlan_directory plans a directory of services that are not live yet, against a
// sandbox whose calls take 20 ms each. "ratio" is the time it takes to what the pace of its
// slowest API leaves it: that of a plan that waits for nothing else.
func BenchmarkPlan_directory(b *testing.B) {
	const latency = 20 * time.Millisecond
	for _, size := range []int{50, 200} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
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
			b.ReportMetric(float64(len(w.calls))/float64(size), "calls/service")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/w.least(latency), "ratio")
		})
	}
}

// BenchmarkPlan_liveDirectory does the same with services that are live and unchanged. One
// server answers for all of them, so that there may be more than a machine could run. "depth" is how many calls there were
// at once at most.
func BenchmarkPlan_liveDirectory(b *testing.B) {
	const latency = 20 * time.Millisecond
	for _, size := range []int{50, 200} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			c := newCheckout(b, patient, built.tiny)
			c.write("app/app", "is never started")
			directory(c, 1, size)
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			defer server.Close()
			o := sandbox.Options{Dir: filepath.Join(b.TempDir(), "state"), Speed: 100, Services: size, Runner: answering{server}}
			w := newWorldOf(b, c, o)
			w.manifest = "."
			code, out := w.run(b.Context(), "apply", "--yes", "--parallelism", "64")
			require.Equal(b, exitOK, code, out)
			w.end()
			o.Speed = 1
			w = newWorldOf(b, c, o)
			w.manifest = "."
			var now, most atomic.Int64
			w.held(func(string) {
				n := now.Add(1)
				defer now.Add(-1)
				for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
				}
				time.Sleep(latency) // what is measured
			})
			for b.Loop() {
				code, out := w.run(b.Context(), "plan", "--detailed-exitcode")
				require.Equal(b, exitOK, code, out)
			}
			b.ReportMetric(float64(len(w.calls))/float64(size), "calls/service")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/w.least(latency), "ratio")
			b.ReportMetric(float64(most.Load()), "depth")
		})
	}
}

// least is how many seconds the last run had to take for the pace of its slowest API, each
// call taking latency.
func (w *world) least(latency time.Duration) float64 {
	least := latency.Seconds()
	for api, n := range w.paced() {
		if p, ok := paces[api]; ok {
			least = max(least, (float64(n)-p.burst)/p.rate+latency.Seconds())
		}
	}
	return least
}

// answering is an engine that starts nothing: a server of this process is what all of its
// instances are.
type answering struct{ server *httptest.Server }

var _ runner.Engine = answering{}

func (answering) Name() string                { return "none" }
func (answering) Describe() string            { return "nothing is started" }
func (answering) Close(context.Context) error { return nil }
func (e answering) Start(context.Context, runner.Spec) (runner.Instance, error) {
	i := &answer{server: e.server.Listener.Addr(), done: make(chan struct{})}
	i.stop = sync.OnceFunc(func() { close(i.done) })
	return i, nil
}

type answer struct {
	server net.Addr
	done   chan struct{}
	stop   func()
}

func (i *answer) Dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", i.server.String())
}
func (i *answer) Done() <-chan struct{}        { return i.done }
func (i *answer) Exit() runner.Exit            { return runner.Exit{} }
func (i *answer) Stats() (runner.Stats, error) { return runner.Stats{}, nil }
func (i *answer) Stop(context.Context, time.Duration) error {
	i.stop()
	return nil
}
