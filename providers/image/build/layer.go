package build

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// layer is a compressed archive in a temporary file.
type layer struct {
	file   string
	diff   v1.Hash
	digest v1.Hash
	size   int64
	media  types.MediaType
}

var _ v1.Layer = (*layer)(nil)

func (l *layer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.diff, nil }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return l.media, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return unzip(l.Compressed()) }

// unzip closes r with itself.
func unzip(r io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		r.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{z, r}, nil
}

// compress writes what write writes into a new file in spool, as gzip, and hashes it on
// the way. The output depends on nothing but the input.
func compress(spool string, media types.MediaType, write func(io.Writer) error) (*layer, error) {
	f, err := os.CreateTemp(spool, "layer-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buffered := bufio.NewWriterSize(f, 256<<10)
	packed := &sum{to: buffered, hash: sha256.New()}
	z, err := gzip.NewWriterLevel(packed, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	plain := &sum{to: z, hash: sha256.New()}
	if err := write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if err := buffered.Flush(); err != nil {
		return nil, err
	}
	return &layer{file: f.Name(), diff: plain.sum(), digest: packed.sum(), size: packed.size, media: media}, f.Close()
}

// sum passes bytes on and hashes them.
type sum struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func (s *sum) Write(b []byte) (int, error) {
	s.hash.Write(b)
	s.size += int64(len(b))
	return s.to.Write(b)
}

func (s *sum) sum() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(s.hash.Sum(nil))}
}

// archive writes the changes of an instruction as a layer, in the order of paths.
func archive(ctx context.Context, w io.Writer, changes map[string]*node, when time.Time) error {
	t := tar.NewWriter(w)
	for _, at := range slices.Sorted(maps.Keys(changes)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := entry(t, at, changes[at], when); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return t.Close()
}

func entry(t *tar.Writer, at string, n *node, when time.Time) error {
	h := &tar.Header{Name: at[1:], Typeflag: n.kind, Mode: n.mode, Uid: n.uid, Gid: n.gid, ModTime: when, PAXRecords: n.attr}
	switch n.kind {
	case tar.TypeDir:
		h.Name += "/"
	case tar.TypeSymlink:
		h.Linkname = n.link
	default:
		h.Size = n.size
	}
	if n.kind != tar.TypeReg {
		return t.WriteHeader(h)
	}
	r, err := n.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	switch written, err := io.Copy(t, r); {
	case err == nil && written == n.size:
		return nil
	case err == nil:
		err = io.ErrUnexpectedEOF
		fallthrough
	case errors.Is(err, tar.ErrWriteTooLong):
		return fmt.Errorf("read %d of %d bytes, it changed during the build: %w", written, n.size, err)
	default:
		return err
	}
}
