package runner

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// load is one image's way into the engine, which several starts may wait for.
type load struct {
	done chan struct{}
	err  error
}

// image makes the engine have the image and returns its name there: the digest of
// its configuration is the tag, so what is present need not be loaded again.
func (c *cli) image(ctx context.Context, img v1.Image) (string, error) {
	digest, err := img.ConfigName()
	if err != nil {
		return "", fmt.Errorf("image configuration: %w", err)
	}
	ref := c.repo + ":" + digest.Hex
	for {
		c.mu.Lock()
		l, ok := c.loads[ref]
		if !ok {
			l = &load{done: make(chan struct{})}
			c.loads[ref] = l
			c.mu.Unlock()
			l.err = c.load(ctx, ref, img)
			if l.err != nil {
				c.mu.Lock()
				delete(c.loads, ref)
				c.mu.Unlock()
			}
			close(l.done)
			return ref, l.err
		}
		c.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if l.err == nil {
			return ref, nil
		} // else its context may have ended: try with ours
	}
}

// load streams the image as an archive into the engine, unless it is there.
func (c *cli) load(ctx context.Context, ref string, img v1.Image) error {
	if _, err := c.run(ctx, "image", "inspect", "--format", "{{.Id}}", ref); err == nil {
		return nil
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		err := tarball.Write(tag, img, w)
		if err != nil {
			cancel(fmt.Errorf("read image: %w", err))
		}
		w.CloseWithError(err)
	}()
	cmd := c.command(ctx, "load", "--quiet")
	cmd.Stdin = r
	_, err = c.output(ctx, cmd)
	r.CloseWithError(io.ErrClosedPipe)
	<-written
	return err
}

// forget makes the next start look whether the image is still there: someone may have
// removed it.
func (c *cli) forget(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, ref)
}

// platformOf is the platform that an image says it is for.
func platformOf(cfg *v1.ConfigFile) string {
	os := cfg.OS
	if os == "" {
		os = "linux"
	}
	arch := cfg.Architecture
	if arch == "" {
		arch = runtime.GOARCH
	}
	return os + "/" + arch
}
