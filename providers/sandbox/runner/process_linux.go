package runner

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// processes is the engine of last resort: an instance is a plain process of this user
// on this machine. It can run static binaries that listen where PORT says and name
// their files relative to their working directory.
type processes struct {
	dir     string
	images  loads
	serial  atomic.Int64
	mu      sync.Mutex
	running map[*plain]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// openProcess returns the process engine if it runs a program from an image.
func openProcess(ctx context.Context, o Options) (Engine, error) {
	dir, err := filepath.Abs(filepath.Join(o.Dir, "process"))
	if err != nil {
		return nil, err
	}
	e := &processes{dir: dir, running: map[*plain]struct{}{}}
	if err := e.prove(ctx); err != nil {
		return nil, errors.Join(err, e.Close(context.WithoutCancel(ctx)))
	}
	return e, nil
}

func (e *processes) prove(ctx context.Context) error {
	if err := removeTree(e.dir); err != nil { // left by an earlier sandbox
		return err
	}
	img, err := trialImage("linux/" + runtime.GOARCH)
	if err != nil {
		return err
	}
	if img == nil {
		return fmt.Errorf("not for %s processors", runtime.GOARCH)
	}
	return trial(ctx, img, func(ctx context.Context, s Spec) (Instance, error) { return e.Start(ctx, s) })
}

func (e *processes) Name() string { return "process" }

func (e *processes) Describe() string {
	return "process: each instance is a plain process of this user, for static binaries that listen on PORT; nothing is isolated, " +
		"so it sees this machine's files and network, and CPU and memory limits are not enforced"
}

// Start implements [Engine].
func (e *processes) Start(ctx context.Context, s Spec) (Instance, error) {
	i, err := e.start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("process: start %s: %w", s.Ref, err)
	}
	return i, nil
}

func (e *processes) start(ctx context.Context, s Spec) (_ *plain, err error) {
	if e.isClosed() {
		return nil, errClosed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	lower, err := extracted(ctx, &e.images, e.dir, s.Image)
	if err != nil {
		return nil, err
	}
	i := &plain{
		e: e, done: make(chan struct{}),
		dir: filepath.Join(e.dir, "instances", fmt.Sprintf("%s-%d", nameOf(s.ID), e.serial.Add(1))),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(i.dir))
		}
	}()
	if err := os.MkdirAll(filepath.Dir(i.dir), 0o700); err != nil {
		return nil, err
	}
	if err := copyTree(ctx, filepath.Join(e.dir, lower), i.dir); err != nil {
		return nil, err
	}
	if err := i.prepare(s); err != nil {
		return nil, err
	}
	return i, i.run(s.Output)
}

// prepare finds the program, makes sure that it can run here and takes a port.
func (i *plain) prepare(s Spec) error {
	cfg, err := s.Image.ConfigFile()
	if err != nil {
		return fmt.Errorf("image configuration: %w", err)
	}
	args := argsOf(s, cfg)
	if len(args) == 0 {
		return errNoCommand
	}
	root, err := os.OpenRoot(i.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	env, err := newEnviron(cfg.Config.Env, s.Env)
	if err != nil {
		return err
	}
	env.setDefault("PATH", defaultPath)
	env.setDefault("HOSTNAME", "localhost")
	env.setDefault("HOME", i.dir)
	dir, err := within(root, cfg.Config.WorkingDir, true)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	program, err := programIn(root, dir, args[0], env.values["PATH"])
	if err != nil {
		return err
	}
	if err := runnable(root, program); err != nil {
		return fmt.Errorf("%s of the image: %w", args[0], err)
	}
	if i.port, err = freePort(); err != nil {
		return err
	}
	env.set("PORT", strconv.Itoa(i.port))
	i.cmd = &exec.Cmd{
		Path: filepath.Join(i.dir, program), Args: args, Env: env.list(), Dir: filepath.Join(i.dir, dir),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	return nil
}

// programIn finds a program in the image as a shell in dir does.
func programIn(root *os.Root, dir, name, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join("/", dir, name)
		}
		return within(root, name, false)
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join("/", dir, d)
		}
		at, err := within(root, filepath.Join(d, name), false)
		if err != nil {
			continue
		}
		if fi, err := root.Stat(at); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return at, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// runnable refuses what needs the rest of the image to run, or another processor.
func runnable(root *os.Root, program string) error {
	f, err := root.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 2)
	if n, _ := f.ReadAt(magic, 0); n == 2 && string(magic) == "#!" {
		return errors.New("a script, where only a static binary can run without a container engine")
	}
	file, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("not a Linux binary: %w", err)
	}
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	if file.Machine != self.Machine {
		return fmt.Errorf("a binary for another processor (%s, this is %s)", file.Machine, self.Machine)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("linked dynamically, where only a static binary (CGO_ENABLED=0) can run without a container engine")
		}
	}
	return nil
}

// freePort finds a port that nothing listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (e *processes) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// Close implements [Engine].
func (e *processes) Close(context.Context) error {
	e.mu.Lock()
	e.closed = true
	for i := range e.running {
		_ = i.signal("KILL")
	}
	e.mu.Unlock()
	e.wg.Wait()
	return removeTree(e.dir)
}
