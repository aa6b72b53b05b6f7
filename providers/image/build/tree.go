package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// node is a file, a directory, a symlink or a special file of an image.
type node struct {
	kind byte // a type of package tar; hard links are gone
	mode int64
	uid  int
	gid  int
	link string // target of a symlink
	size int64
	open func() (io.ReadCloser, error) // contents of a file
	attr map[string]string             // extended attributes, as PAX records
	kids map[string]*node              // of a directory
}

func newDir(mode int64) *node {
	return &node{kind: tar.TypeDir, mode: mode, kids: map[string]*node{}}
}

func (n *node) dir() bool { return n != nil && n.kind == tar.TypeDir }

// plain reports whether n is something that can be copied.
func (n *node) plain() bool {
	return n.kind == tar.TypeReg || n.kind == tar.TypeDir || n.kind == tar.TypeSymlink
}

// clone copies the directories, so that one may change and the other not. Contents are
// shared.
func (n *node) clone() *node {
	c := *n
	if n.kids != nil {
		c.kids = make(map[string]*node, len(n.kids))
		for name, kid := range n.kids {
			c.kids[name] = kid.clone()
		}
	}
	return &c
}

// names lists a directory in order.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.kids)) }

var errLoop = errors.New("too many symlinks")

// resolve follows name from the root as the image's own kernel would, the last element
// too, and returns the path without symlinks. The node is nil if nothing is there.
func (n *node) resolve(name string) (string, *node, error) {
	rest := strings.Split(path.Clean("/" + name)[1:], "/")
	at, trail := "/", []*node{n}
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		here := trail[len(trail)-1]
		switch part {
		case "", ".":
			continue
		case "..":
			if at != "/" {
				at, trail = path.Dir(at), trail[:len(trail)-1]
			}
			continue
		}
		var kid *node
		if here.dir() {
			kid = here.kids[part]
		}
		if kid != nil && kid.kind == tar.TypeSymlink {
			if links++; links > 255 {
				return "", nil, fmt.Errorf("%s: %w", name, errLoop)
			}
			if path.IsAbs(kid.link) {
				at, trail = "/", trail[:1]
			}
			rest = append(strings.Split(kid.link, "/"), rest...)
			continue
		}
		at, trail = path.Join(at, part), append(trail, kid)
	}
	return at, trail[len(trail)-1], nil
}

// lstat returns the node at name, following symlinks in all elements but the last.
func (n *node) lstat(name string) (*node, error) {
	dir, base := path.Split(path.Clean("/" + name))
	if base == "" {
		return n, nil
	}
	_, up, err := n.resolve(dir)
	if err != nil || !up.dir() {
		return nil, err
	}
	return up.kids[base], nil
}

// glob lists the paths that match pattern, in order. The part before the first wildcard
// is taken literally, and a star matches no slash.
func (n *node) glob(pattern string) ([]string, error) {
	parts := strings.Split(path.Clean("/" + pattern)[1:], "/")
	found := []string{"/"}
	for _, part := range parts {
		var next []string
		for _, dir := range found {
			if !wildcard(part) {
				next = append(next, path.Join(dir, part))
				continue
			}
			_, d, err := n.resolve(dir)
			if err != nil {
				return nil, err
			}
			if !d.dir() {
				continue
			}
			for _, name := range d.names() {
				ok, err := path.Match(part, name)
				if err != nil {
					return nil, err
				}
				if ok {
					next = append(next, path.Join(dir, name))
				}
			}
		}
		found = next
	}
	return slices.DeleteFunc(found, func(p string) bool {
		at, err := n.lstat(p)
		return err != nil || at == nil
	}), nil
}

func wildcard(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// stage is a file system that is being changed, and the changes so far.
type stage struct {
	root    *node
	changes map[string]*node // what the instruction at hand has put where
}

// put places n at the path at, whose directory exists and holds no symlink in its path.
func (s *stage) put(at string, n *node) error {
	if at == "/" {
		return nil
	}
	_, up, err := s.root.resolve(path.Dir(at))
	if err != nil {
		return err
	}
	old := up.kids[path.Base(at)]
	switch {
	case old.dir() && n.kind != tar.TypeDir:
		return fmt.Errorf("%s is a directory in the image and cannot become a file", at)
	case old != nil && !old.dir() && n.kind == tar.TypeDir:
		return fmt.Errorf("%s is not a directory in the image", at)
	case old.dir():
		n.kids = old.kids
	}
	up.kids[path.Base(at)] = n
	s.changes[at] = n
	return nil
}

// mkdir makes the directory name and those above it that are missing, and returns its
// path without symlinks.
func (s *stage) mkdir(name string, uid, gid int) (string, error) {
	at := "/"
	for part := range strings.SplitSeq(path.Clean("/" + name)[1:], "/") {
		next, n, err := s.root.resolve(path.Join(at, part))
		if err != nil {
			return "", err
		}
		if n == nil {
			d := newDir(0o755)
			d.uid, d.gid = uid, gid
			if _, up, err := s.root.resolve(path.Dir(next)); err != nil || !up.dir() {
				return "", fmt.Errorf("%s is a symlink that leads nowhere in the image", path.Join(at, part))
			}
			if err := s.put(next, d); err != nil {
				return "", err
			}
		} else if !n.dir() {
			return "", fmt.Errorf("%s is not a directory in the image", next)
		}
		at = next
	}
	return at, nil
}
