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
	diff  v1.Hash
	media types.MediaType
	known *Known
	plain int64
	from  func() (blob, error)

	mu     sync.Mutex
	digest v1.Hash
	size   int64
	sure   bool // not only remembered
}

var _ v1.Layer = (*Layer)(nil)

// DiffID is the digest of the plain content, as the image's configuration claims it.
func (l *Layer) DiffID() (v1.Hash, error) { return l.diff, nil }

// MediaType is that of the compressed layer.
func (l *Layer) MediaType() (types.MediaType, error) { return l.media, nil }

// Plain is the size before compression, in bytes, or 0 if that is not known yet.
func (l *Layer) Plain() int64 { return l.plain }

// Uncompressed opens the content.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	b, err := l.from()
	if err != nil {
		return nil, err
	}
	return b.open()
}

// Compressed compresses the content while it is read. It fails with a [*DamagedError] at
// the end if the content is not that of the DiffID.
func (l *Layer) Compressed() (io.ReadCloser, error) {
	r, err := l.Uncompressed()
	if err != nil {
		return nil, err
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

// packed is a layer that its source holds compressed; it goes out as it is.
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
