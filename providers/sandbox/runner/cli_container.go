package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"
)

// container is an instance of a [cli] engine: one call of the CLI's run, which ends
// when the container does.
type container struct {
	c      *cli
	name   string
	limit  bool   // it has a memory limit
	addr   string // where the engine published the port
	cancel context.CancelFunc

	killed   atomic.Bool // by us
	answered atomic.Bool // something in the container has answered once
	done     chan struct{}
	exit     Exit
}

var _ Instance = (*container)(nil)

// Start implements [Engine].
func (c *cli) Start(ctx context.Context, s Spec) (Instance, error) {
	i, err := c.start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", c.name, s.Ref, err)
	}
	return i, nil
}

func (c *cli) start(ctx context.Context, s Spec) (*container, error) {
	if c.isClosed() {
		return nil, errClosed
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	ref, err := c.image(ctx, s.Image)
	if err != nil {
		return nil, err
	}
	in, err := c.invocation(s, ref)
	if err != nil {
		return nil, err
	}
	defer in.close()
	i := &container{c: c, name: c.containerName(s.ID), limit: c.limits && s.MemoryMiB > 0, done: make(chan struct{})}
	if err := i.run(in, s.Output); err != nil {
		return nil, err
	}
	if err := i.findPort(ctx, s.Port); err != nil {
		c.loads.forget(ref) // someone may have removed it
		return nil, errors.Join(err, i.abort())
	}
	return i, nil
}

// run calls the CLI and follows the container to its end.
func (i *container) run(in *invocation, output func(string)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(context.Background())
	cmd := i.c.command(ctx, in.args...)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], in.env...)
	cmd.Stdout, cmd.Stderr = w, w
	if err := i.c.startOnce(i, cmd); err != nil {
		i.cancel()
		r.Close()
		return err
	}
	go i.follow(ctx, cmd, r, output)
	return nil
}

// startOnce starts the process of an instance, unless the engine is closed.
func (c *cli) startOnce(i *container, cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.running[i] = struct{}{}
	c.wg.Add(1)
	return nil
}

// follow delivers the output, and when that ends finds out how the container did.
func (i *container) follow(ctx context.Context, cmd *exec.Cmd, r *os.File, output func(string)) {
	defer i.c.wg.Done()
	var said tail
	lines(r, func(line string) {
		said.add(line)
		if output != nil {
			output(line)
		}
	})
	r.Close()
	_ = cmd.Wait() // the container's state tells more
	i.exit = i.outcome(ctx, cmd.ProcessState.ExitCode(), said.String())
	if err := i.remove(); err != nil && i.exit.Err == nil {
		i.exit.Err = err
	}
	i.c.mu.Lock()
	delete(i.c.running, i)
	i.c.mu.Unlock()
	i.cancel()
	close(i.done)
}

// outcome asks the engine how the container ended, once the CLI has with a code that
// is the container's, or 125 for an error of its own, 126 for a program that cannot be
// executed and 127 for one that is not there.
// https://docs.docker.com/reference/cli/docker/container/run/#exit-status
func (i *container) outcome(ctx context.Context, code int, said string) Exit {
	info, err := i.c.inspect(ctx, i.name)
	if err == nil && info.State.Running { // the CLI lost it: wait without output
		if _, err = i.c.run(ctx, "container", "wait", i.name); err == nil {
			info, err = i.c.inspect(ctx, i.name)
		}
	}
	switch {
	case err == nil && info.started():
		x := Exit{Code: info.State.ExitCode, OOM: info.State.OOMKilled}
		if x.Code == 137 && i.c.guessOOM && i.limit && !i.killed.Load() {
			x.OOM = true
		}
		return x
	case code == 126 || code == 127:
		return Exit{Code: code}
	case code == 125:
		return Exit{Err: errors.New(said)}
	case err == nil:
		return Exit{Err: fmt.Errorf("container is %s: %s", info.State.Status, said)}
	}
	if gone, e := i.c.gone(ctx, i.name); e == nil && gone {
		return Exit{Code: 137} // removed by force under us
	}
	return Exit{Err: err}
}

// findPort waits until the container runs and learns where its port was published.
func (i *container) findPort(ctx context.Context, port int) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		t := time.NewTimer(wait)
		select {
		case <-i.done:
			t.Stop()
			return i.exit.Err
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
		info, err := i.c.inspect(ctx, i.name)
		if err != nil || !info.State.Running {
			continue // not yet, or already over: then done says so
		}
		for _, p := range info.NetworkSettings.Ports[strconv.Itoa(port)+"/tcp"] {
			if p.HostPort != "" {
				i.addr = net.JoinHostPort("127.0.0.1", p.HostPort)
				return nil
			}
		}
	}
}

// abort undoes a start. The engine may still be about to make the container, so it
// removes until the CLI has seen the end of it.
func (i *container) abort() error {
	i.killed.Store(true)
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	end := time.NewTimer(cleanupTimeout)
	defer end.Stop()
	for {
		err := i.remove()
		select {
		case <-i.done:
			return nil
		case <-end.C:
			i.cancel()
			return err
		case <-t.C:
		}
	}
}

// Stop implements [Instance].
func (i *container) Stop(ctx context.Context, grace time.Duration) error {
	return stop(ctx, grace, i.done, i.signal, i.cancel)
}

func (i *container) signal(name string) error {
	if name == "KILL" {
		i.killed.Store(true)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	_, err := i.c.run(ctx, "container", "kill", "--signal", name, i.name)
	return err
}

// remove deletes the container, whatever state it is in.
func (i *container) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	return i.c.removeAll(ctx, "name=^"+i.name+"$")
}

func (i *container) Done() <-chan struct{} { return i.done }
func (i *container) Exit() Exit            { return i.exit }

// Stats implements [Instance].
func (i *container) Stats() (Stats, error) {
	select {
	case <-i.done:
		return Stats{}, errEnded
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	return i.c.stats(ctx, i.name)
}
