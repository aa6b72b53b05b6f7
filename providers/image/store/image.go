package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Options say how sources are opened. The zero value is sensible.
type Options struct {
	Known    *Known // nil remembers nothing
	Platform string // of the image to take from several; empty is linux/amd64
	Temp     string // where streams are spooled; empty is the system's directory
	// Daemon is the socket of docker's daemon, which describes an image in a few
	// milliseconds, where the program takes twenty; empty has the program asked.
	Daemon string
	// Packing is told when a layer is about to be compressed, and its size before that, or
	// 0 if that is not known. It may be called from several goroutines, and be nil.
	Packing func(diff v1.Hash, plain int64)
}

// Image is an image in its source. Close closes the source, and removes what was spooled.
type Image struct {
	layers []v1.Layer
	config v1.Descriptor
	text   func() ([]byte, error) // of the configuration
	media  types.MediaType
	raw    []byte // the source's own manifest; nil if layers are yet to be compressed
	desc   v1.Manifest
	close  func() error

	plain int64 // bytes of plain layers, as an engine says or an archive shows
}

var _ v1.Image = (*Image)(nil)

// Close must come after the last use of the image and its layers.
func (i *Image) Close() error {
	if i.close == nil {
		return nil
	}
	return i.close()
}

// WithConfig returns the image with another configuration over the same layers, and with
// nothing of the source's own manifest. Closing it closes the image.
func (i *Image) WithConfig(c *v1.ConfigFile) (*Image, error) {
	if !slices.Equal(c.RootFS.DiffIDs, i.diffs()) {
		return nil, errors.New("the configuration is that of other layers")
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := &Image{layers: i.layers, media: i.media, plain: i.plain, close: i.close}
	_, err = out.setConfig(text, i.config.MediaType)
	return out, err
}

// Sizes are those of the layers, in bytes: of the ones that are compressed and of the ones
// that are plain, as far as that is known without reading any.
func (i *Image) Sizes() (compressed, plain int64) {
	for _, l := range i.layers {
		if p, ok := l.(*packed); ok {
			compressed += p.desc.Size
		}
	}
	return compressed, i.plain
}

// Archived is the image as an archive on this machine has it: its layers are as plain as
// in the source, and their digests those of what is plain. It is no image of a registry,
// and ends with i.
func (i *Image) Archived() (v1.Image, error) {
	out := &Image{config: i.config, text: i.text, media: i.media}
	for _, l := range i.layers {
		if p, ok := l.(*Layer); ok {
			var err error
			if l, err = p.archived(); err != nil {
				return nil, err
			}
		}
		out.layers = append(out.layers, l)
	}
	return out, nil
}

// Layers are the layers, the base first: of type [*Layer] if they are not compressed yet.
func (i *Image) Layers() ([]v1.Layer, error) { return slices.Clone(i.layers), nil }

// Config describes the configuration, without reading it.
func (i *Image) Config() v1.Descriptor { return i.config }

// Assemble returns the manifest for layers that have become these. Unless some had to be
// compressed it is the source's own.
func (i *Image) Assemble(layers []v1.Descriptor) ([]byte, error) {
	if i.raw != nil {
		return i.raw, nil
	}
	m := i.desc
	m.SchemaVersion, m.MediaType, m.Config, m.Layers = 2, i.media, i.config, layers
	return json.Marshal(m)
}

func (i *Image) MediaType() (types.MediaType, error) { return i.media, nil }

// RawManifest compresses the layers of which nothing is recorded.
func (i *Image) RawManifest() ([]byte, error) {
	var descs []v1.Descriptor
	for _, l := range i.layers {
		d, err := partial.Descriptor(l)
		if err != nil {
			return nil, err
		}
		descs = append(descs, *d)
	}
	return i.Assemble(descs)
}

func (i *Image) Size() (int64, error)                      { return partial.Size(i) }
func (i *Image) Digest() (v1.Hash, error)                  { return partial.Digest(i) }
func (i *Image) Manifest() (*v1.Manifest, error)           { return partial.Manifest(i) }
func (i *Image) ConfigName() (v1.Hash, error)              { return i.config.Digest, nil }
func (i *Image) ConfigFile() (*v1.ConfigFile, error)       { return partial.ConfigFile(i) }
func (i *Image) RawConfigFile() ([]byte, error)            { return i.text() }
func (i *Image) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return i.find(h, v1.Layer.DiffID) }

func (i *Image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.config.Digest {
		return partial.ConfigLayer(i)
	}
	return i.find(h, v1.Layer.Digest)
}

func (i *Image) find(h v1.Hash, by func(v1.Layer) (v1.Hash, error)) (v1.Layer, error) {
	for _, l := range i.layers {
		if got, err := by(l); err != nil || got == h {
			return l, err
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", h)
}

// setConfig keeps a configuration that has been read, and describes it.
func (i *Image) setConfig(text []byte, media types.MediaType) (*v1.ConfigFile, error) {
	c, err := v1.ParseConfigFile(bytes.NewReader(text))
	if err != nil {
		return nil, &DamagedError{What: "the image's configuration", Got: err.Error()}
	}
	digest, size, err := v1.SHA256(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	i.config = v1.Descriptor{MediaType: media, Digest: digest, Size: size}
	i.text = func() ([]byte, error) { return text, nil }
	return c, nil
}

type compression int

const (
	plain compression = iota
	gzipped
	zstandard
)

// sniff tells how content is compressed, from its first bytes.
func sniff(b blob) (compression, error) {
	r, err := b.open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	start := make([]byte, 4)
	n, err := io.ReadFull(r, start)
	if err != nil && n == 0 && b.size > 0 {
		return 0, err
	}
	return magic(start[:n]), nil
}

func magic(start []byte) compression {
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard
	}
	return plain
}

// unpack undoes whatever compression there is, and closes r with itself.
func unpack(r io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	b := bufio.NewReaderSize(r, 64<<10)
	start, _ := b.Peek(4)
	from := io.Reader(b)
	closing := r.Close
	switch magic(start) {
	case gzipped:
		from, err = gzip.NewReader(b)
	case zstandard:
		var z *zstd.Decoder
		z, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err == nil {
			from, closing = z, func() error { z.Close(); return r.Close() }
		}
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return &unpacked{from, closing}, nil
}

type unpacked struct {
	io.Reader
	closing func() error
}

func (u *unpacked) Close() error { return u.closing() }

// isPlain reports whether a media type is that of a layer that is not compressed.
func isPlain(m types.MediaType) bool {
	return m == types.OCIUncompressedLayer || m == types.DockerUncompressedLayer
}

// compressedAs is the media type that a plain layer gets.
func compressedAs(m types.MediaType) types.MediaType {
	if strings.Contains(string(m), "docker") {
		return types.DockerLayer
	}
	return types.OCILayer
}
