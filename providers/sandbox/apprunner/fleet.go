package apprunner

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// revision is everything that an instance of a version needs, secrets resolved.
type revision struct {
	image       v1.Image
	ref         string
	env         []string
	command     []string
	port        int
	cpu, memory int // CPU units, MiB
	health      health
	min, max    int
	concurrency int
	// readable fails if the secrets cannot be read any more. The values stay those of
	// the deployment, but each later instance needs them to be readable.
	readable func() error
}

// fleet is the instances of one revision. It keeps at least min of them serving, more
// while requests need them, and ends with retire.
type fleet struct {
	a       *app
	rev     revision
	release func() // of the image's copy
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // keep and the members' watchers
	wake    chan struct{}  // tells keep that something changed

	mu       sync.Mutex
	members  []*member // that serve
	want     int
	inflight int
	peak     int // most in flight since keep last looked
	busiest  int // most in flight since the last sample
	retired  bool
	quiet    chan struct{} // closed when retired and nothing is in flight
}

// member is one instance.
type member struct {
	id        string
	run       runner.Instance
	transport *http.Transport
	inflight  int           // guarded by fleet.mu
	leaving   bool          // guarded by fleet.mu
	idle      chan struct{} // closed when leaving and nothing is in flight
	since     time.Time     // healthy
	served    bool          // requests since the last sample; guarded by fleet.mu
	used      use           // guarded by fleet.mu
}

func newFleet(a *app, rev revision, release func()) *fleet {
	f := &fleet{
		a: a, rev: rev, release: release, want: rev.min,
		wake: make(chan struct{}, 1), quiet: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// atOnce bounds how many instances start at the same time.
const atOnce = 5

// launch starts the least number of instances and returns when all are healthy. From
// then on the fleet keeps itself at strength.
func (f *fleet) launch(ctx context.Context) error {
	if err := f.grow(ctx, f.rev.min); err != nil {
		return err
	}
	f.work.Go(f.keep)
	return nil
}

// grow adds n healthy members.
func (f *fleet) grow(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for range n {
		g.Go(func() error { return f.add(ctx) })
	}
	return g.Wait()
}

// add starts one member, again if it exits, and lets it serve once it is healthy.
func (f *fleet) add(ctx context.Context) error {
	for try := 1; ; try++ {
		m, err := f.start(ctx)
		if err != nil {
			return err
		}
		if err = f.checker(m).rise(ctx); err == nil {
			f.join(m)
			return nil
		}
		f.work.Go(func() { _ = f.stop(f.ctx, m) })
		var exit *exitError
		if !errors.As(err, &exit) || try == attempts {
			return err
		}
		if err := f.a.s.o.Clock.Sleep(ctx, backoff(f.a.s.waits.Restart, try)); err != nil {
			return err
		}
	}
}

func (f *fleet) checker(m *member) checker {
	return checker{
		health: f.rev.health, waits: f.a.s.waits, scale: f.a.s.o.Clock.Scale, run: m.run, port: f.rev.port,
	}
}

// start runs one container.
func (f *fleet) start(ctx context.Context) (*member, error) {
	id := hex32()
	run, err := f.a.s.o.Engine.Start(ctx, runner.Spec{
		ID: id, Image: f.rev.image, Ref: f.rev.ref, Env: f.rev.env, Command: f.rev.command, Port: f.rev.port,
		CPUUnits: f.rev.cpu, MemoryMiB: f.rev.memory, Output: f.a.logs.application(id),
	})
	if err != nil {
		return nil, err
	}
	return &member{id: id, run: run, transport: newTransport(run), idle: make(chan struct{})}, nil
}

// join lets a healthy member serve.
func (f *fleet) join(m *member) {
	m.since = time.Now()
	f.mu.Lock()
	if !f.retired {
		f.members = append(f.members, m)
		f.work.Go(func() { f.watch(m) })
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	_ = f.stop(f.ctx, m)
}

// watch follows a serving member to its end, and takes it out of service when it has
// died or sickened.
func (f *fleet) watch(m *member) {
	if err := f.checker(m).watch(f.ctx); err == nil || f.ctx.Err() != nil {
		return
	}
	if f.leave(m) {
		f.poke()
		f.drain(f.ctx, m)
		_ = f.stop(f.ctx, m)
	}
}

// leave takes a member out of service; false if it was already.
func (f *fleet) leave(m *member) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.members, m)
	if i < 0 {
		return false
	}
	f.members = slices.Delete(f.members, i, i+1)
	m.leaving = true
	if m.inflight == 0 {
		close(m.idle)
	}
	return true
}

// drain waits until nothing is in flight on a member that has left, within the longest
// time that a request may take.
func (f *fleet) drain(ctx context.Context, m *member) {
	t := time.NewTimer(f.a.s.waits.Request)
	defer t.Stop()
	select {
	case <-m.idle:
	case <-m.run.Done():
	case <-t.C:
	case <-ctx.Done():
	}
}

// stop ends an instance: SIGTERM, grace, SIGKILL.
func (f *fleet) stop(ctx context.Context, m *member) error {
	m.transport.CloseIdleConnections()
	return m.run.Stop(ctx, f.a.s.waits.Grace)
}

// poke makes keep look.
func (f *fleet) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// keep holds the fleet at the strength it needs. Instances that die are replaced, the
// first at once, a crash loop ever more slowly.
func (f *fleet) keep() {
	clock, waits := f.a.s.o.Clock, f.a.s.waits
	crashes := 0
	for {
		idle, stop := context.WithCancel(f.ctx)
		over := clock.After(idle, waits.ScaleIn)
		select {
		case <-f.wake:
			stop()
		case <-over:
			stop()
			if f.ctx.Err() != nil {
				return
			}
			crashes = 0
			f.shrink()
			continue
		}
		for missing := f.missing(); missing > 0 && f.ctx.Err() == nil; missing = f.missing() {
			if f.lost() {
				crashes++
			}
			if crashes > 1 && clock.Sleep(f.ctx, backoff(waits.Restart, crashes-1)) != nil {
				return
			}
			err := f.rev.readable()
			if err == nil {
				err = f.grow(f.ctx, missing)
			}
			if err != nil && f.ctx.Err() == nil {
				crashes++
				f.a.logs.event("An instance of the service could not be started: %v", err)
			}
		}
	}
}

// missing is how many members the fleet lacks.
func (f *fleet) missing() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.want - len(f.members)
}

