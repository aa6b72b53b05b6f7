package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Run runs an engine's program with arguments, and writes its standard output to out.
type Run func(ctx context.Context, out io.Writer, args ...string) error

// FromEngine opens an image in the store of docker or podman. Where everything about its
// layers is remembered, the engine is asked for no more than their names; it saves the
// image when a layer, or the configuration, must be read for the first time. That happens
// under ctx, which must not end before the image is closed.
func FromEngine(ctx context.Context, name string, run Run, ref string, o Options) (*Image, error) {
	id, diffs, err := inspect(ctx, name, run, ref)
	if err != nil {
		return nil, err
	}
	args := []string{"save", id.Hex}
	if name == "podman" {
		args = []string{"save", "--quiet", "--format", "docker-archive", id.Hex}
	}
	save := func() (*Image, error) {
		in, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := run(ctx, out, args...)
			out.CloseWithError(err)
			ended <- err
		}()
		img, err := Spool(in, o)
		in.CloseWithError(errors.New("the image could not be kept"))
		if runErr := <-ended; runErr != nil && err == nil {
			img.Close()
			return nil, runErr
		}
		return img, err
	}
	e := &saved{save: save}
	img := &Image{media: types.DockerManifestSchema2, close: e.close, text: e.config}
	if img.known(id, diffs, e, o) {
		return img, nil
	}
	inner, err := e.open()
	if err != nil {
		return nil, err
	}
	if inner.raw != nil || inner.config.Digest != id {
		return inner, nil // an engine that keeps images as registries do
	}
	o.Known.SetPacked(id, id, inner.config.Size)
	img.describe(id, inner.config.Size, inner.diffs(), e, o)
	for i, l := range inner.layers {
		if p, ok := l.(*Layer); ok {
			img.layers[i].(*Layer).plain = p.plain
		}
	}
	return img, nil
}

// inspect asks an engine for an image's id and what its layers are before compression.
func inspect(ctx context.Context, name string, run Run, ref string) (id v1.Hash, diffs []v1.Hash, err error) {
	var out bytes.Buffer
	if err := run(ctx, &out, "image", "inspect", ref); err != nil {
		return id, nil, err
	}
	var images []struct {
		ID     string `json:"Id"`
		RootFS struct{ Layers []v1.Hash }
	}
	if err := json.Unmarshal(out.Bytes(), &images); err != nil {
		return id, nil, fmt.Errorf("%s image inspect %s: %w", name, ref, err)
	}
	if len(images) != 1 {
		return id, nil, fmt.Errorf("%s image inspect %s: it describes %d images", name, ref, len(images))
	}
	id, err = v1.NewHash("sha256:" + strings.TrimPrefix(images[0].ID, "sha256:"))
	return id, images[0].RootFS.Layers, err
}

// known describes the image by what is remembered, if that is everything.
func (i *Image) known(id v1.Hash, diffs []v1.Hash, e *saved, o Options) bool {
	_, size, ok := o.Known.Packed(id)
	for _, d := range diffs {
		_, _, known := o.Known.Packed(d)
		ok = ok && known
	}
	if ok {
		i.describe(id, size, diffs, e, o)
	}
	return ok
}

func (i *Image) describe(id v1.Hash, size int64, diffs []v1.Hash, e *saved, o Options) {
	i.config = v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: id, Size: size}
	for n, d := range diffs {
		i.layers = append(i.layers, &Layer{diff: d, media: types.DockerLayer, known: o.Known, from: func() (blob, error) { return e.layer(n, d) }})
	}
}

func (i *Image) diffs() []v1.Hash {
	var all []v1.Hash
	for _, l := range i.layers {
		diff, _ := l.DiffID() // of this package's layers, which know it
		all = append(all, diff)
	}
	return all
}

// saved is an image that its engine saves once, at the first use.
type saved struct {
	save func() (*Image, error)

	mu   sync.Mutex
	img  *Image
	err  error
	done bool
}

func (s *saved) open() (*Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.img, s.err = s.save()
		s.done = true
	}
	return s.img, s.err
}

func (s *saved) config() ([]byte, error) {
	img, err := s.open()
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}

func (s *saved) layer(n int, diff v1.Hash) (blob, error) {
	img, err := s.open()
	if err != nil {
		return blob{}, err
	}
	if all := img.diffs(); n >= len(all) || all[n] != diff {
		return blob{}, fmt.Errorf("the engine saved another image: layer %s is not in it", diff)
	}
	return blob{open: img.layers[n].Uncompressed}, nil
}

func (s *saved) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.done, s.err = true, errClosed
	}
	if s.img == nil {
		return nil
	}
	return s.img.Close()
}
