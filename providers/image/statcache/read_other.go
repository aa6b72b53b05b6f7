//go:build !linux && !darwin && !freebsd

package statcache

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
)

// supported is false: without an inode and a ctime, a file whose times were set back
// could not be told from what it was.
const supported = false

const cwd = 0

type file struct {
	fd   int
	name string
}

type dir struct{}

func (dir) enter(root, path string) file {
	return file{name: filepath.Join(root, filepath.FromSlash(path))}
}

func (dir) leave() {}

// OpenDir opens a directory.
func OpenDir(name string) (*os.File, error) { return os.Open(name) }

// Look knows nothing here.
func Look(*os.File, string) (Stat, bool) { return Stat{}, false }

func lstat(file) (Stat, bool) { return Stat{}, false }

func read(at file, buf []byte) (reading, error) {
	f, err := os.Open(at.name)
	if err != nil {
		return reading{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf); err != nil {
		return reading{}, err
	}
	r := reading{}
	h.Sum(r.sum[:0])
	return r, nil
}
