package runner

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// escaped is how long output may still come after the program and its process group
// have ended, from a child that left the group.
const escaped = 2 * time.Second

// plain is an instance of the process engine.
type plain struct {
	e    *processes
	dir  string
	port int
	cmd  *exec.Cmd

	mu     sync.Mutex
	reaped bool // its pid may be another process's

	done chan struct{}
	exit Exit
}

var _ Instance = (*plain)(nil)

func (i *plain) run(output func(string)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	i.cmd.Stdout, i.cmd.Stderr = w, w
	started := make(chan error)
	go i.follow(started, r, output)
	err = <-started
	w.Close()
	if err != nil {
		r.Close()
	}
	return err
}

// follow keeps its thread: when the one that started a process ends, the kernel ends
// the process as it does when we do.
func (i *plain) follow(started chan<- error, r *os.File, output func(string)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := i.e.begin(i, i.cmd)
	started <- err
	if err != nil {
		return
	}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		lines(r, func(line string) {
			if output != nil {
				output(line)
			}
		})
	}()
	i.reap()
	_ = r.SetReadDeadline(time.Now().Add(escaped))
	<-delivered
	r.Close()
	i.exit = Exit{Code: exitCode(i.cmd.ProcessState), Err: removeTree(i.dir)}
	i.e.release(i.port)
	close(i.done)
	i.e.end(i)
}

// reap waits for the program's end and takes its children with it. Until it is reaped
// nobody else gets its number.
func (i *plain) reap() {
	pid := i.cmd.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	_ = i.cmd.Wait()
	i.reaped = true
}

// exitCode is a process's code, or 128 plus the signal that killed it.
func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// Dial implements [Instance].
func (i *plain) Dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-i.done:
		return nil, errEnded
	default:
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)))
}

// Stop implements [Instance].
func (i *plain) Stop(ctx context.Context, grace time.Duration) error {
	return stop(ctx, grace, i.done, i.signal, func() {})
}

// signal asks the program to end, or ends it and all its children.
func (i *plain) signal(name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	pid := i.cmd.Process.Pid
	switch {
	case i.reaped:
		return os.ErrProcessDone
	case name == "KILL":
		return syscall.Kill(-pid, syscall.SIGKILL)
	}
	return syscall.Kill(pid, syscall.SIGTERM)
}

func (i *plain) kill() { _ = i.signal("KILL") }

func (i *plain) Done() <-chan struct{} { return i.done }
func (i *plain) Exit() Exit            { return i.exit }

// Stats implements [Instance].
func (i *plain) Stats() (Stats, error) {
	select {
	case <-i.done:
		return Stats{}, errEnded
	default:
		return processStats(i.cmd.Process.Pid)
	}
}
