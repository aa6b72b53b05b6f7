package build

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/image/store"
)

// repack compresses the layers of an image, several at once, with no file later than when.
// What differs from build to build is thereby gone from layers, too.
func repack(ctx context.Context, img v1.Image, config *v1.ConfigFile, spool string, when time.Time) (v1.Image, error) {
	layers, err := img.Layers()
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
				return clampWhole(w, reader{gctx, r}, l, when)
			})
			packed[i] = out
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("compress the layers: %w", err)
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	if out, err = mutate.AppendLayers(out, packed...); err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	for i, l := range packed {
		if config.RootFS.DiffIDs[i], err = l.DiffID(); err != nil {
			return nil, err
		}
	}
	return mutate.ConfigFile(out, config)
}

// clampWhole clamps a layer, and fails if what is read is not what the engine says it is:
// the layer is read where it lies, and gets another digest here.
func clampWhole(w io.Writer, r io.Reader, l v1.Layer, latest time.Time) error {
	want, err := l.DiffID()
	if err != nil {
		return err
	}
	read := &sum{to: io.Discard, hash: sha256.New()}
	r = io.TeeReader(r, read)
	if err := clamp(w, r, latest); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // what follows an archive's end
		return err
	}
	if got := read.sum(); got != want {
		return &store.DamagedError{What: "layer " + want.String(), Got: got.String()}
	}
	return nil
}

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
