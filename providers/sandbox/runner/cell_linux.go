package runner

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeperName and appName are what tells [Init] that this executable is to be a part of
// an instance. They are what ps shows of it.
const (
	keeperName = "apron-sandbox-keeper"
	appName    = "apron-sandbox-app"
)

// cell is an instance of the namespaces engine.
type cell struct {
	n     *namespaces
	name  string
	dir   string
	port  int
	group *group // nil without limits
	cmd   *exec.Cmd
	said  bytes.Buffer // by the keeper

	control  net.Conn
	reported chan report   // then closed
	ended    chan *outcome // then closed; nil if the keeper could not tell
	killed   atomic.Bool   // by us
	pid      int           // of the app
	proc     string        // its /proc, as in report

	mu      sync.Mutex // of sockets
	sockets *net.UnixConn

	done chan struct{}
	exit Exit
}

var _ Instance = (*cell)(nil)

// start runs the keeper and waits until the app runs.
func (i *cell) start(ctx context.Context, p *plan, output func(string)) error {
	var theirs []*os.File
	defer func() { closeAll(theirs) }()
	mine, their, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return err
	}
	i.control, theirs = mine, append(theirs, their)
	if mine, their, err = pair(unix.SOCK_SEQPACKET); err != nil {
		return errors.Join(err, i.control.Close())
	}
	i.sockets, theirs = mine.(*net.UnixConn), append(theirs, their)
	undo := func(err error) error { return errors.Join(err, i.control.Close(), i.sockets.Close()) }
	var doors []*os.File
	if i.group != nil {
		if doors, err = i.group.doors(); err != nil {
			return undo(err)
		}
		defer closeAll(doors)
		p.Groups = i.group.controllers()
	}
	file, err := p.file()
	if err != nil {
		return undo(err)
	}
	theirs = append(theirs, file)
	r, w, err := os.Pipe()
	if err != nil {
		return undo(err)
	}
	theirs = append(theirs, w)
	i.cmd = i.n.keeper(p, append(theirs, doors...))
	i.cmd.Stderr = &i.said
	i.reported, i.ended = make(chan report, 1), make(chan *outcome, 1)
	started := make(chan error, 1)
	go i.follow(started, r, output)
	if err := <-started; err != nil {
		return undo(errors.Join(err, r.Close()))
	}
	closeAll(theirs)
	theirs = nil
	go i.listen()
	return i.await(ctx)
}

// pair returns two connected sockets: one for us, and one for the keeper to inherit.
func pair(kind int) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	f := os.NewFile(uintptr(fds[0]), "socket")
	defer f.Close()
	their := os.NewFile(uintptr(fds[1]), "socket")
	c, err := net.FileConn(f)
	if err != nil {
		return nil, nil, errors.Join(err, their.Close())
	}
	return c, their, nil
}

// keeper prepares the keeper's process, in new user and network namespaces.
func (n *namespaces) keeper(p *plan, files []*os.File) *exec.Cmd {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	if p.How.Users {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings, attr.GidMappings = idMappings(p)
		attr.GidMappingsEnableSetgroups = !p.Single
		attr.AmbientCaps = allCapabilities() // else only user 0 would keep them
	}
	return &exec.Cmd{
		Path: n.self, Args: []string{keeperName}, Env: []string{}, Dir: n.dir, ExtraFiles: files, SysProcAttr: attr,
		WaitDelay: time.Second,
	}
}

// follow delivers the output, and when the keeper has ended says how the app did. It
// keeps its thread: when the one that started a process ends, the kernel ends the
// process as it does when we do.
func (i *cell) follow(started chan<- error, r *os.File, output func(string)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := i.n.begin(i, i.cmd); err != nil {
		started <- err
		return
	}
	started <- nil
	lines(r, func(line string) {
		if output != nil {
			output(line)
		}
	})
	r.Close()
	_ = i.cmd.Wait() // the keeper tells more
	i.exit = i.outcome(<-i.ended)
	if err := i.cleanUp(); err != nil && i.exit.Err == nil {
		i.exit.Err = err
	}
	_ = i.sockets.Close()
	close(i.done)
	i.n.end(i)
}

// listen reads what the keeper tells, to its end.
func (i *cell) listen() {
	defer i.control.Close()
	defer close(i.ended)
	defer close(i.reported)
	in := gob.NewDecoder(i.control)
	var r report
	if in.Decode(&r) != nil {
		return
	}
	i.reported <- r
	var o outcome
	if in.Decode(&o) == nil {
		i.ended <- &o
	}
}

// await returns when the app runs, or has failed to.
func (i *cell) await(ctx context.Context) error {
	select {
	case r, ok := <-i.reported:
		if !ok {
			<-i.done
			return fmt.Errorf("its keeper ended: %s", lastLine(i.said.String()))
		}
		if r.Error != "" {
			<-i.done
			return errors.New(r.Error)
		}
		i.pid, i.proc = r.PID, r.Proc
		return nil
	case <-ctx.Done():
		i.kill()
		<-i.done
		return context.Cause(ctx)
	}
}

// outcome is how the app ended, by the keeper's word if there is one.
func (i *cell) outcome(told *outcome) Exit {
	switch {
	case told != nil:
		return Exit{Code: told.Code, OOM: told.Code == 137 && !i.killed.Load() && i.group != nil && i.group.killedForMemory()}
	case i.killed.Load():
		return Exit{Code: 137}
	}
	return Exit{Err: fmt.Errorf("its keeper ended: %s", lastLine(i.said.String()))}
}

func (i *cell) cleanUp() error {
	var err error
	if i.group != nil {
		err = i.group.remove(context.Background())
	}
	return errors.Join(err, removeTree(i.dir))
}

// kill ends the keeper, with which the app dies.
func (i *cell) kill() {
	i.killed.Store(true)
	_ = i.cmd.Process.Kill()
}

// Stop implements [Instance].
func (i *cell) Stop(ctx context.Context, grace time.Duration) error {
	return stop(ctx, grace, i.done, i.signal, i.kill)
}

// signal has the keeper signal the app: it knows whether the process still is the app.
func (i *cell) signal(name string) error {
	s := syscall.SIGTERM
	if name == "KILL" {
		i.killed.Store(true)
		s = syscall.SIGKILL
	}
	_, err := i.control.Write([]byte{byte(s)})
	return err
}

func (i *cell) Done() <-chan struct{} { return i.done }
func (i *cell) Exit() Exit            { return i.exit }

// Stats implements [Instance].
func (i *cell) Stats() (Stats, error) {
	select {
	case <-i.done:
		return Stats{}, errEnded
	default:
	}
	if i.group != nil {
		return i.group.stats()
	}
	return processStats(i.pid)
}
