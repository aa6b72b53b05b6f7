package runner

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the keeper inherits, in the order of its file descriptors.
const (
	controlFD = 3 + iota
	socketsFD
	planFD
	outputFD
	doorsFD // any number of them
)

// keeper is the process that runs the app and stays in its network.
type keeper struct {
	control *os.File
	out     *gob.Encoder
	plan    *os.File
	output  *os.File
}

// keep is the keeper's main; it returns the exit code.
func keep() int {
	runtime.LockOSThread() // the app dies with the thread that started it
	sealFiles()
	k := &keeper{
		control: os.NewFile(controlFD, "control"), plan: os.NewFile(planFD, "plan"), output: os.NewFile(outputFD, "output"),
	}
	k.out = gob.NewEncoder(k.control)
	app, r, err := k.run()
	if err != nil {
		r.Error = err.Error()
	}
	if k.out.Encode(r) != nil || err != nil {
		return 1 // the app, if any, dies with us
	}
	go k.obey(app.Process)
	go makeSockets(socketsFD)
	err = app.Wait()
	if app.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if k.out.Encode(outcome{Code: exitCode(app.ProcessState)}) != nil {
		return 1
	}
	return 0
}

// inherited are n files from fd first on.
func inherited(first, n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		files[i] = os.NewFile(uintptr(first+i), "inherited")
	}
	return files
}

// sealFiles keeps what this process has open from its children and from the program
// that it may become.
func sealFiles() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for fd := 3; fd < 1024; fd++ { // an older kernel
		syscall.CloseOnExec(fd)
	}
}

// run sets the network up and starts the app.
func (k *keeper) run() (*exec.Cmd, report, error) {
	p, err := readPlan(k.plan)
	if err != nil {
		return nil, report{}, err
	}
	doors := inherited(doorsFD, len(p.Groups))
	if err := network(); err != nil {
		return nil, report{}, fmt.Errorf("network: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, report{}, err
	}
	defer r.Close()
	attr := &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
	}
	if p.How.Users {
		attr.AmbientCaps = allCapabilities()
	}
	app := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{appName}, Env: []string{}, SysProcAttr: attr,
		Stdout: k.output, Stderr: k.output, ExtraFiles: append([]*os.File{k.plan, w}, doors...),
	}
	err = app.Start()
	w.Close()
	k.output.Close() // its end is that of the app and all its children
	closeAll(doors)
	if err != nil {
		return nil, report{}, fmt.Errorf("new pid and mount namespaces: %w", err)
	}
	var said report
	err = gob.NewDecoder(r).Decode(&said)
	if err == nil && said.Error != "" {
		err = errors.New(said.Error)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, r) // until it has become the app
	}
	if err != nil {
		_ = app.Process.Kill()
		if end := app.Wait(); errors.Is(err, io.EOF) {
			err = fmt.Errorf("set up: ended without a word: %w", end)
		}
		return nil, report{}, err
	}
	said.PID = app.Process.Pid
	return app, said, nil
}

// obey passes the sandbox's signals on. When it is gone, so are we and the app.
func (k *keeper) obey(app *os.Process) {
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(k.control, b); err != nil {
			_ = app.Kill()
			return
		}
		_ = app.Signal(syscall.Signal(b[0]))
	}
}

// network brings the loopback interface up and gives it the instance's address.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	own, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	for _, set := range []struct {
		request uint
		value   []byte
	}{{unix.SIOCSIFADDR, address.AsSlice()}, {unix.SIOCSIFNETMASK, net.CIDRMask(32, 32)}} { // no neighbours: they would all be us
		if err := own.SetInet4Addr(set.value); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.request, own); err != nil {
			return fmt.Errorf("set address: %w", err)
		}
	}
	return nil
}

// makeSockets answers each byte with a new socket of this network.
func makeSockets(conn int) {
	b := make([]byte, 1)
	for {
		n, err := unix.Read(conn, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		var rights []byte
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == nil {
			rights = unix.UnixRights(fd)
		}
		err = unix.Sendmsg(conn, b, rights, nil, unix.MSG_NOSIGNAL)
		if rights != nil {
			unix.Close(fd)
		}
		if err != nil {
			return
		}
	}
}
