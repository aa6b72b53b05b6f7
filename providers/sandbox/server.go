package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/console"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options configure a [Server]. Only Dir is required.
type Options struct {
	// Dir holds all that the server keeps.
	Dir string
	// Account and Region are the ones presented; default 000000000000 and us-east-1.
	Account, Region string
	// Port to listen on, on 127.0.0.1; another one if it is taken or 0.
	Port int
	// Speed divides the waits that AWS imposes; default 1. Clock overrides it.
	Speed float64
	Clock *clock.Clock
	// Engine is the name of the container engine to use; default the first that works.
	// Runner overrides it. The server closes either.
	Engine string
	Runner runner.Engine
	// Credentials that requests must be signed with, and the token that /_apron/stop
	// and reset ask for; default random.
	AccessKey, SecretKey, Token string
	// Build identifies the program in /_apron/health.
	Build string
	// Idle is how long without a request the server runs; default for ever.
	Idle time.Duration
	// Services is App Runner's quota of services, which AWS raises on request; default 30.
	Services int
	// Latency is added to each API call.
	Latency time.Duration
	// Limited turns on AWS's default throughput limits where the sandbox has them.
	Limited bool
	// Propagation is how long IAM takes to show changes of trust to others; see
	// [iam.Options]. The clock's speed divides it.
	Propagation time.Duration
	// TrailDelay is how long after a call CloudTrail shows it, on Clock; default five minutes
	// divided by the speed.
	TrailDelay time.Duration
	// Resolver is a name server, host:port, that is asked about custom domains which no
	// hosted zone of the sandbox has; default none. /_apron/resolver changes it.
	Resolver string
	// Faults, if set, chooses the fault of each call. The first call is number 1.
	Faults func(service, operation string, n int) Fault
	// Seen, if set, gets every call to an API that was answered, with its body.
	Seen func(wire.Exchange)
	// Crash ends the process for a fault; default os.Exit(137), as after a SIGKILL.
	Crash func()
	// Log gets a line for each call, never with a body; default nothing.
	Log io.Writer
}

// Server is one sandbox.
type Server struct {
	options  Options
	id       string // of this run
	started  time.Time
	listener net.Listener
	packets  net.PacketConn // of the name server
	engine   runner.Engine
	log      *slog.Logger
	calls    atomic.Int64
	doomed   atomic.Int64 // the call after which a scenario ends the process; 0 for none
	recent   console.Calls
	console  http.Handler
	stop     context.CancelCauseFunc // set by Run
	stopped  context.Context         // ends when someone asked to stop

	active   atomic.Int64           // requests under way
	resolver atomic.Pointer[string] // see SetResolver

	used atomic.Int64 // when the last one ended, in Unix nanoseconds

	mu    sync.RWMutex // held for reading by each call, for writing by a reset
	world *world
}

var _ http.Handler = (*Server)(nil)

// ErrStopped is the cause of a run's end that someone asked for.
var ErrStopped = errors.New("the sandbox was asked to stop")

// ErrIdle is the cause of a run's end after a time without requests.
var ErrIdle = errors.New("the sandbox was idle")

// New listens, finds a container engine and loads the state. Call [Server.Run] next.
func New(ctx context.Context, o Options) (*Server, error) {
	o.defaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Server{
		options: o, id: wire.NewID(), started: time.Now(),
		log: slog.New(slog.NewTextHandler(o.Log, nil)), engine: o.Runner,
	}
	s.console = s.newConsole()
	s.stopped, s.stop = context.WithCancelCause(context.Background())
	s.used.Store(s.started.UnixNano())
	if err := s.SetResolver(o.Resolver); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	var err error
	if s.listener, s.packets, err = listen(o.Port); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if s.engine == nil {
		s.engine, err = runner.Detect(ctx, runner.Options{Dir: filepath.Join(o.Dir, "engine"), Prefer: o.Engine, Label: label(o.Dir)})
	}
	if err == nil {
		s.world, err = s.assemble()
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", errors.Join(err, s.close(ctx)))
	}
	return s, nil
}

func (o *Options) defaults() {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&o.Account, "000000000000")
	fill(&o.Region, "us-east-1")
	fill(&o.AccessKey, newAccessKey())
	fill(&o.SecretKey, rand.Text()+rand.Text())
	fill(&o.Token, rand.Text())
	if o.Clock == nil {
		o.Clock = clock.New(o.Speed)
	}
	if o.Crash == nil {
		o.Crash = func() { os.Exit(137) }
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
}

