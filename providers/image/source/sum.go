package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/image/statcache"
)

// Sums returns what identifies each file: its mode as git writes it and the SHA-256 of
// its content, "100644:9f86…". That of a symlink is of its target's text. What the cache
// knows is not read if it was the same when it was listed; nil knows nothing, and saving
// it is the caller's. No two files may have the same path.
func (c *Context) Sums(ctx context.Context, cache *statcache.Cache, files []File) ([]string, error) {
	sums := make([]string, len(files))
	workers, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min((len(files)+stretch-1)/stretch, max(2, runtime.GOMAXPROCS(0))) {
		workers.Go(func() error {
			h := cache.Hasher(c.Dir)
			defer h.Done()
			for {
				from := int(next.Add(stretch)) - stretch
				if from >= len(files) {
					return nil
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				to := min(from+stretch, len(files))
				var text strings.Builder
				text.Grow((to - from) * len(sumText{}))
				for _, f := range files[from:to] {
					sum, err := c.sum(h, f)
					if err != nil {
						return err
					}
					text.Write(sum[:])
				}
				for i, all := from, text.String(); i < to; i++ { // one string that they share
					sums[i], all = all[:len(sumText{})], all[len(sumText{}):]
				}
			}
		})
	}
	return sums, workers.Wait()
}

// stretch is how many neighbours one worker takes at a time: some will be in one directory.
const stretch = 64

// sumText is a mode and a sum in hexadecimal digits.
type sumText [modeLen + 2*sha256.Size]byte

const modeLen = len("100644:")

func (c *Context) sum(h *statcache.Hasher, f File) (text sumText, err error) {
	sum, err := c.content(h, f)
	if errors.Is(err, fs.ErrNotExist) {
		return text, fmt.Errorf("%s vanished while the context was read: %w", f.Path, err)
	}
	if err != nil {
		return text, err
	}
	copy(text[:], f.Mode())
	text[modeLen-1] = ':'
	hex.Encode(text[modeLen:], sum[:])
	return text, nil
}

func (c *Context) content(h *statcache.Hasher, f File) (statcache.Sum, error) {
	if !f.Link {
		return h.Sum(f.Path, f.seen)
	}
	target, err := c.Target(f)
	return sha256.Sum256([]byte(target)), err
}

// Target is where a symlink points, slash-separated.
func (c *Context) Target(f File) (string, error) {
	target, err := os.Readlink(c.Abs(f))
	return filepath.ToSlash(target), err
}

// Abs is where f is on this machine.
func (c *Context) Abs(f File) string { return filepath.Join(c.Dir, filepath.FromSlash(f.Path)) }

// Read opens a file that is not a symlink.
func (c *Context) Read(f File) (*os.File, error) { return os.Open(c.Abs(f)) }
