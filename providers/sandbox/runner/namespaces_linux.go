package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	premises
	self      string
	prefix    string // begins the names of its control groups
	how       manner
	limits    *cgroups // nil for none
	unlimited error    // why there are none
	describe  string
}

// manner is what differs between machines.
type manner struct {
	Users   bool // a user namespace, without which only root can do the rest
	Overlay bool // instances share the image's files and keep what they change; else each has a copy
}

// openNamespaces returns the namespaces engine if it really runs an instance.
func openNamespaces(ctx context.Context, o Options) (Engine, error) {
	n := &namespaces{self: "/proc/self/exe", prefix: "apron-" + o.mark() + "-"}
	switch {
	case o.Self != "":
		var err error
		if n.self, err = filepath.Abs(o.Self); err != nil {
			return nil, err
		}
	case !initialised.Load():
		return nil, errors.New("this program does not call runner.Init, which makes it able to become an instance")
	}
	if err := n.init(o, "namespaces"); err != nil {
		return nil, err
	}
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
	ctx, serial, leave, err := n.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	lower, err := n.image(ctx, s.Image)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%d", nameOf(s.ID), serial)
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
		if err := n.limits.note(filepath.Join(i.dir, "groups"), name); err != nil {
			return nil, err
		}
		if i.group, err = n.limits.create(name, s.CPUUnits, s.MemoryMiB); err != nil {
			return nil, err
		}
	}
	if err := i.start(ctx, p, s.Output); err != nil {
		return nil, err
	}
	return i, nil
}

// plan says what the instance's processes are to do.
func (n *namespaces) plan(s Spec, lower, name string) (*plan, error) {
	root, err := os.OpenRoot(filepath.Join(n.dir, lower))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	up, err := startupOf(root, s)
	if err != nil {
		return nil, err
	}
	up.env.setDefault("HOME", up.user.home)
	return &plan{
		How: n.how, Lower: lower, Root: filepath.Join("instances", name), Host: hostOf(s),
		Args: up.args, Env: up.env.list(), Dir: up.dir,
		UID: up.user.uid, GID: up.user.gid, MoreGIDs: up.user.groups, Single: !manyUsers(),
	}, nil
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

// Close implements [Engine].
func (n *namespaces) Close(ctx context.Context) error {
	n.close()
	var err error
	if n.limits != nil {
		err = n.limits.clean(ctx)
	}
	return errors.Join(err, removeTree(n.dir))
}
