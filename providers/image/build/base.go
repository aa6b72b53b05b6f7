package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/apron-deploy/apron/providers/image/source"
)

// spooled is a layer of a base image. It is fetched when first read, and then kept in a
// file, because both the tree and the push need it.
type spooled struct {
	v1.Layer
	spool string
	once  sync.Once
	file  string
	err   error
}

func (s *spooled) fetch() (string, error) {
	s.once.Do(func() { s.file, s.err = spool(s.spool, s.Layer.Compressed) })
	return s.file, s.err
}

func (s *spooled) Compressed() (io.ReadCloser, error) {
	file, err := s.fetch()
	if err != nil {
		return nil, err
	}
	return os.Open(file)
}

func (s *spooled) Uncompressed() (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(s) // knows gzip, zstd and plain archives
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}

// spool copies what open gives into a file in dir.
func spool(dir string, open func() (io.ReadCloser, error)) (string, error) {
	r, err := open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// unpacked is the archive of a layer, in a file that can be read anywhere. It is made
// when a file's contents are first asked for.
type unpacked struct {
	layer v1.Layer
	spool string
	once  sync.Once
	file  string
	err   error
}

func (u *unpacked) open(at, size int64) (io.ReadCloser, error) {
	u.once.Do(func() { u.file, u.err = spool(u.spool, u.layer.Uncompressed) })
	if u.err != nil {
		return nil, u.err
	}
	f, err := os.Open(u.file)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, at, size), f}, nil
}

// load builds the tree of an image from its layers.
func load(layers []v1.Layer, dir string) (*node, error) {
	root := newDir(0o755)
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			return nil, err
		}
		err = root.unpack(r, &unpacked{layer: l, spool: dir})
		r.Close()
		if err != nil {
			return nil, err
		}
	}
	return root, nil
}

// counted tells how far an archive was read, which is where a file's contents start.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// unpack lays the entries of an archive over the tree.
// https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
func (n *node) unpack(r io.Reader, contents *unpacked) error {
	in := &counted{r: r}
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		at := path.Clean("/" + h.Name)
		dir, name := path.Split(at)
		if at == "/" {
			continue
		}
		up := n.ensure(dir)
		switch {
		case name == ".wh..wh..opq":
			clear(up.kids)
			continue
		case strings.HasPrefix(name, ".wh."):
			delete(up.kids, strings.TrimPrefix(name, ".wh."))
			continue
		}
		kid := &node{kind: h.Typeflag, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, link: h.Linkname, attr: xattrs(h)}
		switch h.Typeflag {
		case tar.TypeDir:
			kid.kids = map[string]*node{}
			if old := up.kids[name]; old.dir() {
				kid.kids = old.kids
			}
		case tar.TypeReg:
			start, size := in.n, h.Size
			kid.size, kid.open = size, func() (io.ReadCloser, error) { return contents.open(start, size) }
		case tar.TypeLink:
			old, err := n.lstat(h.Linkname)
			if err != nil || old == nil {
				return fmt.Errorf("%s: hard link to %s, which is not there", h.Name, h.Linkname)
			}
			kid = old
		}
		up.kids[name] = kid
	}
}

// ensure returns the directory at name, made of whatever is missing. An archive's own
// paths hold no symlinks, so that none are followed.
func (n *node) ensure(name string) *node {
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		kid := n.kids[part]
		if !kid.dir() {
			kid = newDir(0o755)
			n.kids[part] = kid
		}
		n = kid
	}
	return n
}

func xattrs(h *tar.Header) map[string]string {
	var attr map[string]string
	for k, v := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			if attr == nil {
				attr = map[string]string{}
			}
			attr[k] = v
		}
	}
	return attr
}

// contextTree is a build context as a tree: owned by root, with modes that depend on
// the executable bit alone.
func contextTree(c *source.Context, files []source.File) (*node, error) {
	root := newDir(0o755)
	for _, f := range files {
		dir, name := path.Split(f.Path)
		n := &node{kind: tar.TypeReg, mode: 0o644}
		if f.Link {
			target, err := c.Target(f)
			if err != nil {
				return nil, err
			}
			n.kind, n.mode, n.link = tar.TypeSymlink, 0o777, target
		} else {
			info, err := os.Lstat(filepath.Join(c.Dir, filepath.FromSlash(f.Path)))
			if err != nil {
				return nil, err
			}
			n.size, n.open = info.Size(), func() (io.ReadCloser, error) { return c.Read(f) }
			if f.Exec {
				n.mode = 0o755
			}
		}
		root.ensure(dir).kids[name] = n
	}
	return root, nil
}

func textFile(data string) *node {
	return &node{kind: tar.TypeReg, mode: 0o644, size: int64(len(data)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(data))), nil
	}}
}

// layersOf wraps the layers of a base image so that each is fetched at most once.
func layersOf(img v1.Image, dir string) ([]v1.Layer, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		if media, err := l.MediaType(); err != nil {
			return nil, err
		} else if media == types.DockerForeignLayer {
			return nil, fmt.Errorf("layer %d of the base image may not be distributed", i)
		}
		layers[i] = &spooled{Layer: l, spool: dir}
	}
	return layers, nil
}

// isArchive looks for the first bytes of what ADD unpacks.
func isArchive(n *node) (bool, error) {
	r, err := n.open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	head := make([]byte, 512)
	k, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	for _, magic := range []string{"\x1f\x8b\x08", "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head[:k], []byte(magic)) {
			return true, nil
		}
	}
	return k >= 262 && string(head[257:262]) == "ustar", nil
}
