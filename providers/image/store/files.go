package store

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// files are what a source consists of, by slash-separated path.
type files interface {
	find(name string) (blob, error) // or fs.ErrNotExist
}

// folder is a directory. It hands out regular files below itself only.
type folder struct{ root *os.Root }

func (f folder) find(name string) (blob, error) {
	info, err := f.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return blob{}, err
	}
	if !info.Mode().IsRegular() {
		return blob{}, &DamagedError{What: name, Got: "not a regular file"}
	}
	return blob{info.Size(), func() (io.ReadCloser, error) { return f.root.Open(filepath.FromSlash(name)) }}, nil
}

// tarball is an archive that is read in place: where each file lies in it is known.
type tarball struct {
	file  *os.File
	at    map[string]span
	links map[string]string
}

type span struct{ start, size int64 }

// scan finds the files of an archive, without reading them.
func scan(f *os.File) (*tarball, error) {
	t := &tarball{file: f, at: map[string]span{}, links: map[string]string{}}
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &DamagedError{What: "archive " + f.Name(), Got: err.Error()}
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			start, err := f.Seek(0, io.SeekCurrent) // the reader takes whole blocks and keeps none
			if err != nil {
				return nil, err
			}
			t.at[name] = span{start, h.Size}
			delete(t.links, name)
		case tar.TypeLink:
			t.links[name] = path.Clean(h.Linkname)
		case tar.TypeSymlink: // docker has them for layers that occur twice
			t.links[name] = path.Join(path.Dir(name), h.Linkname)
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for name, s := range t.at { // what was cut off is not missed by seeking over it
		if s.start+s.size > info.Size() {
			return nil, &DamagedError{What: "archive " + f.Name(), Got: fmt.Sprintf("it ends within %s", name)}
		}
	}
	return t, nil
}

func (t *tarball) find(name string) (blob, error) {
	name = path.Clean(name)
	for range 10 {
		if s, ok := t.at[name]; ok {
			return blob{s.size, func() (io.ReadCloser, error) {
				return io.NopCloser(io.NewSectionReader(t.file, s.start, s.size)), nil
			}}, nil
		}
		to, ok := t.links[name]
		if !ok {
			break
		}
		name = to
	}
	return blob{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// small reads a file that describes others: a manifest, an index, a configuration.
func small(from files, name string) ([]byte, error) {
	b, err := from.find(name)
	if err != nil {
		return nil, err
	}
	const limit = 8 << 20 // twice what ECR takes as a manifest
	if b.size > limit {
		return nil, &DamagedError{What: name, Got: fmt.Sprintf("%d bytes are more than a description has", b.size)}
	}
	r, err := b.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit))
}
