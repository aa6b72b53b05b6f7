package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// namespaces is the engine that needs no other: the kernel's namespaces, set up by
// this executable. An instance is two processes. The keeper has the network namespace
// and the user namespace; its child has its own mount, pid, ipc, uts and cgroup
// namespaces besides, and becomes the app.
//
//	sandbox ── keeper ── app (process 1)
//	   │ control: signals, the end          │
//	   │ sockets: made in the app's network │
//	   └────────── output ──────────────────┘
//
// The sandbox gets its connections as sockets that the keeper made in the app's
// network and passed on, so nothing stands between the two ends.
type namespaces struct {
	dir, self string
	prefix    string
	how       manner
	limits    *cgroups // nil for none
	unlimited error    // why there are none
	describe  string

	images  loads
	serial  atomic.Int64
	mu      sync.Mutex
	running map[*cell]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// manner is what differs between machines.
type manner struct {
	Users   bool // a user namespace, without which only root can do the rest
	Overlay bool // instances share the image's files and keep what they change; else each has a copy
}

// openNamespaces returns the namespaces engine if it really runs an instance.
func openNamespaces(ctx context.Context, o Options) (Engine, error) {
	self := o.Self
	if self == "" {
		if !initialised.Load() {
			return nil, errors.New("this program does not call runner.Init, which makes it able to become an instance")
		}
		self = "/proc/self/exe"
	}
	dir, err := filepath.Abs(filepath.Join(o.Dir, "namespaces"))
	if err != nil {
		return nil, err
	}
	n := &namespaces{dir: dir, self: self, prefix: "apron-" + o.mark() + "-", running: map[*cell]struct{}{}}
	if err := n.prove(ctx); err != nil {
		return nil, errors.Join(err, n.Close(context.WithoutCancel(ctx)))
	}
	return n, nil
}

func (n *namespaces) Name() string     { return "namespaces" }
func (n *namespaces) Describe() string { return n.describe }

// Start implements [Engine].
func (n *namespaces) Start(ctx context.Context, s Spec) (Instance, error) {
	i, err := n.start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("namespaces: start %s: %w", s.Ref, err)
	}
	return i, nil
}

func (n *namespaces) start(ctx context.Context, s Spec) (_ *cell, err error) {
	if n.isClosed() {
		return nil, errClosed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	lower, err := n.image(ctx, s.Image)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d", nameOf(s.ID), n.serial.Add(1))
	p, err := n.plan(s, lower, name)
	if err != nil {
		return nil, err
	}
	i := &cell{n: n, name: name, dir: filepath.Join(n.dir, p.Root), port: s.Port, done: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.cleanUp())
		}
	}()
	if err := n.files(ctx, p); err != nil {
		return nil, err
	}
	if n.limits != nil {
		if i.group, err = n.limits.create(name, s.CPUUnits, s.MemoryMiB); err != nil {
			return nil, err
		}
	}
	if err := i.start(ctx, p, s.Output); err != nil {
		return nil, err
	}
	return i, nil
}

// image extracts an image, once, and returns its folder.
func (n *namespaces) image(ctx context.Context, img v1.Image) (string, error) {
	return extracted(ctx, &n.images, n.dir, img)
}

// extracted makes an image's tree below dir, once, and returns its folder, relative.
func extracted(ctx context.Context, done *loads, dir string, img v1.Image) (string, error) {
	digest, err := img.ConfigName()
	if err != nil {
		return "", fmt.Errorf("image configuration: %w", err)
	}
	rel := filepath.Join("images", digest.Hex)
	return rel, done.once(ctx, rel, func() error {
		at := filepath.Join(dir, rel)
		if err := os.MkdirAll(at, 0o700); err != nil {
			return err
		}
		if err := extract(ctx, img, at); err != nil {
			return errors.Join(err, removeTree(at))
		}
		return nil
	})
}

// plan says what the instance's processes are to do.
func (n *namespaces) plan(s Spec, lower, name string) (*plan, error) {
	cfg, err := s.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	root, err := os.OpenRoot(filepath.Join(n.dir, lower))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	who, err := userOf(root, cfg.Config.User)
	if err != nil {
		return nil, err
	}
	host := strings.Trim(nameOf(s.ID), "-._")
	if host = host[:min(len(host), 63)]; host == "" {
		host = "instance"
	}
	env, err := newEnviron(cfg.Config.Env, s.Env)
	if err != nil {
		return nil, err
	}
	env.setDefault("PATH", defaultPath)
	env.setDefault("HOSTNAME", host)
	env.setDefault("HOME", who.home)
	p := &plan{
		How: n.how, Lower: lower, Root: filepath.Join("instances", name), Host: host,
		Args: argsOf(s, cfg), Env: env.list(), Dir: cfg.Config.WorkingDir,
		UID: who.uid, GID: who.gid, Groups: who.groups, Single: os.Geteuid() != 0,
	}
	if len(p.Args) == 0 {
		return nil, errNoCommand
	}
	return p, nil
}

var errNoCommand = errors.New("the image has neither an entrypoint nor a command")

// argsOf is the command line: the spec's, or the image's.
func argsOf(s Spec, cfg *v1.ConfigFile) []string {
	if len(s.Command) > 0 {
		return s.Command
	}
	return append(cfg.Config.Entrypoint[:len(cfg.Config.Entrypoint):len(cfg.Config.Entrypoint)], cfg.Config.Cmd...)
}

// files makes the instance's folders: a copy of the image, or what an overlay needs.
func (n *namespaces) files(ctx context.Context, p *plan) error {
	at := filepath.Join(n.dir, p.Root)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	lower := filepath.Join(n.dir, p.Lower)
	if !p.How.Overlay {
		return copyTree(ctx, lower, filepath.Join(at, "root"))
	}
	fi, err := os.Stat(lower)
	if err != nil {
		return err
	}
	for _, d := range []string{"root", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(at, d), 0o755); err != nil {
			return err
		}
	}
	return errors.Join( // the upper folder's are those of /
		os.Chmod(filepath.Join(at, "upper"), fi.Mode()),
		chownLike(filepath.Join(at, "upper"), fi))
}

func (n *namespaces) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

// Close implements [Engine].
func (n *namespaces) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	for i := range n.running {
		i.kill()
	}
	n.mu.Unlock()
	n.wg.Wait()
	var err error
	if n.limits != nil {
		err = n.limits.clean(ctx)
	}
	return errors.Join(err, removeTree(n.dir))
}
