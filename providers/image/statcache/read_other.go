//go:build !linux && !darwin && !freebsd

package statcache

import (
	"crypto/sha256"
	"io"
	"os"
)

// supported is false: without an inode and a ctime, a file whose times were set back
// could not be told from what it was.
const supported = false

func lstat(string) (stat, bool) { return stat{}, false }

func read(path string, buf []byte) (reading, error) {
	f, err := os.Open(path)
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
