package apprunner

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// fakeEngine runs instances that are HTTP servers in this process.
type fakeEngine struct {
	mu     sync.Mutex
	all    []*fakeInstance
	starts int
}

var _ runner.Engine = (*fakeEngine)(nil)

func (e *fakeEngine) Name() string                { return "fake" }
func (e *fakeEngine) Describe() string            { return "not isolated" }
func (e *fakeEngine) Close(context.Context) error { return nil }

func (e *fakeEngine) Start(ctx context.Context, s runner.Spec) (runner.Instance, error) {
	i := &fakeInstance{spec: s, env: map[string]string{}, conns: make(chan net.Conn), done: make(chan struct{}), hold: make(chan struct{})}
	for _, kv := range s.Env {
		k, v, _ := strings.Cut(kv, "=")
		i.env[k] = v
	}
	config, err := s.Image.ConfigFile()
	if err != nil {
		return nil, err
	}
	i.version = config.Config.Labels["version"]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starts++
	if i.env["MODE"] == "unstartable" {
		return nil, errors.New("no space left")
	}
	e.all = append(e.all, i)
	i.serve()
	return i, nil
}

func (e *fakeEngine) alive() (alive []*fakeInstance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range e.all {
		select {
		case <-i.done:
		default:
			alive = append(alive, i)
		}
	}
	return alive
}

func (e *fakeEngine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.starts
}

// fakeInstance is an application. MODE says how it behaves:
//
//	""     healthy       sick  /health answers 500     deaf  listens never
//	exit3  exits at once slow  listens after 100 ms    crash healthy, exits after 20 ms
type fakeInstance struct {
	spec    runner.Spec
	env     map[string]string
	version string
	conns   chan net.Conn
	done    chan struct{}
	hold    chan struct{} // /hold answers when it is closed
	once    sync.Once
	exit    runner.Exit
	sick    atomic.Bool
	deaf    atomic.Bool
	defiant atomic.Bool // Stop fails, as with an engine that does not answer
	holding atomic.Int32
	dropped atomic.Int32 // requests that SIGTERM cut off
	server  http.Server
}

func (i *fakeInstance) serve() {
	mode := i.env["MODE"]
	i.sick.Store(mode == "sick")
	i.deaf.Store(mode == "deaf" || mode == "slow")
	i.server.Handler = http.HandlerFunc(i.answer)
	i.spec.Output("started " + i.version)
	go func() { _ = i.server.Serve(pipes{i}) }()
	after := func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	switch mode {
	case "exit3":
		i.end(runner.Exit{Code: 3})
	case "slow":
		after(600*time.Millisecond, func() { i.deaf.Store(false) }) // more than the fastest clock would leave of five minutes
	case "crash":
		after(20*time.Millisecond, func() { i.end(runner.Exit{Code: 1}) })
	}
}

func (i *fakeInstance) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/health" && i.sick.Load():
		http.Error(w, "sick", http.StatusInternalServerError)
	case r.URL.Path == "/hold":
		i.holding.Add(1)
		defer i.holding.Add(-1)
		select {
		case <-i.hold:
			_, _ = io.WriteString(w, i.version)
		case <-i.done:
			i.dropped.Add(1)
		case <-r.Context().Done():
		}
	case r.URL.Path == "/headers":
		_ = json.NewEncoder(w).Encode(map[string]any{"Host": r.Host, "Header": r.Header})
	case r.URL.Path == "/echo":
		_, _ = io.Copy(w, r.Body)
	default:
		_, _ = io.WriteString(w, i.version)
	}
}

func (i *fakeInstance) end(exit runner.Exit) {
	i.once.Do(func() {
		i.exit = exit
		close(i.done)
		_ = i.server.Close()
	})
}

func (i *fakeInstance) Dial(ctx context.Context) (net.Conn, error) {
	if i.deaf.Load() {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	select {
	case i.conns <- server:
		return client, nil
	case <-i.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (i *fakeInstance) Done() <-chan struct{}        { return i.done }
func (i *fakeInstance) Exit() runner.Exit            { return i.exit }
func (i *fakeInstance) Stats() (runner.Stats, error) { return runner.Stats{}, nil }
func (i *fakeInstance) Stop(context.Context, time.Duration) error {
	if i.defiant.Load() {
		return errors.New("the engine does not answer")
	}
	i.end(runner.Exit{Code: 143})
	return nil
}

// pipes is the listener of an instance.
type pipes struct{ i *fakeInstance }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.i.conns:
		return c, nil
	case <-p.i.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }
