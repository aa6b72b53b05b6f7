package runner

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// whiteout begins the name of an entry that removes what a lower layer has, and
	// opaque is the one that removes all that lower layers have in its folder.
	// https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"

	// maxLinks is how many symbolic links a path may lead through, as in the kernel.
	maxLinks = 40
)

// tree is an image's file tree in the making. Every path in it is a relative one whose
// folders are no links, so nothing that a layer says leads out of it; [os.Root] makes
// sure.
type tree struct {
	root   *os.Root
	owners bool // we may give files away
	modes  map[string]fs.FileMode
	mine   map[string]bool // written by the layer at hand
	above  map[string]bool // folders that hold something of mine
}

// extract writes an image's layers into the empty folder dir. Without the right to
// give files away they stay ours, and we can read and write all of them. Devices and
// pipes are left out: /dev is not the image's.
func extract(ctx context.Context, img v1.Image, dir string) error {
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("image layers: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t := &tree{root: root, owners: manyUsers(), modes: map[string]fs.FileMode{".": 0o755}}
	for i, l := range layers {
		if err := t.apply(ctx, l); err != nil {
			return fmt.Errorf("image layer %d: %w", i+1, err)
		}
	}
	return t.finish()
}

func (t *tree) apply(ctx context.Context, l v1.Layer) (err error) {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	t.mine, t.above = map[string]bool{}, map[string]bool{}
	in := tar.NewReader(r)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := in.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // to the end, where digests are checked
			return err
		}
		if err != nil {
			return err
		}
		if err := t.add(h, in); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

func (t *tree) add(h *tar.Header, r io.Reader) error {
	name := path.Clean("/" + h.Name)
	if name == "/" {
		if h.Typeflag != tar.TypeDir {
			return nil
		}
		t.modes["."] = t.mode(h)
		return t.own(".", h)
	}
	dir, err := within(t.root, path.Dir(name), true)
	if err != nil {
		return err
	}
	base := path.Base(name)
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		switch {
		case base == opaque:
			return t.hideAll(dir)
		case strings.HasPrefix(gone, whiteout): // AUFS's own
			return nil
		case gone == "" || gone == "." || gone == "..":
			return errors.New("a whiteout of nothing")
		}
		return t.hide(path.Join(dir, gone))
	}
	at := path.Join(dir, base)
	t.mine[at] = true
	for d := dir; !t.above[d]; d = path.Dir(d) {
		t.above[d] = true
	}
	return t.write(at, h, r)
}

func (t *tree) write(at string, h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if fi, err := t.root.Lstat(at); err != nil || !fi.IsDir() {
			if err := t.remove(at); err != nil {
				return err
			}
			if err := t.root.Mkdir(at, 0o755); err != nil {
				return err
			}
		}
		t.modes[at] = t.mode(h)
		return t.own(at, h)
	case tar.TypeReg:
		return t.file(at, h, r)
	case tar.TypeSymlink:
		if err := t.remove(at); err != nil {
			return err
		}
		if err := t.root.Symlink(h.Linkname, at); err != nil {
			return err
		}
		return t.own(at, h)
	case tar.TypeLink:
		name := path.Clean("/" + h.Linkname)
		dir, err := within(t.root, path.Dir(name), false)
		if err != nil {
			return fmt.Errorf("link to %q: %w", h.Linkname, err)
		}
		to := path.Join(dir, path.Base(name))
		if to == at {
			return nil
		}
		if err := t.remove(at); err != nil {
			return err
		}
		return t.root.Link(to, at)
	}
	return nil
}

func (t *tree) file(at string, h *tar.Header, r io.Reader) error {
	if err := t.remove(at); err != nil {
		return err
	}
	if err := t.content(at, r); err != nil {
		return err
	}
	if err := t.own(at, h); err != nil {
		return err
	}
	if err := t.root.Chmod(at, t.mode(h)); err != nil {
		return err
	}
	return t.root.Chtimes(at, h.ModTime, h.ModTime)
}

func (t *tree) content(at string, r io.Reader) error {
	defer unforked()()
	f, err := t.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// mode leaves out the bits that give rights away: they work nowhere here. Where all
// files are ours, whoever is root in the image is no more than their owner.
func (t *tree) mode(h *tar.Header) fs.FileMode {
	m := h.FileInfo().Mode()
	dir := h.Typeflag == tar.TypeDir
	keep := m.Perm()
	if dir {
		keep |= m & (fs.ModeSticky | fs.ModeSetgid)
	}
	switch {
	case t.owners:
	case dir:
		keep |= 0o700
	default:
		keep |= 0o600
	}
	return keep
}

func (t *tree) own(at string, h *tar.Header) error {
	if !t.owners {
		return nil
	}
	return t.root.Lchown(at, h.Uid, h.Gid)
}

// remove makes room for something else.
func (t *tree) remove(at string) error {
	fi, err := t.root.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !fi.IsDir() {
		return errors.Join(err, t.root.Remove(at))
	}
	for dir := range t.modes {
		if dir == at || strings.HasPrefix(dir, at+"/") {
			delete(t.modes, dir)
		}
	}
	return t.root.RemoveAll(at)
}

// hide removes what lower layers have at a path, and keeps what this one wrote there,
// in whatever order the layer says it.
func (t *tree) hide(at string) error {
	if !t.mine[at] && !t.above[at] {
		return t.remove(at)
	}
	if fi, err := t.root.Lstat(at); err != nil || !fi.IsDir() {
		return nil
	}
	return t.hideAll(at)
}

func (t *tree) hideAll(dir string) error {
	f, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	for _, n := range names {
		err = errors.Join(err, t.hide(path.Join(dir, n)))
	}
	return err
}

// finish gives the folders their modes, which may forbid to write into them.
func (t *tree) finish() error {
	dirs := sortedKeys(t.modes)
	slices.Reverse(dirs)
	for _, at := range dirs {
		if err := t.root.Chmod(at, t.modes[at]); err != nil {
			return err
		}
	}
	return nil
}

// within follows a path as a process does whose root is root, links and all, and
// returns where it leads without links. If asked it makes the folders that are missing.
func within(root *os.Root, name string, mkdir bool) (string, error) {
	at, links := ".", 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		fi, err := root.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) && mkdir:
			err = root.Mkdir(next, 0o755)
		case err == nil && fi.Mode().Type() == fs.ModeSymlink:
			var target string
			if target, err = root.Readlink(next); err != nil {
				break
			}
			if links++; links > maxLinks {
				return "", &fs.PathError{Op: "follow", Path: name, Err: syscall.ELOOP}
			}
			if path.IsAbs(target) {
				at = "."
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case err == nil && !fi.IsDir() && len(rest) > 0:
			err = &fs.PathError{Op: "follow", Path: next, Err: syscall.ENOTDIR}
		}
		if err != nil {
			return "", err
		}
		at = next
	}
	return at, nil
}
