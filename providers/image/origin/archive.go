package origin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// archive is a tar file, which may be compressed by gzip. A compressed one is read from
// its beginning for each file in it.
type archive struct {
	file    *os.File
	zipped  bool
	entries map[string]entry
}

type entry struct {
	at, size int64
	link     string // to another entry, instead
}

func openArchive(f *os.File) (*archive, error) {
	a := &archive{file: f, entries: map[string]entry{}}
	head := make([]byte, 2)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, errors.New("it is empty")
	}
	var r io.Reader = f
	if a.zipped = bytes.Equal(head, zipped); a.zipped {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && len(a.entries) > 0 {
			return a, nil
		}
		if err != nil {
			return nil, err
		}
		e := entry{size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg:
			if !a.zipped { // the reader has stopped right before the contents
				if e.at, err = f.Seek(0, io.SeekCurrent); err != nil {
					return nil, err
				}
			}
		case tar.TypeSymlink:
			e.link = clean(path.Join(path.Dir(h.Name), h.Linkname))
		case tar.TypeLink:
			e.link = clean(h.Linkname)
		default:
			continue
		}
		a.entries[clean(h.Name)] = e
	}
}

// zipped is how gzip's output begins.
var zipped = []byte{0x1f, 0x8b}

func clean(name string) string { return path.Clean("/" + name)[1:] }

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	name = clean(name)
	e, ok := a.entries[name]
	for range 8 { // links, which may go round in circles
		if !ok || e.link == "" {
			break
		}
		name = e.link
		e, ok = a.entries[name]
	}
	if !ok || e.link != "" {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if !a.zipped {
		return io.NopCloser(io.NewSectionReader(a.file, e.at, e.size)), e.size, nil
	}
	r, err := a.unzip(name)
	return r, e.size, err
}

// unzip reads one file of a compressed archive, by a reader of its own: several may be
// open at once.
func (a *archive) unzip(wanted string) (io.ReadCloser, error) {
	info, err := a.file.Stat()
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(io.NewSectionReader(a.file, 0, info.Size()))
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if err != nil {
			return nil, err
		}
		if clean(h.Name) == wanted {
			return struct {
				io.Reader
				io.Closer
			}{t, z}, nil
		}
	}
}

func (a *archive) Close() error { return a.file.Close() }

// saved is an image as docker save writes it: layers, and a configuration that names what
// they must unpack to.
// https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
type saved struct {
	files  store
	config []byte
	parsed *v1.ConfigFile
	layers []string
	size   int64 // of all layers as they are
	packed bool  // they are compressed
}

func dockerArchive(files store, p place, raw []byte) (*saved, error) {
	var all []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var names [][]string
	for _, one := range all {
		names = append(names, one.RepoTags)
	}
	at, err := p.pick(names)
	if err != nil {
		return nil, err
	}
	s := &saved{files: files, layers: all[at].Layers}
	if s.config, err = read(files, all[at].Config); err != nil {
		return nil, err
	}
	if s.parsed, err = v1.ParseConfigFile(bytes.NewReader(s.config)); err != nil {
		return nil, fmt.Errorf("%s: %w", all[at].Config, err)
	}
	if n := len(s.parsed.RootFS.DiffIDs); n != len(s.layers) {
		return nil, fmt.Errorf("there are %d layers, and the configuration names %d", len(s.layers), n)
	}
	for i, name := range s.layers {
		r, size, err := files.open(name)
		if err != nil {
			return nil, err
		}
		if s.size += size; i == 0 {
			head := make([]byte, 2)
			_, err = io.ReadFull(r, head)
			s.packed = err == nil && bytes.Equal(head, zipped)
		}
		r.Close()
	}
	return s, nil
}

// source describes the image by its ID: the digest of its manifest depends on how the
// layers are compressed, which is done only when they are copied.
func (s *saved) source(p place) (*Source, error) {
	id, _, err := v1.SHA256(bytes.NewReader(s.config))
	if err != nil {
		return nil, err
	}
	pin := &Pin{From: p.from, Reference: p.path + "@" + id.String(), Digest: id.String(), Image: id.String(),
		MediaType: types.DockerManifestSchema2, Platform: platformOf(s.parsed), Config: s.parsed}
	if s.packed {
		pin.Compressed = s.size
	} else {
		pin.Unpacked = s.size
	}
	return &Source{Pin: pin, late: s.compress, close: func() error { return nil }}, nil
}

// compress turns the layers into those of a registry, and fails if they are not what the
// configuration says.
func (s *saved) compress(ctx context.Context) (v1.Image, error) {
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Size: int64(len(s.config))}}
	var err error
	if m.Config.Digest, _, err = v1.SHA256(bytes.NewReader(s.config)); err != nil {
		return nil, err
	}
	c := &compressed{config: s.config, layers: map[v1.Hash]v1.Layer{}}
	for i, name := range s.layers {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			r, _, err := s.files.open(name)
			return r, err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if got, err := l.DiffID(); err != nil || got != s.parsed.RootFS.DiffIDs[i] {
			return nil, fmt.Errorf("%s is not the layer that the image's configuration names", name)
		}
		d, err := partial.Descriptor(l)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, *d)
		c.layers[d.Digest] = l
	}
	if c.raw, err = json.Marshal(m); err != nil {
		return nil, err
	}
	return partial.CompressedToImage(c)
}

// compressed is the image of an archive as a registry takes it.
type compressed struct {
	raw    []byte
	config []byte
	layers map[v1.Hash]v1.Layer
}

var _ partial.CompressedImageCore = (*compressed)(nil)

func (c *compressed) MediaType() (types.MediaType, error) { return types.DockerManifestSchema2, nil }
func (c *compressed) RawManifest() ([]byte, error)        { return c.raw, nil }
func (c *compressed) RawConfigFile() ([]byte, error)      { return c.config, nil }

func (c *compressed) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if l := c.layers[h]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("the image has no layer %s", h)
}
