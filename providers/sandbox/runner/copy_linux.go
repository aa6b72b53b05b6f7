package runner

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyTree copies a tree that nobody changes to a new folder, sharing blocks where the
// file system can.
func copyTree(ctx context.Context, from, to string) error {
	modes := map[string]fs.FileMode{}
	firsts := map[uint64]string{} // of files with several names, by inode
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		stat := fi.Sys().(*syscall.Stat_t)
		at := filepath.Join(to, rel)
		switch {
		case fi.IsDir():
			modes[at] = fi.Mode()
			err = os.Mkdir(at, 0o700)
		case fi.Mode().Type() == fs.ModeSymlink:
			var target string
			if target, err = os.Readlink(path); err == nil {
				err = os.Symlink(target, at)
			}
		case firsts[stat.Ino] != "":
			return os.Link(firsts[stat.Ino], at)
		default:
			if stat.Nlink > 1 {
				firsts[stat.Ino] = at
			}
			err = copyFile(path, at, fi)
		}
		if err != nil {
			return err
		}
		return chownLike(at, fi)
	})
	if err != nil {
		return err
	}
	dirs := sortedKeys(modes)
	slices.Reverse(dirs) // the inner ones first
	for _, at := range dirs {
		if err := os.Chmod(at, modes[at]); err != nil {
			return err
		}
	}
	return nil
}

// chownLike gives a file to the owner of another, if we may.
func chownLike(at string, fi fs.FileInfo) error {
	if !manyUsers() {
		return nil
	}
	stat := fi.Sys().(*syscall.Stat_t)
	return os.Lchown(at, int(stat.Uid), int(stat.Gid))
}

func copyFile(from, to string, fi fs.FileInfo) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	defer unforked()()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) != nil {
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	if err := out.Chmod(fi.Mode()); err != nil {
		return err
	}
	return os.Chtimes(to, fi.ModTime(), fi.ModTime())
}

// unforked keeps this process from forking until the result is called. Without it a child
// that another instance's start has just forked may hold a program open for writing, and
// the program cannot be executed: ETXTBSY.
func unforked() func() {
	syscall.ForkLock.RLock()
	return syscall.ForkLock.RUnlock
}

// removeTree removes a tree in which an app may have forbidden us to.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			return os.Chmod(path, 0o700) // before it is read
		}
		return nil
	})
	return os.RemoveAll(dir)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
