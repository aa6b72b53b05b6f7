package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/reconcile/state"
)

// served is an instance whose port is that of a server in this process.
type served struct {
	runner.Instance
	addr string
	done chan struct{}
}

func (s served) Dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
}
func (s served) Done() <-chan struct{} { return s.done }
func (s served) Exit() runner.Exit     { return runner.Exit{} }

// TestHealth_isNotThatOfWhereItRedirectsTo has a health check that leads to a page which is
// fine: App Runner does not go there, and so nothing here may.
func TestHealth_isNotThatOfWhereItRedirectsTo(t *testing.T) {
	const verdict = "unhealthy: GET /health answers 302 Found"
	path, once, interval := "/health", 1, time.Millisecond
	spec := state.Spec{Health: &state.Health{Path: &path, Unhealthy: &once, Interval: &interval}}
	start := func() served {
		done := make(chan struct{})
		mux := http.NewServeMux()
		mux.Handle("/health", http.RedirectHandler("/login", http.StatusFound))
		mux.HandleFunc("/login", func(http.ResponseWriter, *http.Request) {})
		checked := sync.OnceFunc(func() { close(done) })
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mux.ServeHTTP(w, r)
			checked()
		}))
		t.Cleanup(s.Close)
		return served{addr: s.Listener.Addr().String(), done: done}
	}
	var out bytes.Buffer
	a := newApp(nil, &out, &out)
	a.watchHealth(t.Context(), spec, start())
	a.close()
	require.Equal(t, "apron: health: "+verdict+"\n", out.String())

	i := start()
	i.done = make(chan struct{})
	got, healthy := awaitHealth(t.Context(), spec, i)
	require.False(t, healthy)
	require.Equal(t, verdict, got)
}
