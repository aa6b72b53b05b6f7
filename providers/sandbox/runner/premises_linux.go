package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// premises are what the engines without a daemon work in: a folder with the images'
// trees and the instances', and the processes that run.
type premises struct {
	dir    string
	images loads

	mu       sync.Mutex
	serial   int
	starting map[int]context.CancelCauseFunc
	running  map[killer]struct{}
	closed   bool
	wg       sync.WaitGroup // starts and processes
}

// killer is something that runs; it must end soon after kill, which must not block.
type killer interface{ kill() }

func (p *premises) init(o Options, name string) (err error) {
	p.starting, p.running = map[int]context.CancelCauseFunc{}, map[killer]struct{}{}
	p.dir, err = filepath.Abs(filepath.Join(o.Dir, name))
	return err
}

// empty removes what an earlier sandbox left.
func (p *premises) empty() error {
	return errors.Join(removeTree(p.dir), os.MkdirAll(p.dir, 0o700))
}

// enter begins a start, which close cancels and waits for. The serial number is no
// other start's.
func (p *premises) enter(ctx context.Context) (_ context.Context, serial int, leave func(), err error) {
	if ctx.Err() != nil {
		return nil, 0, nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, nil, errClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.serial++
	serial = p.serial
	p.starting[serial] = cancel
	p.wg.Add(1)
	return ctx, serial, func() {
		p.mu.Lock()
		delete(p.starting, serial)
		p.mu.Unlock()
		cancel(nil)
		p.wg.Done()
	}, nil
}

// begin starts a process, unless the engine is closed.
func (p *premises) begin(i killer, cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running[i] = struct{}{}
	p.wg.Add(1)
	return nil
}

// end follows every begin that succeeded.
func (p *premises) end(i killer) {
	p.mu.Lock()
	delete(p.running, i)
	p.mu.Unlock()
	p.wg.Done()
}

// close ends all that runs.
func (p *premises) close() {
	p.mu.Lock()
	p.closed = true
	for _, cancel := range p.starting {
		cancel(errClosed)
	}
	for i := range p.running {
		i.kill()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// image extracts an image, once, and returns its folder, relative to ours.
func (p *premises) image(ctx context.Context, img v1.Image) (string, error) {
	digest, err := img.ConfigName()
	if err != nil {
		return "", fmt.Errorf("image configuration: %w", err)
	}
	rel := filepath.Join("images", digest.Hex)
	return rel, p.images.once(ctx, rel, func() error {
		at := filepath.Join(p.dir, rel)
		if err := os.MkdirAll(at, 0o700); err != nil {
			return err
		}
		if err := extract(ctx, img, at); err != nil {
			return errors.Join(err, removeTree(at))
		}
		return nil
	})
}

// startup is how an image's program is started.
type startup struct {
	args []string
	env  *environ
	user user
	dir  string
}

// startupOf combines the image's configuration with the spec; root is the image's tree.
func startupOf(root *os.Root, s Spec) (*startup, error) {
	file, err := s.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	cfg := file.Config
	up := &startup{args: s.Command, dir: cfg.WorkingDir}
	if len(up.args) == 0 {
		up.args = append(append(up.args, cfg.Entrypoint...), cfg.Cmd...)
	}
	if len(up.args) == 0 {
		return nil, errors.New("the image has neither an entrypoint nor a command")
	}
	if up.user, err = userOf(root, cfg.User); err != nil {
		return nil, err
	}
	if up.env, err = newEnviron(cfg.Env, s.Env); err != nil {
		return nil, err
	}
	up.env.setDefault("PATH", defaultPath)
	up.env.setDefault("HOSTNAME", hostOf(s))
	return up, nil
}

// hostOf makes a host name of the spec's id.
func hostOf(s Spec) string {
	host := strings.Map(func(r rune) rune {
		if r == '_' || r == '.' {
			return '-'
		}
		return r
	}, nameOf(s.ID))
	if host = strings.Trim(host[:min(len(host), 63)], "-"); host == "" {
		return "instance"
	}
	return host
}
