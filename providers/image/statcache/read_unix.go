//go:build linux || darwin || freebsd

package statcache

import (
	"crypto/sha256"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const supported = true

const cwd = unix.AT_FDCWD

// file is a file for system calls.
type file struct {
	fd   int    // the directory that name is relative to, or cwd
	name string // may be absolute
}

// dir is the directory of the last file. It is kept open, as the next file is likely to
// be in it, and to look up a long path is most of what it takes to ask for a file.
type dir struct {
	path string
	fd   int
	open bool
}

// enter returns the file at path below root.
func (d *dir) enter(root, path string) file {
	name, below := strings.CutPrefix(path, d.path)
	if !d.open || !below || strings.IndexByte(name, '/') >= 0 {
		at := path[:strings.LastIndexByte(path, '/')+1]
		name = path[len(at):]
		d.leave()
		d.path, d.open = at, true
		err := retry(func() (err error) {
			d.fd, err = unix.Open(root+"/"+at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		})
		if err != nil {
			d.fd = cwd // it may still let its files be opened
		}
	}
	if d.fd == cwd {
		return file{fd: cwd, name: root + "/" + path}
	}
	return file{fd: d.fd, name: name}
}

func (d *dir) leave() {
	if d.open && d.fd != cwd {
		_ = unix.Close(d.fd)
	}
	d.open = false
}

// OpenDir opens a directory, without the system calls of [os.Open] that find out whether
// it can be polled.
func OpenDir(name string) (*os.File, error) {
	fd := -1
	err := retry(func() (err error) {
		fd, err = unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Look asks for what is called name in a directory. It returns false if that is no
// regular file, or if it cannot tell, as without a directory.
func Look(dir *os.File, name string) (Stat, bool) {
	if dir == nil {
		return Stat{}, false
	}
	return lstat(file{fd: int(dir.Fd()), name: name})
}

// lstat returns false for what is not a regular file.
func lstat(f file) (Stat, bool) {
	var st unix.Stat_t
	err := unix.Fstatat(f.fd, f.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	for errors.Is(err, unix.EINTR) {
		err = unix.Fstatat(f.fd, f.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	return statOf(&st), err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		dev: uint64(st.Dev), ino: uint64(st.Ino), mode: uint32(st.Mode), size: st.Size,
		mtime: unix.TimespecToNsec(st.Mtim), ctime: unix.TimespecToNsec(st.Ctim),
	}
}

// read hashes a regular file. It makes the system calls itself: package os makes three
// more for each file, to see if it can be polled, and a symlink or a pipe that has just
// taken the file's place must be noticed, not followed or waited for.
func read(f file, buf []byte) (reading, error) {
	fail := func(op string, err error) (reading, error) {
		return reading{}, &os.PathError{Op: op, Path: f.name, Err: err}
	}
	fd := -1
	err := retry(func() (err error) {
		fd, err = unix.Openat(f.fd, f.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if errors.Is(err, unix.ELOOP) {
		return fail("read", errNotRegular)
	}
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return fail("stat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail("read", errNotRegular)
	}
	r := reading{before: statOf(&st)}
	h := sha256.New()
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Read(fd, buf)
			return err
		})
		if err != nil {
			return fail("read", err)
		}
		if n <= 0 {
			break
		}
		h.Write(buf[:n])
	}
	h.Sum(r.sum[:0])
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return fail("stat", err)
	}
	r.after = statOf(&st)
	return r, nil
}

var errNotRegular = errors.New("no regular file any more")

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
