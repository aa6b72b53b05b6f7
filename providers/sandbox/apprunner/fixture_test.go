package apprunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/smithy-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const (
	account      = "123456789012"
	region       = "us-east-1"
	registry     = account + ".dkr.ecr." + region + ".amazonaws.com/"
	accessRole   = "arn:aws:iam::123456789012:role/web-access"
	instanceRole = "arn:aws:iam::123456789012:role/web-instance"
)

// rig is an emulator on fakes, a real SDK client of it over HTTP, and a front door.
type rig struct {
	t       *testing.T
	s       *Service
	api     *sdk.Client
	server  *httptest.Server
	options Options
	world   *world
	engine  *fakeEngine
	faults  *Faults
}

// newRig starts an emulator whose clock is fast.
func newRig(t *testing.T, adjust ...func(*Options)) *rig {
	w := &world{images: map[string]v1.Image{}, secrets: map[string]string{}, denied: map[string]bool{}, lines: map[string][]string{}}
	w.push("web:v1", "v1")
	w.push("web:v2", "v2")
	r := &rig{t: t, world: w, engine: &fakeEngine{}, faults: &Faults{}}
	waits := Rehearsal()
	waits.Grace = 50 * time.Millisecond
	r.options = Options{
		Dir: t.TempDir(), Account: account, Region: region, Clock: clock.New(1000),
		Endpoint: func() string { return r.server.URL },
		Images:   w, Roles: w, Secrets: w, Logs: w, Engine: r.engine, Waits: &waits, Faults: r.faults,
	}
	for _, f := range adjust {
		f(&r.options)
	}
	r.open()
	t.Cleanup(func() { r.close() })
	return r
}

// open starts the emulator on what the directory holds.
func (r *rig) open() {
	var err error
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: region, Now: time.Now},
		Log: func(e wire.Entry) {
			if e.Detail != "" {
				r.t.Error(e.Detail)
			}
		},
	})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Amz-Target") != "" {
			mux.ServeHTTP(w, req)
			return
		}
		front, _ := r.s.Route(req.Host)
		front.ServeHTTP(w, req)
	}))
	r.s, err = New(r.options)
	require.NoError(r.t, err)
	mux.Add(r.s.API())
	r.api = sdk.New(sdk.Options{
		Region: region, BaseEndpoint: &r.server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
	})
}

func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	require.NoError(r.t, r.s.Close(ctx))
	r.server.Close()
	require.Empty(r.t, r.engine.alive(), "instances outlive the emulator")
}

// source is the smallest source configuration that AWS takes.
func source(image string) *types.SourceConfiguration {
	return &types.SourceConfiguration{
		ImageRepository: &types.ImageRepository{
			ImageIdentifier: aws.String(registry + image), ImageRepositoryType: types.ImageRepositoryTypeEcr,
			ImageConfiguration: &types.ImageConfiguration{},
		},
		AuthenticationConfiguration: &types.AuthenticationConfiguration{AccessRoleArn: aws.String(accessRole)},
	}
}

// mode makes instances misbehave, through an environment variable that the fake reads.
func mode(image, mode string) *types.SourceConfiguration {
	s := source(image)
	s.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables = map[string]string{"MODE": mode}
	return s
}

// httpCheck makes checks that see status codes.
func httpCheck() *types.HealthCheckConfiguration {
	return &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolHttp, Path: aws.String("/health"), UnhealthyThreshold: aws.Int32(2)}
}

// create makes a running service called shop.
func (r *rig) create(adjust ...func(*sdk.CreateServiceInput)) *types.Service {
	r.t.Helper()
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
	for _, f := range adjust {
		f(in)
	}
	out, err := r.api.CreateService(context.Background(), in)
	require.NoError(r.t, err)
	op := r.follow(out.Service.ServiceArn, out.OperationId)
	require.Equal(r.t, types.OperationStatusSucceeded, op.Status, r.world.dump())
	return r.describe(out.Service.ServiceArn)
}

func (r *rig) describe(arn *string) *types.Service {
	r.t.Helper()
	out, err := r.api.DescribeService(context.Background(), &sdk.DescribeServiceInput{ServiceArn: arn})
	require.NoError(r.t, err)
	return out.Service
}

// follow waits until an operation has ended.
func (r *rig) follow(arn, id *string) types.OperationSummary {
	r.t.Helper()
	var found types.OperationSummary
	r.eventually(func() bool {
		out, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: arn})
		require.NoError(r.t, err)
		i := slices.IndexFunc(out.OperationSummaryList, func(o types.OperationSummary) bool { return *o.Id == *id })
		require.GreaterOrEqual(r.t, i, 0)
		found = out.OperationSummaryList[i]
		return found.EndedAt != nil
	})
	return found
}

func (r *rig) eventually(done func() bool) {
	r.t.Helper()
	require.Eventually(r.t, done, 5*time.Second, 2*time.Millisecond, "%s", lazily(r.world.dump))
}

// lazily defers a text until it is printed.
type lazily func() string

func (l lazily) String() string { return l() }

// get asks a service through the front door.
func (r *rig) get(host, path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.server.URL+path, nil)
	require.NoError(r.t, err)
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res.StatusCode, string(body)
}

// refused asserts an error's code and text, as the SDK sees them.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode(), api.ErrorMessage())
	require.Equal(t, text, api.ErrorMessage())
}

// world is ECR, IAM, the secret stores and CloudWatch Logs.
type world struct {
	mu      sync.Mutex
	images  map[string]v1.Image
	secrets map[string]string
	denied  map[string]bool // roles, and "role action"
	lines   map[string][]string
}

func (w *world) push(name, content string) {
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"version": content}})
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[registry+name] = img
}

func (w *world) Image(identifier string) (v1.Image, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	img, ok := w.images[identifier]
	if !ok {
		return nil, "", errors.New("image not found")
	}
	digest, err := img.Digest()
	return img, digest.String(), err
}

func (w *world) deny(what string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.denied[what] = on
}

func (w *world) Assume(role, principal string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied[role] || strings.HasSuffix(role, "-access") != strings.HasPrefix(principal, "build.") {
		return errors.New("not trusted")
	}
	return nil
}

func (w *world) Allowed(role, action, resource string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.denied[role+" "+action] && !w.denied[action+" "+resource]
}

func (w *world) Value(ref string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.secrets[ref]
	if !ok {
		return "", fmt.Errorf("%s not found", ref)
	}
	return v, nil
}

func (w *world) Put(group, stream string, _ time.Time, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[group+" "+stream] = append(w.lines[group+" "+stream], message)
}

// log joins the lines of all streams whose "group stream" contains text.
func (w *world) log(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for key, lines := range w.lines {
		if strings.Contains(key, text) {
			all = append(all, lines...)
		}
	}
	return strings.Join(all, "\n")
}

func (w *world) dump() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, _ := json.MarshalIndent(w.lines, "", "  ")
	return string(b)
}

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
		after(100*time.Millisecond, func() { i.deaf.Store(false) })
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