// lost tells whether the fleet lacks members because some died, not because it grows.
func (f *fleet) lost() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.members) < f.rev.min
}

// shrink lets members go that the last while did not need.
func (f *fleet) shrink() {
	f.mu.Lock()
	need := max(f.rev.min, (f.peak+f.rev.concurrency-1)/f.rev.concurrency)
	f.peak, f.want = f.inflight, min(f.want, need)
	var spare []*member
	if n := len(f.members) - f.want; n > 0 {
		spare = slices.Clone(f.members[len(f.members)-n:])
	}
	f.mu.Unlock()
	for _, m := range spare {
		if f.leave(m) {
			f.work.Go(func() {
				f.drain(f.ctx, m)
				_ = f.stop(f.ctx, m)
			})
		}
	}
}

// retire ends the fleet: no new requests, those in flight finish within drain, then
// each instance gets SIGTERM. When ctx ends, all are killed. After an error it may be
// called again, for the instances that could not be stopped.
func (f *fleet) retire(ctx context.Context, drain time.Duration) error {
	f.mu.Lock()
	if !f.retired && f.inflight == 0 {
		close(f.quiet)
	}
	f.retired = true
	members := f.members
	f.members = nil
	f.mu.Unlock()
	t := time.NewTimer(drain)
	select {
	case <-f.quiet:
	case <-t.C:
	case <-ctx.Done():
	}
	t.Stop()
	f.cancel()
	var g errgroup.Group
	for _, m := range members {
		g.Go(func() error {
			err := f.stop(ctx, m)
			if err != nil {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.members = append(f.members, m)
			}
			return err
		})
	}
	err := g.Wait()
	f.work.Wait()
	if err != nil && ctx.Err() == nil {
		return err
	}
	f.release() // if ctx ended, they were killed, as asked
	return nil
}
