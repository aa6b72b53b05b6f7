package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// save writes the image as an archive in docker's format.
func (e *engine) save(ctx context.Context, r Request, id, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	args := []string{"save", id}
	switch e.name {
	case "podman":
		args = []string{"save", "--format", "docker-archive", "-o", file, id}
	case "buildah":
		args = []string{"push", "-q", id, "docker-archive:" + file}
		if err := os.Remove(file); err != nil { // it refuses to write into a file
			return err
		}
	}
	if err := run(ctx, command(ctx, e.environ(r), e.name, args...), e.name+" "+args[0], f, nil); err != nil {
		return err
	}
	return f.Close()
}

// repack compresses the layers of a saved image, several at once: an archive of docker
// holds them plain, and a push would compress them one by one, twice.
//
// What differs from build to build goes on the way: the time of the build, the container
// that it ran in. Files keep their times, because programs look at them, Python's
// compiled modules for one; with a SOURCE_DATE_EPOCH none is later than that.
func repack(ctx context.Context, saved v1.Image, spool string, when epoch, labels map[string]string) (v1.Image, error) {
	layers, err := saved.Layers()
	if err != nil {
		return nil, err
	}
	config, err := saved.ConfigFile()
	if err != nil {
		return nil, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	packed := make([]v1.Layer, len(layers))
	for i, l := range layers {
		group.Go(func() error {
			out, err := compress(spool, types.DockerLayer, func(w io.Writer) error {
				r, err := l.Uncompressed()
				if err != nil {
					return err
				}
				defer r.Close()
				if when.set {
					return clamp(w, reader{gctx, r}, when.time())
				}
				_, err = io.Copy(w, reader{gctx, r})
				return err
			})
			packed[i] = out
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("compress the layers: %w", err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	if img, err = mutate.AppendLayers(img, packed...); err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: when.time()}
	for i := range config.History {
		h := &config.History[i]
		h.Created = config.Created
		if scratchpad.MatchString(h.Comment) {
			h.Comment = ""
		}
	}
	for i, l := range packed {
		if config.RootFS.DiffIDs[i], err = l.DiffID(); err != nil {
			return nil, err
		}
	}
	config.Container, config.Config.Hostname, config.Config.Image = "", "", ""
	label(&config.Config, labels)
	return mutate.ConfigFile(img, config)
}

// scratchpad is how podman and buildah name the image that a step began with, by an id
// that is another one in every build.
var scratchpad = regexp.MustCompile(`^FROM [0-9a-f]{12}$`)

// clamp copies an archive and sets no time later than latest.
func clamp(w io.Writer, r io.Reader, latest time.Time) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if h.ModTime.After(latest) {
			h.ModTime = latest
		}
		h.AccessTime, h.ChangeTime, h.Format = time.Time{}, time.Time{}, tar.FormatUnknown
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

// label sets the labels of a build, which win over those of the Dockerfile.
func label(c *v1.Config, labels map[string]string) {
	if len(labels) > 0 && c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, labels)
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}
