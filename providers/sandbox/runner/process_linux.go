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
	"syscall"
)

// processes is the engine of last resort: an instance is a plain process of this user
// on this machine. It can run static binaries that listen where PORT says and name
// their files relative to their working directory.
type processes struct {
	premises
	ports sync.Map // taken, by number
}

// openProcess returns the process engine if it runs a program from an image.
func openProcess(ctx context.Context, o Options) (Engine, error) {
	e := &processes{}
	if err := e.init(o, "process"); err != nil {
		return nil, err
	}
	if err := e.prove(ctx); err != nil {
		return nil, errors.Join(err, e.Close(context.WithoutCancel(ctx)))
	}
	return e, nil
}

func (e *processes) prove(ctx context.Context) error {
	if err := e.empty(); err != nil {
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
	ctx, serial, leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	lower, err := e.image(ctx, s.Image)
	if err != nil {
		return nil, err
	}
	i := &plain{
		e: e, done: make(chan struct{}),
		dir: filepath.Join(e.dir, "instances", fmt.Sprintf("%s-%d", nameOf(s.ID), serial)),
	}
	defer func() {
		if err != nil {
			e.release(i.port)
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
	root, err := os.OpenRoot(i.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	up, err := startupOf(root, s)
	if err != nil {
		return err
	}
	up.env.setDefault("HOME", i.dir)
	dir, err := within(root, up.dir, true)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	program, err := programIn(root, dir, up.args[0], up.env.values["PATH"])
	if err != nil {
		return err
	}
	if err := runnable(root, program); err != nil {
		return fmt.Errorf("%s of the image: %w", up.args[0], err)
	}
	if i.port, err = i.e.freePort(); err != nil {
		return err
	}
	up.env.set("PORT", strconv.Itoa(i.port))
	i.cmd = &exec.Cmd{
		Path: filepath.Join(i.dir, program), Args: up.args, Env: up.env.list(), Dir: filepath.Join(i.dir, dir),
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
	header, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("not a Linux binary: %w", err)
	}
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	if header.Machine != self.Machine {
		return fmt.Errorf("a binary for another processor (%s, this is %s)", header.Machine, self.Machine)
	}
	for _, p := range header.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("linked dynamically, where only a static binary (CGO_ENABLED=0) can run without a container engine")
		}
	}
	return nil
}

// freePort takes a port that nothing listens on now.
func (e *processes) freePort() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_, taken := e.ports.LoadOrStore(port, true)
		if err := l.Close(); err != nil || !taken {
			return port, err
		}
	}
}

func (e *processes) release(port int) { e.ports.Delete(port) }

// Close implements [Engine].
func (e *processes) Close(context.Context) error {
	e.close()
	return removeTree(e.dir)
}
