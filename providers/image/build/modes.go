package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"github.com/apron-deploy/apron/providers/image/source"
)

// contextDir is the directory to give to an engine: the context's own, where all that counts
// has the permissions that it is hashed with, or else a copy in dir. Engines take permissions
// from the disk, and what a umask has made of them there is no input of an image.
func contextDir(ctx context.Context, c *source.Context, dir string) (string, error) {
	if runtime.GOOS == "windows" { // engines make up their own there
		return c.Dir, nil
	}
	files, err := c.Files(ctx)
	if err != nil {
		return "", err
	}
	same, err := asHashed(c.Dir, files)
	if err != nil || same {
		return c.Dir, err
	}
	to := filepath.Join(dir, "context")
	if err := makeDir(to); err != nil {
		return "", err
	}
	made := map[string]bool{".": true}
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		if err := ensureDir(to, path.Dir(f.Path), made); err != nil {
			return "", err
		}
		if err := copyFile(c, f, filepath.Join(to, filepath.FromSlash(f.Path))); err != nil {
			return "", err
		}
	}
	return to, nil
}

// permissions are those that a file of a context is hashed with, and built with.
func permissions(f source.File) fs.FileMode {
	if f.Exec {
		return 0o755
	}
	return 0o644
}

// asHashed reports whether the files, and the directories that they are in, have the
// permissions on disk that they are hashed with.
func asHashed(root string, files []source.File) (bool, error) {
	seen := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.Path); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(dir)))
			if err != nil {
				return false, err
			}
			if info.Mode() != fs.ModeDir|0o755 {
				return false, nil
			}
		}
		if f.Link {
			continue
		}
		info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(f.Path)))
		if err != nil {
			return false, err
		}
		if info.Mode() != permissions(f) {
			return false, nil
		}
	}
	return true, nil
}

func ensureDir(root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := ensureDir(root, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return makeDir(filepath.Join(root, filepath.FromSlash(dir)))
}

// makeDir makes a directory that a umask takes nothing from.
func makeDir(name string) error {
	return errors.Join(os.Mkdir(name, 0o755), os.Chmod(name, 0o755))
}

// copyFile copies a file along with its time, by which BuildKit knows it again.
func copyFile(c *source.Context, f source.File, to string) error {
	if f.Link {
		target, err := c.Target(f)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	info, err := os.Lstat(filepath.Join(c.Dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	from, err := c.Read(f)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err = errors.Join(err, out.Chmod(permissions(f)), out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, time.Time{}, info.ModTime())
}
