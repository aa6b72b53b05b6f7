package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// place is an engine's store on this machine, where whoever runs apron may read it. A
// layer lies there as unpacked files, along with the notes from which vbatts/tar-split
// makes the archive again that it came from, byte by byte.
type place interface {
	// config returns an image's configuration.
	config(id v1.Hash) ([]byte, error)
	// layer finds the notes and the directory of files of the last of these layers.
	layer(diffs []v1.Hash) (notes, files string, err error)
}

// findRoot returns the directory of the store that an image lies in, or nothing if it is
// not to be read. What was said of the image names it, or the engine is asked.
func findRoot(ctx context.Context, d dialect, run Run, said described) string {
	if d.info == "" {
		// The files of its last layer are in ROOT/DRIVER/ID/diff.
		if said.driver != d.driver || filepath.Base(said.upper) != "diff" {
			return ""
		}
		return filepath.Dir(filepath.Dir(filepath.Dir(said.upper)))
	}
	var out bytes.Buffer
	if err := run(ctx, &out, "info", "--format", d.info); err != nil {
		return ""
	}
	root, driver, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
	if driver != d.driver {
		return ""
	}
	return root
}

// dockerPlace is the directory of a Docker daemon.
type dockerPlace string

func (p dockerPlace) config(id v1.Hash) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(p), "image", "overlay2", "imagedb", "content", "sha256", id.Hex))
}

// layer computes the chain's name.
// https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
func (p dockerPlace) layer(diffs []v1.Hash) (notes, files string, err error) {
	chain := diffs[0].Hex
	for _, d := range diffs[1:] {
		chain = fmt.Sprintf("%x", sha256.Sum256([]byte("sha256:"+chain+" "+d.String())))
	}
	dir := filepath.Join(string(p), "image", "overlay2", "layerdb", "sha256", chain)
	id, err := os.ReadFile(filepath.Join(dir, "cache-id"))
	if err != nil {
		return "", "", err
	}
	return filepath.Join(dir, "tar-split.json.gz"), filepath.Join(string(p), "overlay2", filepath.Base(string(id)), "diff"), nil
}

// podmanPlace is a graph root of containers/storage, which buildah shares.
type podmanPlace string

func (p podmanPlace) config(id v1.Hash) ([]byte, error) {
	name := "=" + base64.StdEncoding.EncodeToString([]byte(id.String()))
	return os.ReadFile(filepath.Join(string(p), "overlay-images", id.Hex, name))
}

func (p podmanPlace) layer(diffs []v1.Hash) (notes, files string, err error) {
	layers, err := p.layers()
	if err != nil {
		return "", "", err
	}
	for _, l := range layers {
		if id := filepath.Base(l.ID); l.Diff == diffs[len(diffs)-1].String() {
			return filepath.Join(string(p), "overlay-layers", id+".tar-split.gz"), filepath.Join(string(p), "overlay", id, "diff"), nil
		}
	}
	return "", "", os.ErrNotExist
}

// sharedLayer is a layer as containers/storage lists it.
// https://pkg.go.dev/go.podman.io/storage#Layer
type sharedLayer struct {
	ID   string `json:"id"`
	Diff string `json:"diff-digest"`
	Size int64  `json:"diff-size"` // bytes, before compression
}

func (p podmanPlace) layers() (all []sharedLayer, err error) {
	text, err := os.ReadFile(filepath.Join(string(p), "overlay-layers", "layers.json"))
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(text, &all)
}

// describe says of an image what podman's program would, without starting it.
func (p podmanPlace) describe(id v1.Hash) (said described, ok bool) {
	text := verified(p, id)
	if text == nil {
		return said, false
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(text))
	if err != nil {
		return said, false
	}
	layers, err := p.layers()
	if err != nil {
		return said, false
	}
	sizes := map[string]int64{}
	for _, l := range layers {
		sizes[l.Diff] = l.Size
	}
	said.diffs = config.RootFS.DiffIDs
	for _, d := range said.diffs {
		size, ok := sizes[d.String()]
		if !ok {
			return said, false
		}
		said.plain += size
	}
	return said, true
}

// verified returns an image's configuration, or nil if it is not there as its id says.
func verified(p place, id v1.Hash) []byte {
	text, err := p.config(id)
	if err != nil {
		return nil
	}
	if got, _, err := v1.SHA256(bytes.NewReader(text)); err != nil || got != id {
		return nil
	}
	return text
}

// inPlace returns a layer of a store, after a look at whether it can be read.
func inPlace(p place, diffs []v1.Hash) (blob, error) {
	notes, files, err := p.layer(diffs)
	if err != nil {
		return blob{}, err
	}
	size, err := whole(notes, files)
	if err != nil {
		return blob{}, err
	}
	return blob{size: size, open: func() (io.ReadCloser, error) { return assemble(notes, files) }}, nil
}

// whole checks that all files of a layer can be read, as a user need not own all of them,
// and returns the size of the archive.
func whole(notes, files string) (size int64, err error) {
	a, err := assemble(notes, files)
	if err != nil {
		return 0, err
	}
	defer a.Close()
	for {
		n, err := a.next()
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		size += n
		a.drop()
	}
}

// assembled is an archive made of notes and files.
// https://github.com/vbatts/tar-split
type assembled struct {
	notes   io.ReadCloser
	entries *json.Decoder
	root    *os.Root
	part    io.Reader // of the archive, or nil
	file    *os.File  // that part reads, or nil
}

func assemble(notes, files string) (*assembled, error) {
	f, err := os.Open(notes)
	if err != nil {
		return nil, err
	}
	r, err := unpack(f, nil)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		r.Close()
		return nil, err
	}
	return &assembled{notes: r, entries: json.NewDecoder(r), root: root}, nil
}

// A piece of an archive: the content of a file, or bytes between those.
const (
	contentOfFile = 1
	bytesBetween  = 2
)

func (a *assembled) Read(to []byte) (int, error) {
	for {
		if a.part != nil {
			n, err := a.part.Read(to)
			if n > 0 || err == nil {
				return n, nil
			}
			if !errors.Is(err, io.EOF) {
				return 0, err
			}
			a.drop()
		}
		if _, err := a.next(); err != nil {
			return 0, err
		}
	}
}

// next goes to the next piece, and returns its size.
func (a *assembled) next() (int64, error) {
	var e struct {
		Type    int    `json:"type"`
		Name    string `json:"name"`
		Raw     []byte `json:"name_raw"` // if it is no UTF-8
		Size    int64  `json:"size"`
		Payload []byte `json:"payload"`
	}
	if err := a.entries.Decode(&e); err != nil {
		return 0, err // io.EOF at the end
	}
	switch {
	case e.Type == bytesBetween:
		a.part = bytes.NewReader(e.Payload)
		return int64(len(e.Payload)), nil
	case e.Type == contentOfFile && e.Size > 0:
		if len(e.Raw) > 0 {
			e.Name = string(e.Raw)
		}
		f, err := a.root.Open(filepath.FromSlash(strings.TrimPrefix(path.Clean("/"+e.Name), "/")))
		if err != nil {
			return 0, err
		}
		a.file, a.part = f, io.LimitReader(f, e.Size)
		if info, err := f.Stat(); err != nil || info.Size() != e.Size {
			return 0, &DamagedError{What: e.Name, Got: "not of the size that it had"}
		}
		return e.Size, nil
	}
	return 0, nil
}

func (a *assembled) drop() {
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.part = nil, nil
}

func (a *assembled) Close() error {
	a.drop()
	return errors.Join(a.root.Close(), a.notes.Close())
}
