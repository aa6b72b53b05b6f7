package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Run runs an engine's program with arguments, and writes its standard output to out.
type Run func(ctx context.Context, out io.Writer, args ...string) error

// FromEngine opens an image in the store of docker, podman or buildah. Where everything
// about its layers is remembered, the engine is asked for no more than their names; it
// saves the image when a layer, or the configuration, must be read and its store cannot be,
// as that of a daemon can by root alone. That happens under ctx, which must not end before
// the image is closed.
func FromEngine(ctx context.Context, name string, run Run, ref string, o Options) (*Image, error) {
	d, ok := dialects[name]
	if !ok {
		return nil, fmt.Errorf("engine %q is none of docker, podman, buildah", name)
	}
	id, said, p := recall(name, d, ref, o.Known)
	if p == nil {
		var err error
		if id, said, err = inspect(ctx, name, d, run, ref, o.Daemon); err != nil {
			return nil, err
		}
	}
	save := func() (*Image, error) {
		in, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := run(ctx, out, d.save(id.Hex)...)
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
	e := &saved{save: save, place: p, sought: p != nil, find: func() place {
		root := findRoot(ctx, d, run, said)
		if root == "" {
			return nil
		}
		p := d.place(root)
		if _, ok := p.(podmanPlace); ok {
			o.Known.SetRoot(name, root)
		}
		return p
	}}
	diffs := said.diffs
	img := &Image{media: types.DockerManifestSchema2, plain: said.plain, close: e.close}
	img.text = func() ([]byte, error) { return e.config(id) }
	if img.known(id, diffs, e, o) {
		return img, nil
	}
	size, err := e.size(id)
	if err != nil {
		return nil, err
	}
	if size < 0 {
		return e.img, nil // of an engine that keeps images as registries do
	}
	o.Known.SetPacked(id, id, size)
	img.describe(id, size, diffs, e, o)
	return img, nil
}

// recall finds an image by its id where the engine's images were the last time. What lies
// there under an id is that image, whatever the engine is set to now; a name may be that of
// another. Podman's program takes a tenth of a second to start, and the place is nil if it
// has to.
func recall(engine string, d dialect, ref string, known *Known) (id v1.Hash, said described, p place) {
	id, err := v1.NewHash("sha256:" + strings.TrimPrefix(ref, "sha256:"))
	root, ok := known.Root(engine)
	if err != nil || !ok {
		return id, said, nil
	}
	shared, ok := d.place(root).(podmanPlace)
	if !ok {
		return id, said, nil
	}
	if said, ok = shared.describe(id); !ok {
		return id, said, nil
	}
	return id, said, shared
}

// inspect asks an engine for an image's id and what its layers are before compression. A
// daemon that fails has its program say why, as has one that took the beginning of an id for
// that of another image.
func inspect(ctx context.Context, name string, d dialect, run Run, ref, daemon string) (id v1.Hash, said described, err error) {
	if name == "docker" && daemon != "" {
		if text, err := askDaemon(ctx, daemon, ref); err == nil {
			if id, said, err = d.read(text); err == nil && (id.String() == ref || !strings.HasPrefix(ref, id.Algorithm+":")) {
				return id, said, nil
			}
		}
	}
	var out bytes.Buffer
	args := append(slices.Clone(d.inspect), ref)
	if err := run(ctx, &out, args...); err != nil {
		return id, said, err
	}
	if id, said, err = d.read(out.Bytes()); err != nil {
		return id, said, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return id, said, nil
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
		i.layers = append(i.layers, &Layer{diff: d, media: types.DockerLayer, known: o.Known, packing: o.Packing, from: func() (blob, error) { return e.layer(n, diffs) }})
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

// saved is an image that is read in its engine's store if possible. If not, the engine
// saves it once, at the first use.
type saved struct {
	save func() (*Image, error)
	find func() place

	mu     sync.Mutex
	img    *Image
	err    error
	done   bool
	place  place
	sought bool
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

// there returns the engine's store, or nil.
func (s *saved) there() place {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sought {
		s.place, s.sought = s.find(), true
	}
	return s.place
}

// size returns the size of the configuration. It is -1 if the engine's saved image has
// another one than its store: it is to be taken as it was saved.
func (s *saved) size(id v1.Hash) (int64, error) {
	if text := s.look(id); text != nil {
		return int64(len(text)), nil
	}
	img, err := s.open()
	if err != nil {
		return 0, err
	}
	if img.raw != nil || img.config.Digest != id {
		return -1, nil
	}
	return img.config.Size, nil
}

// look returns the configuration in the engine's store, or nil.
func (s *saved) look(id v1.Hash) []byte {
	p := s.there()
	if p == nil {
		return nil
	}
	return verified(p, id)
}

func (s *saved) config(id v1.Hash) ([]byte, error) {
	if text := s.look(id); text != nil {
		return text, nil
	}
	img, err := s.open()
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}

func (s *saved) layer(n int, diffs []v1.Hash) (blob, error) {
	if p := s.there(); p != nil {
		if b, err := inPlace(p, diffs[:n+1]); err == nil {
			return b, nil
		}
	}
	img, err := s.open()
	if err != nil {
		return blob{}, err
	}
	if all := img.diffs(); n >= len(all) || all[n] != diffs[n] {
		return blob{}, fmt.Errorf("the engine saved another image: layer %s is not in it", diffs[n])
	}
	l := img.layers[n]
	size := int64(0)
	if p, ok := l.(*Layer); ok {
		size = p.Plain()
	}
	return blob{size: size, open: l.Uncompressed}, nil
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
