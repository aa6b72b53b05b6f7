package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// transfer is a COPY, or an ADD of local files.
type transfer struct {
	from  *node
	srcs  []string
	texts []inline // here-documents
	dst   string   // as written, relative to dir
	dir   string   // the working directory
	chown string
	chmod string
	// found is told whether a source without wildcards exists, to name what is missing.
	missing func(src string) error
}

// inline is a file whose contents stand in the Dockerfile.
type inline struct{ name, data string }

// apply copies into s as BuildKit does: a directory gives what it holds, a file goes
// into a directory that exists or was written with a slash, and else gets that name.
func (t transfer) apply(s *stage) error {
	dst := t.dst
	if !path.IsAbs(dst) {
		slash := strings.HasSuffix(dst, "/") || dst == "." || dst == "" || strings.HasSuffix(dst, "/.")
		if dst = path.Join(t.dir, dst); slash && dst != "/" {
			dst += "/"
		}
	} else if strings.HasSuffix(dst, "/.") {
		dst += "/"
	}
	into := strings.HasSuffix(dst, "/")
	own, err := s.owner(t.chown)
	if err != nil {
		return err
	}
	if own.mode, err = octal(t.chmod); err != nil {
		return err
	}
	several := len(t.srcs)+len(t.texts) > 1
	for _, src := range t.srcs {
		names := []string{path.Clean("/" + src)}
		if wildcard(src) {
			if names, err = t.from.glob(src); err != nil {
				return fmt.Errorf("%s: %w", src, err)
			}
			if len(names) == 0 {
				if err := t.unmatched(src); err != nil {
					return err
				}
			}
			several = several || len(names) > 1
		}
		for _, name := range names {
			_, n, err := t.from.resolve(name)
			if err != nil {
				return err
			}
			if n == nil {
				return t.missing(src)
			}
			if several && !into {
				return fmt.Errorf("several sources need a destination that ends in a slash, not %q", t.dst)
			}
			if err := s.copy(n, path.Base(name), dst, own); err != nil {
				return err
			}
		}
	}
	for _, in := range t.texts {
		if several && !into {
			return fmt.Errorf("several sources need a destination that ends in a slash, not %q", t.dst)
		}
		if err := s.copy(textFile(in.data), in.name, dst, own); err != nil {
			return err
		}
	}
	return nil
}

// unmatched returns an error unless src may match nothing. To BuildKit a wildcard that matches
// nothing is nothing to copy, and no destination is made for it; only the directory that it
// looks in must be there.
// https://github.com/moby/buildkit/blob/v0.34.2/solver/llbsolver/file/backend.go
func (t transfer) unmatched(src string) error {
	parts := strings.Split(path.Clean(src), "/")
	i := slices.IndexFunc(parts, globs)
	if i < 0 {
		return t.missing(src)
	}
	dir := strings.Join(parts[:i], "/")
	if _, n, err := t.from.resolve(dir); n != nil || err != nil {
		return err
	}
	return t.missing(dir)
}

// globs reports whether s can match several names: a character after a backslash is only itself.
func globs(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// owner is whom copied files belong to.
type owner struct {
	uid, gid int
	keep     bool  // keep the source's owner
	mode     int64 // -1 keeps the source's mode
}

func (s *stage) copy(src *node, name, dst string, own owner) error {
	if !src.plain() {
		return fmt.Errorf("%s: %w", name, errSpecial)
	}
	up := dst
	if !strings.HasSuffix(dst, "/") {
		up = path.Dir(dst)
	}
	dir, err := s.mkdir(up, own.uid, own.gid)
	if err != nil {
		return err
	}
	at := dir
	if !strings.HasSuffix(dst, "/") {
		at = path.Join(dir, path.Base(dst))
	}
	at, old, err := s.root.resolve(at)
	if err != nil {
		return err
	}
	if src.dir() {
		if old != nil && !old.dir() {
			return fmt.Errorf("%s is not a directory in the image", at)
		}
		if old == nil {
			if err := s.put(at, own.stamp(src)); err != nil {
				return err
			}
		}
		return s.merge(src, at, own)
	}
	if old.dir() {
		at = path.Join(at, name)
	}
	return s.put(at, own.stamp(src))
}

var errSpecial = lacking{errors.New("is a device or a pipe, which only a container engine can copy")}

// merge copies what the directory src holds into the directory at.
func (s *stage) merge(src *node, at string, own owner) error {
	for _, name := range src.names() {
		kid, to := src.kids[name], path.Join(at, name)
		if !kid.plain() {
			return fmt.Errorf("%s: %w", name, errSpecial)
		}
		if old, err := s.root.lstat(to); err != nil {
			return err
		} else if !old.dir() || !kid.dir() {
			if err := s.put(to, own.stamp(kid)); err != nil {
				return err
			}
		}
		if kid.dir() {
			if err := s.merge(kid, to, own); err != nil {
				return err
			}
		}
	}
	return nil
}

// stamp copies a node without what it holds, with owner and mode as asked.
func (o owner) stamp(n *node) *node {
	c := *n
	if c.kids != nil {
		c.kids = map[string]*node{}
	}
	if !o.keep {
		c.uid, c.gid = o.uid, o.gid
	}
	if o.mode >= 0 && c.kind != tar.TypeSymlink {
		c.mode = o.mode
	}
	return &c
}

// octal reads --chmod; -1 says that modes are kept. BuildKit also knows modes of letters.
func octal(s string) (int64, error) {
	if s == "" {
		return -1, nil
	}
	mode, err := strconv.ParseInt(s, 8, 64)
	if err == nil && mode >= 0 && mode <= 0o7777 {
		return mode, nil
	}
	err = fmt.Errorf("--chmod=%s: only octal modes up to 7777 are understood here", s)
	if _, letters := strconv.Atoi(s); letters != nil {
		err = lacking{err}
	}
	return 0, err
}
