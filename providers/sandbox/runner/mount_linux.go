package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The kinds of /proc that an app can have.
const (
	procOwn    = "own"    // only its own processes are in it
	procShared = "shared" // the machine's, where the kernel allows no other
	procNone   = "none"
)

const (
	still  = unix.MS_NOSUID | unix.MS_NODEV
	silent = still | unix.MS_NOEXEC
)

// mount makes the image's tree this process's root, with all that is not from the
// image. It leaves nothing of the machine's tree in sight.
func (p *plan) mount() (proc string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("private mounts: %w", err)
	}
	root := filepath.Join(p.Root, "root")
	if p.How.Overlay {
		err = p.overlay(root)
	} else {
		err = unix.Mount(root, root, "", unix.MS_BIND, "")
	}
	if err != nil {
		return "", fmt.Errorf("mount the image: %w", err)
	}
	// The image's links are followed from here on, so nobody may know this name.
	old := "/.apron-" + rand.Text()
	if err := os.Mkdir(filepath.Join(root, old), 0o700); err != nil {
		return "", fmt.Errorf("mount the image: %w", err)
	}
	if err := unix.PivotRoot(root, filepath.Join(root, old)); err != nil {
		return "", fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return "", err
	}
	if err := p.hostFiles(); err != nil { // before a /proc through which links may lead elsewhere
		return "", err
	}
	if proc, err = p.system(old); err != nil {
		return "", err
	}
	if err := unix.Unmount(old, unix.MNT_DETACH); err != nil {
		return "", fmt.Errorf("leave the old root: %w", err)
	}
	return proc, os.Remove(old)
}

func (p *plan) overlay(root string) error {
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", p.Lower, filepath.Join(p.Root, "upper"), filepath.Join(p.Root, "work"))
	if p.How.Users {
		options += ",userxattr" // the only kind allowed there
	}
	return unix.Mount("overlay", root, "overlay", still, options)
}

// system mounts /proc, /sys and /dev.
func (p *plan) system(old string) (proc string, err error) {
	for _, dir := range []string{"/proc", "/sys", "/dev"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	switch {
	case unix.Mount("proc", "/proc", "proc", silent, "") == nil:
		proc = procOwn
	case p.How.Users && unix.Mount(old+"/proc", "/proc", "", unix.MS_BIND|unix.MS_REC, "") == nil:
		proc = procShared
	default:
		proc = procNone
	}
	// As in any container, ports below 1024 need no privilege. It is the app's network
	// that this is about, through whatever /proc.
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
	if err := hideProc(proc); err != nil {
		return "", err
	}
	if unix.Mount("sysfs", "/sys", "sysfs", silent|unix.MS_RDONLY, "") == nil {
		p.limitsInSight()
	}
	return proc, devices(old)
}

// limitsInSight mounts the control groups that the app is in, where the kernel allows
// it: some language runtimes size themselves by what they read there.
func (p *plan) limitsInSight() {
	const at = "/sys/fs/cgroup"
	switch {
	case len(p.Groups) == 0:
	case p.Groups[0] == "":
		_ = unix.Mount("cgroup", at, "cgroup2", silent|unix.MS_RDONLY, "")
	case unix.Mount("tmpfs", at, "tmpfs", silent, "mode=755,size=64k") == nil:
		for _, controllers := range p.Groups {
			dir := filepath.Join(at, controllers)
			if os.Mkdir(dir, 0o755) == nil {
				_ = unix.Mount("cgroup", dir, "cgroup", silent|unix.MS_RDONLY, controllers)
			}
		}
	}
}

// hideProc closes what is the machine's in /proc: user 0 needs no capability for it.
func hideProc(proc string) error {
	if proc == procNone {
		return nil
	}
	var errs []error
	for _, f := range []string{"acpi", "asound", "bus", "fs", "irq", "kcore", "keys", "latency_stats", "scsi", "sched_debug", "sys", "sysrq-trigger", "timer_list"} {
		at := "/proc/" + f
		if _, err := os.Lstat(at); err != nil {
			continue
		}
		err := unix.Mount(at, at, "", unix.MS_BIND|unix.MS_REC, "")
		if err == nil {
			err = unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|silent, "")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("hide %s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// devices makes a /dev of the devices that every container has.
func devices(old string) error {
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		at := "/dev/" + name
		if err := os.WriteFile(at, nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount(old+at, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", at, err)
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/dev/shm", 0o1777); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", silent, "mode=1777,size=64m"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	if err := os.Mkdir("/dev/pts", 0o755); err != nil {
		return err
	}
	if unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620") == nil {
		return os.Symlink("pts/ptmx", "/dev/ptmx")
	}
	return nil
}

// hostFiles writes the files of /etc that are the machine's in any container.
func (p *plan) hostFiles() error {
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" + address.String() + "\t" + p.Host + "\n",
		"hostname":    p.Host + "\n",
		"resolv.conf": "# no network but this instance's own\n",
	} {
		at := "/etc/" + name
		if err := os.RemoveAll(at); err != nil { // it may be a link
			return err
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// procWords says in a sentence what /proc is.
func procWords(proc string) string {
	return strings.TrimSpace(map[string]string{
		procShared: "this machine's processes can be listed inside, since the kernel allows no own /proc here",
		procNone:   "without /proc, which the kernel does not allow here",
	}[proc])
}
