package runner

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the app's process inherits before it is the app.
const (
	appPlanFD = 3 + iota
	appReportFD
	appDoorsFD
)

// What shells and container engines exit with when a program cannot be executed, and
// when there is none.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// become is the main of the process that is to be the app. It returns only if that
// failed, with the exit code.
func become() int {
	runtime.LockOSThread() // what is the thread's own must be that of the one that executes
	sealFiles()
	out := gob.NewEncoder(os.NewFile(appReportFD, "report"))
	p, err := readPlan(os.NewFile(appPlanFD, "plan"))
	var r report
	if err == nil {
		r.Proc, err = p.enter()
	}
	if err != nil {
		r.Error = err.Error()
	}
	if err := errors.Join(err, out.Encode(r)); err != nil {
		return 1
	}
	err = p.exec()
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return codeNotFound
	}
	return codeNotExecutable
}

// enter makes this process all that the app is to be, but for its program.
func (p *plan) enter() (proc string, err error) {
	for _, d := range inherited(appDoorsFD, len(p.Groups)) {
		if _, err := d.WriteString("0"); err != nil {
			return "", fmt.Errorf("join control group: %w", err)
		}
	}
	_ = unix.Unshare(unix.CLONE_NEWCGROUP) // younger than the others, and only hides the path
	unix.Umask(0o022)
	_, _ = unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // leave the one of our login
	if proc, err = p.mount(); err != nil {
		return "", err
	}
	if err := unix.Sethostname([]byte(p.Host)); err != nil {
		return "", fmt.Errorf("set host name: %w", err)
	}
	for _, fd := range []int{1, 2} { // so that /dev/stdout can be opened
		_ = unix.Fchown(fd, p.UID, p.GID)
	}
	dir := filepath.Join("/", p.Dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	if err := os.Chdir(dir); err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	return proc, p.dropPrivileges()
}

// dropPrivileges leaves the app no capability and no way to get one.
func (p *plan) dropPrivileges() error {
	for _, c := range allCapabilities() {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	if !p.Single { // else the kernel forbids to change groups
		if err := syscall.Setgroups(p.MoreGIDs); err != nil {
			return fmt.Errorf("groups %v of the image's user: %w", p.MoreGIDs, err)
		}
	}
	if err := syscall.Setresgid(p.GID, p.GID, p.GID); err != nil {
		return fmt.Errorf("group %d of the image's user: %w", p.GID, err)
	}
	if err := syscall.Setresuid(p.UID, p.UID, p.UID); err != nil {
		return fmt.Errorf("user %d of the image: %w", p.UID, err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	// A change of user has cleared it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("tie to the keeper: %w", err)
	}
	return nil
}

// exec makes this process the app.
func (p *plan) exec() error {
	path, err := p.lookPath()
	if err != nil {
		return err
	}
	signal.Notify(make(chan os.Signal, 1)) // what we were to ignore the app need not
	return &fs.PathError{Op: "exec", Path: path, Err: syscall.Exec(path, p.Args, p.Env)}
}

// lookPath finds the program as a shell does, with the app's own PATH.
func (p *plan) lookPath() (string, error) {
	name := p.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	var path string
	for _, kv := range p.Env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	found := error(exec.ErrNotFound)
	for _, dir := range filepath.SplitList(path) {
		at := filepath.Join(dir, name)
		if !filepath.IsAbs(at) {
			at = "./" + at
		}
		fi, err := os.Stat(at)
		switch {
		case err != nil || fi.IsDir():
		case fi.Mode()&0o111 == 0:
			found = fs.ErrPermission
		default:
			return at, nil
		}
	}
	return "", &exec.Error{Name: name, Err: found}
}
