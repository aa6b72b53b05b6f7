package apprunner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/stretchr/testify/require"

	emulator "github.com/apron-deploy/apron/providers/sandbox/apprunner"
	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/logs"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// rig is the provider on the real SDK against the sandbox's App Runner and CloudWatch
// Logs over HTTP, with an engine whose containers are goroutines.
type rig struct {
	*Provider
	t      *testing.T
	client *sdk.Client
	faults *emulator.Faults

	left   atomic.Int64 // the connection breaks at the write that makes it 0
	late   atomic.Bool  // after the write has taken effect
	mu     sync.Mutex
	calls  []string        // writes
	denied map[string]bool // actions that the roles do not allow
	absent string          // an image that does not exist
	dns    sync.Map        // name → CNAME
}

func newRig(t *testing.T, tries int, o Options) *rig {
	t.Helper()
	r := &rig{t: t, faults: &emulator.Faults{}, denied: map[string]bool{}}
	dir := t.TempDir()
	disk, err := store.Open(dir)
	require.NoError(t, err)
	events, err := logs.New(logs.Options{Store: disk, Account: "123456789012", Region: "us-east-1"})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
		Around:   r.around,
	})
	var service *emulator.Service
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Amz-Target") != "" {
			mux.ServeHTTP(w, req)
			return
		}
		front, _ := service.Route(req.Host)
		front.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	waits := emulator.Rehearsal()
	waits.Grace = 50 * time.Millisecond
	service, err = emulator.New(emulator.Options{
		Dir: dir, Account: "123456789012", Region: "us-east-1", Clock: clock.New(1000), Endpoint: func() string { return server.URL },
		Images: r, Roles: r, Secrets: r, Logs: events, Engine: engine{}, Waits: &waits, Faults: r.faults, Resolver: r,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, service.Close(ctx))
	})
	mux.Add(service.API())
	mux.Add(events.API())
	o.Poll = 5 * time.Millisecond
	r.Provider = New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = tries
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}, identity, o)
	r.client = r.api.(*sdk.Client)
	return r
}

// arm breaks the connection at the n-th write from now, before or after its effect.
func (r *rig) arm(n int64, after bool) { r.left.Store(n); r.late.Store(after) }

func (r *rig) around(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
	op := call.Operation
	if strings.HasPrefix(op, "Describe") || strings.HasPrefix(op, "List") || strings.HasPrefix(op, "Filter") {
		return next(ctx)
	}
	r.mu.Lock()
	r.calls = append(r.calls, op)
	r.mu.Unlock()
	breaks := r.left.Add(-1) == 0
	if breaks && !r.late.Load() {
		return nil, wire.ErrDropped
	}
	out, err := next(ctx)
	if breaks {
		return nil, wire.ErrDropped
	}
	return out, err
}

// CNAME is the world's DNS.
func (r *rig) CNAME(_ context.Context, name string) (string, error) {
	value, _ := r.dns.Load(strings.TrimSuffix(name, "."))
	text, _ := value.(string)
	return text, nil
}

// publish puts the records of all domains of a service into DNS.
func (r *rig) publish(service state.Observed) {
	r.t.Helper()
	domains, err := r.Domains(r.t.Context(), service.ID)
	require.NoError(r.t, err)
	for _, d := range domains {
		for _, record := range d.Records {
			r.dns.Store(record.Name, record.Value)
		}
	}
}

// called returns the writes since the last time, and forgets them.
func (r *rig) called() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// Image, Assume, Allowed and Value are ECR, IAM and the secret stores.
func (r *rig) Image(identifier string) (v1.Image, string, error) {
	if r.absent != "" && strings.HasSuffix(identifier, r.absent) {
		return nil, "", errors.New("image not found")
	}
	digest, err := empty.Image.Digest()
	return empty.Image, digest.String(), err
}

func (r *rig) Assume(string, string) error      { return nil }
func (r *rig) Allowed(_, action, _ string) bool { return !r.denied[action] }
func (r *rig) Value(ref string) (string, error) { return "value of " + ref, nil }

// wants is a manifest's service and scaling configuration.
func wants(s state.Spec) state.Desired { return wantsBeside(s, nil) }

func wantsBeside(s state.Spec, live state.Live) state.Desired {
	d := state.Desired{}
	in := inputs
	in.Live = live
	if s.Secrets == nil {
		in.Secrets = nil
	}
	for _, r := range Desired(s, in) {
		d[r.Address] = r
	}
	return d
}

func (r *rig) plan(ctx context.Context, s state.Spec, o plan.Options) (*plan.Plan, state.Live, error) {
	q := reconcile.Query{Region: "us-east-1", Specs: []state.Spec{s}}
	for a := range wants(s) {
		q.Want = append(q.Want, a)
	}
	live, _, err := r.Observe(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Build(wantsBeside(s, live), live, o)
	return p, live, err
}

// apply plans and applies, and returns the ids of the plan's actions.
func (r *rig) apply(s state.Spec, o plan.Options) ([]string, error) {
	p, live, err := r.plan(r.t.Context(), s, o)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range p.Actions {
		ids = append(ids, string(a.ID))
	}
	_, err = apply.Run(r.t.Context(), p, reconcile.Known(live), r, apply.Options{})
	return ids, err
}

// settled wants a plan without actions, and returns the service as it is.
func (r *rig) settled(s state.Spec) state.Observed {
	r.t.Helper()
	p, live, err := r.plan(r.t.Context(), s, plan.Options{})
	require.NoError(r.t, err)
	require.Empty(r.t, p.Actions)
	return live[Service(s.Service)]
}

// engine runs containers that are goroutines. The variable MODE says how they behave:
// "sick" answers 500 to health checks, "exit3" says why and exits.
type engine struct{}

var _ runner.Engine = engine{}

func (engine) Name() string                { return "fake" }
func (engine) Describe() string            { return "not isolated" }
func (engine) Close(context.Context) error { return nil }

func (engine) Start(_ context.Context, s runner.Spec) (runner.Instance, error) {
	i := &instance{conns: make(chan net.Conn), done: make(chan struct{})}
	mode := ""
	for _, kv := range s.Env {
		if m, ok := strings.CutPrefix(kv, "MODE="); ok {
			mode = m
		}
	}
	i.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if mode == "sick" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		if req.URL.Path == "/missing" {
			http.NotFound(w, req)
		}
	})
	s.Output("started")
	if mode == "exit3" {
		s.Output("cannot open the database")
		i.end(runner.Exit{Code: 3})
		return i, nil
	}
	go func() { _ = i.server.Serve(i) }()
	return i, nil
}

// instance is a container and the listener of its server.
type instance struct {
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	exit   runner.Exit
	server http.Server
}

func (i *instance) end(exit runner.Exit) {
	i.once.Do(func() {
		i.exit = exit
		close(i.done)
		_ = i.server.Close()
	})
}

func (i *instance) Dial(ctx context.Context) (net.Conn, error) {
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

func (i *instance) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

func (i *instance) Close() error                 { return nil }
func (i *instance) Addr() net.Addr               { return &net.TCPAddr{} }
func (i *instance) Done() <-chan struct{}        { return i.done }
func (i *instance) Exit() runner.Exit            { return i.exit }
func (i *instance) Stats() (runner.Stats, error) { return runner.Stats{}, fmt.Errorf("no cgroup") }

func (i *instance) Stop(context.Context, time.Duration) error {
	i.end(runner.Exit{Code: 143})
	return nil
}
