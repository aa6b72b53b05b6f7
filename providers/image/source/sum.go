package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Sums returns what identifies each file: its mode as git writes it and the SHA-256 of
// its content, "100644:9f86…". That of a symlink is of its target's text.
func (c *Context) Sums(ctx context.Context, files []File) ([]string, error) {
	sums := make([]string, len(files))
	workers, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(files), max(2, runtime.GOMAXPROCS(0))) {
		workers.Go(func() error {
			buf := make([]byte, 128<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return nil
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				sum, err := c.sum(files[i], buf)
				if errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("%s vanished while the context was read: %w", files[i].Path, err)
				}
				if err != nil {
					return err
				}
				sums[i] = sum
			}
		})
	}
	return sums, workers.Wait()
}

func (c *Context) sum(f File, buf []byte) (string, error) {
	h := sha256.New()
	if f.Link {
		target, err := c.Target(f)
		if err != nil {
			return "", err
		}
		io.WriteString(h, target)
	} else {
		r, err := c.Read(f)
		if err != nil {
			return "", err
		}
		defer r.Close()
		for {
			n, err := r.Read(buf)
			h.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				return "", err
			}
		}
	}
	return f.Mode() + ":" + hex.EncodeToString(h.Sum(nil)), nil
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
