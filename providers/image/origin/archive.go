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
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/image/store"
)

// archive is a tar file, which may be compressed by gzip. Of a compressed one the texts are
// kept; for each larger file in it, it is read from its beginning, until it is unpacked.
type archive struct {
	file    *os.File
	zipped  bool
	entries map[string]entry
}

type entry struct {
	at, size int64
	link     string // to another entry, instead
	text     []byte // of a small file in a compressed archive
}

// How large the texts are that are kept of a compressed archive: one, and all of them.
const (
	smallText = 1 << 20
	allTexts  = 16 << 20
)

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
	kept := int64(0)
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
			switch {
			case !a.zipped: // the reader has stopped right before the contents
				e.at, err = f.Seek(0, io.SeekCurrent)
			case h.Size <= smallText && kept+h.Size <= allTexts:
				kept += h.Size
				e.text, err = io.ReadAll(t)
			}
			if err != nil {
				return nil, err
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
	name, e, err := a.find(name)
	switch {
	case err != nil:
		return nil, 0, err
	case !a.zipped:
		return io.NopCloser(io.NewSectionReader(a.file, e.at, e.size)), e.size, nil
	case e.text != nil:
		return io.NopCloser(bytes.NewReader(e.text)), e.size, nil
	}
	r, err := a.unzip(name)
	return r, e.size, err
}

func (a *archive) size(name string) (int64, error) {
	_, e, err := a.find(name)
	return e.size, err
}

// find follows links to a file, and returns its own name.
func (a *archive) find(name string) (string, entry, error) {
	name = clean(name)
	e, ok := a.entries[name]
	for range 8 { // links may go round in circles
		if !ok || e.link == "" {
			break
		}
		name = e.link
		e, ok = a.entries[name]
	}
	if !ok || e.link != "" {
		return "", entry{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return name, e, nil
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

// unpack keeps a compressed archive in a temporary file instead, which closing removes, and
// closes a.
func (a *archive) unpack(ctx context.Context, dir string) (_ contents, err error) {
	stop := context.AfterFunc(ctx, func() { a.Close() }) // ends a long read
	defer stop()
	defer a.Close()
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(a.file)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "apron-archive-*.tar")
	if err != nil {
		return nil, err
	}
	out := &temporary{&archive{file: f}}
	if _, err = io.Copy(f, z); err == nil {
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			out.archive, err = openArchive(f)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return out, nil
}

// temporary is an archive whose file goes away with it.
type temporary struct{ *archive }

func (t *temporary) Close() error { return errors.Join(t.archive.Close(), os.Remove(t.file.Name())) }

func (a *archive) Close() error { return a.file.Close() }

// saved is an image as docker save writes it: layers, and a configuration that names what
// they must unpack to.
// https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
type saved struct {
	files  contents
	config []byte
	parsed *v1.ConfigFile
	layers []string
	sizes  []int64 // of them as they are
	size   int64   // of all
	packed bool    // they are compressed
}

func dockerArchive(files contents, p place, raw []byte) (*saved, error) {
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
		size, err := files.size(name)
		if err == nil && i == 0 {
			s.packed, err = isZipped(files, name)
		}
		if err != nil {
			return nil, err
		}
		s.sizes = append(s.sizes, size)
		s.size += size
	}
	return s, nil
}

func isZipped(files contents, name string) (bool, error) {
	r, _, err := files.open(name)
	if err != nil {
		return false, err
	}
	defer r.Close()
	head := make([]byte, 2)
	_, err = io.ReadFull(r, head)
	return err == nil && bytes.Equal(head, zipped), nil
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
	return &Source{Pin: pin, late: s.open, close: func() error { return nil }}, nil
}

// open makes the image, whose layers are compressed when they are sent: they are then held to
// what the configuration says. Those that are compressed already are so here.
func (s *saved) open(ctx context.Context, o Options) (v1.Image, error) {
	var files []store.File
	for i, name := range s.layers {
		files = append(files, store.File{Name: name, Size: s.sizes[i], Open: func() (io.ReadCloser, error) {
			r, _, err := s.files.open(name)
			return r, err
		}})
	}
	img, err := store.Saved(s.config, files, store.Options{Known: o.Known})
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range layers {
		if _, later := l.(*store.Layer); !later {
			group.Go(func() error { return verify(ctx, l, s.layers[i]) })
		}
	}
	return img, group.Wait()
}

// verify reads a compressed layer and compares what it unpacks to.
func verify(ctx context.Context, l v1.Layer, name string) error {
	want, err := l.DiffID()
	if err != nil {
		return err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	got, err := sum(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if got != want.Hex {
		return fmt.Errorf("%s is not the layer that the image's configuration names", name)
	}
	return nil
}
