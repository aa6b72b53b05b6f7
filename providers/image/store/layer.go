package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is content somewhere in a source.
type blob struct {
	size int64
	open func() (io.ReadCloser, error)
}

// Layer is a layer that its source holds plain. Its digest is remembered or else costs a
// compression; a push that must send it anyway learns it on the way.
type Layer struct {
	diff    v1.Hash
	media   types.MediaType
	known   *Known
	packing func(diff v1.Hash, plain int64) // may be nil
	from    func() (blob, error)

	mu     sync.Mutex
	digest v1.Hash
	size   int64
	sure   bool // not only remembered

	finding sync.Mutex
	found   *blob // what from returned
}

var _ v1.Layer = (*Layer)(nil)

// DiffID is the digest of the plain content, as the image's configuration claims it.
func (l *Layer) DiffID() (v1.Hash, error) { return l.diff, nil }

// MediaType is that of the compressed layer.
func (l *Layer) MediaType() (types.MediaType, error) { return l.media, nil }

// Plain is the size before compression, in bytes, or 0 if nothing tells. It looks for the
// content, which may have an engine save the image.
func (l *Layer) Plain() int64 {
	b, err := l.content()
	if err != nil {
		return 0 // whoever reads it will hear of it
	}
	return b.size
}

// content finds the content, once.
func (l *Layer) content() (blob, error) {
	l.finding.Lock()
	defer l.finding.Unlock()
	if l.found == nil {
		b, err := l.from()
		if err != nil {
			return blob{}, err
		}
		l.found = &b
	}
	return *l.found, nil
}

// Uncompressed opens the content.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	b, err := l.content()
	if err != nil {
		return nil, err
	}
	return b.open()
}

// Compressed compresses the content while it is read. It fails with a [*DamagedError] at
// the end if the content is not that of the DiffID.
func (l *Layer) Compressed() (io.ReadCloser, error) {
	b, err := l.content()
	if err != nil {
		return nil, err
	}
	r, err := b.open()
	if err != nil {
		return nil, err
	}
	if l.packing != nil {
		l.packing(l.diff, b.size)
	}
	return pack(r, l.diff), nil
}

// Recorded returns what the compressed form was the last time, without reading anything.
// It is not a promise about the next.
func (l *Layer) Recorded() (v1.Hash, int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sure {
		return l.digest, l.size, true
	}
	return l.known.Packed(l.diff)
}

// Record remembers the compressed form, which the caller has seen to its end or found in
// an image of a registry.
func (l *Layer) Record(digest v1.Hash, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.digest, l.size, l.sure = digest, size, true
	l.known.SetPacked(l.diff, digest, size)
}

// Digest compresses the layer if nothing is recorded.
func (l *Layer) Digest() (v1.Hash, error) {
	digest, _, err := l.measure()
	return digest, err
}

// Size compresses the layer if nothing is recorded.
func (l *Layer) Size() (int64, error) {
	_, size, err := l.measure()
	return size, err
}

func (l *Layer) measure() (v1.Hash, int64, error) {
	if digest, size, ok := l.Recorded(); ok {
		return digest, size, nil
	}
	r, err := l.Compressed()
	if err != nil {
		return v1.Hash{}, 0, err
	}
	defer r.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, r)
	if err != nil {
		return v1.Hash{}, 0, err
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	l.Record(digest, size)
	return digest, size, nil
}

// archived is the layer, not to be compressed.
func (l *Layer) archived() (v1.Layer, error) {
	b, err := l.content()
	if err != nil {
		return nil, err
	}
	if b.size == 0 {
		if b.size, err = measured(b); err != nil {
			return nil, err
		}
	}
	return &packed{v1.Descriptor{MediaType: types.DockerUncompressedLayer, Digest: l.diff, Size: b.size}, l.diff, b}, nil
}

// measured reads a blob for its size.
func measured(b blob) (int64, error) {
	r, err := b.open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

// packed is a layer that goes out as its source holds it, compressed as a rule.
type packed struct {
	desc v1.Descriptor
	diff v1.Hash
	blob blob
}

var _ v1.Layer = (*packed)(nil)

func (l *packed) Digest() (v1.Hash, error)             { return l.desc.Digest, nil }
func (l *packed) DiffID() (v1.Hash, error)             { return l.diff, nil }
func (l *packed) Size() (int64, error)                 { return l.desc.Size, nil }
func (l *packed) MediaType() (types.MediaType, error)  { return l.desc.MediaType, nil }
func (l *packed) Compressed() (io.ReadCloser, error)   { return l.blob.open() }
func (l *packed) Uncompressed() (io.ReadCloser, error) { return unpack(l.blob.open()) }
