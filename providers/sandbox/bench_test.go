package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// found is a greeter that tells where its instances listen.
type found struct {
	greeter
	at chan string
}

func (f found) Start(ctx context.Context, s runner.Spec) (runner.Instance, error) {
	i, err := f.greeter.Start(ctx, s)
	if err == nil {
		f.at <- i.(*greeting).server.URL
	}
	return i, err
}

// BenchmarkRoute asks a service through the sandbox's router and at the container's own
// port, in rounds that alternate, 500 requests a second each. The difference of the medians
// is what the router costs.
func BenchmarkRoute(b *testing.B) {
	const rate, round = 500, 500
	engine := found{at: make(chan string, 1)}
	s := serve(b, func(o *sandbox.Options) { o.Speed, o.Runner = 1000, engine })
	deploy(b, s)
	direct := <-engine.at
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	ask := func(url, host string) time.Duration {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		require.NoError(b, err)
		r.Host = host
		start := time.Now()
		res, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		took := time.Since(start)
		if res.Body.Close(); res.StatusCode != http.StatusOK {
			b.Error(res.Status)
		}
		return took
	}
	rounds := func(url, host string) []time.Duration {
		took := make([]time.Duration, round)
		var all sync.WaitGroup
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for i := range took {
			<-tick.C
			all.Go(func() { took[i] = ask(url, host) })
		}
		all.Wait()
		return took
	}
	var straight, routed []time.Duration
	for b.Loop() {
		straight = append(straight, rounds(direct, "")...)
		routed = append(routed, rounds(s.Endpoint(), "shop.localhost")...)
	}
	at := func(all []time.Duration, share float64) float64 {
		slices.Sort(all)
		return float64(all[int(share*float64(len(all)-1))].Microseconds())
	}
	b.ReportMetric(at(straight, 0.5), "direct-p50-µs")
	b.ReportMetric(at(routed, 0.5)-at(straight, 0.5), "overhead-p50-µs")
	b.ReportMetric(at(straight, 0.99), "direct-p99-µs")
	b.ReportMetric(at(routed, 0.99), "routed-p99-µs")
}