// newAccessKey has the form of AWS's and cannot be taken for a real one.
func newAccessKey() string { return "AKIASANDBOX" + rand.Text()[:9] }

// Endpoint is the server's URL, without a slash at its end.
func (s *Server) Endpoint() string { return "http://" + s.listener.Addr().String() }

// Info is how to reach and use the server.
func (s *Server) Info() Info {
	o := s.options
	return Info{
		Port: s.listener.Addr().(*net.TCPAddr).Port, Pid: os.Getpid(), Instance: s.id, Build: o.Build,
		Account: o.Account, Region: o.Region, Speed: o.Speed, Engine: o.Engine, Started: s.started.UTC(),
		Token: o.Token, AccessKey: o.AccessKey, SecretKey: o.SecretKey,
	}
}

// Run answers requests until ctx ends, someone asks the server to stop, or it was idle
// too long; then it stops the containers. Errors are those of serving and closing: an
// end that was asked for is none.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.stopped, func() { cancel(context.Cause(s.stopped)) })()
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	go s.serveDNS()
	if s.options.Idle > 0 {
		go s.watch(ctx, cancel)
	}
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping", "cause", context.Cause(ctx))
	case err = <-served:
	}
	limit, done := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer done()
	brief, end := context.WithTimeout(limit, 200*time.Millisecond)
	defer end()
	if server.Shutdown(brief) != nil { // routed requests may last; they end with their containers
		_ = server.Close()
	}
	return errors.Join(err, s.close(limit))
}

// closeTimeout is how long containers have to end.
const closeTimeout = 15 * time.Second

// close releases what New took, as far as it got.
func (s *Server) close(ctx context.Context) error {
	_ = s.listener.Close() // is closed already after Run
	_ = s.packets.Close()  // ends its goroutine
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.world != nil {
		err = s.world.close(ctx)
		s.world = nil
	}
	if s.engine != nil {
		err = errors.Join(err, s.engine.Close(ctx))
	}
	return err
}

// watch cancels with ErrIdle once no request was under way for the time of Options.Idle.
func (s *Server) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		left := s.options.Idle - time.Since(time.Unix(0, s.used.Load()))
		if left <= 0 && s.active.Load() == 0 {
			cancel(ErrIdle)
			return
		}
		if wait(ctx, max(left, 10*time.Millisecond)) != nil {
			return
		}
	}
}

// ServeHTTP answers one request of any kind.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, service, ok := local(r.Host)
	if !ok && s.routed(host) {
		service, ok = true, true // a custom domain
	}
	switch {
	case !ok:
		http.Error(w, "the sandbox answers for localhost, 127.0.0.1, *.localhost and active custom domains only", http.StatusForbidden)
		return
	case !service && strings.HasPrefix(r.URL.Path, "/_apron/"):
		s.serveAdmin(w, r)
		return
	}
	s.active.Add(1)
	defer func() {
		s.used.Store(time.Now().UnixNano())
		s.active.Add(-1)
	}()
	if service {
		s.serveService(w, r, host)
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.world == nil:
		http.Error(w, "the sandbox is stopping", http.StatusServiceUnavailable)
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		s.aroundRegistry(w, r, s.world.registry)
	default:
		s.world.apis.ServeHTTP(w, r)
	}
}

// routed tells whether a service has the host name.
func (s *Server) routed(host string) (found bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.world != nil {
		_, found = s.world.apprunner.Route(host)
	}
	return found
}

// serveService answers as the service that has the host name. Its requests may last,
// so they do not hold up a reset.
func (s *Server) serveService(w http.ResponseWriter, r *http.Request, host string) {
	var next http.Handler
	s.mu.RLock()
	found := false
	if s.world != nil {
		next, found = s.world.apprunner.Route(host)
	}
	s.mu.RUnlock()
	if !found {
		http.Error(w, "no service of the sandbox has the name "+host, http.StatusNotFound)
		return
	}
	next.ServeHTTP(w, r)
}

// local takes the port off a Host header and tells whether the name is the loopback's,
// and whether it is a service's below localhost.
func local(header string) (host string, service, ok bool) {
	host = header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch host {
	case "localhost", "127.0.0.1", "::1", "[::1]":
		return host, false, true
	}
	service = strings.HasSuffix(host, ".localhost")
	return host, service, service
}
