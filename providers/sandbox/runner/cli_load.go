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

// image makes the engine have the image and returns its name there: the digest of
// its configuration is the tag, so what is present need not be loaded again.
func (c *cli) image(ctx context.Context, img v1.Image) (string, error) {
	digest, err := img.ConfigName()
	if err != nil {
		return "", fmt.Errorf("image configuration: %w", err)
	}
	ref := c.repo + ":" + digest.Hex
	return ref, c.loads.once(ctx, ref, func() error { return c.load(ctx, ref, img) })
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
