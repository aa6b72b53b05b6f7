// Package git reads what a repository tells of itself from its files: it starts no
// process, and needs no git on the machine.
//
//	HEAD, refs, packed-refs   commit, branch and tags
//	objects                   loose and packed, for tags and the tree of a commit
//	index                     what is tracked, and how it was when git last looked
//	config                    the remote, by which others know the repository
//
// What cannot be read is not known, and never made up: every question has that answer,
// too. Not read are reftables, split and sparse indexes, and what a partial clone left
// at home.
//
// https://git-scm.com/docs/gitrepository-layout
package git

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Repository is a work tree and its repository.
type Repository struct {
	Root   string // top of the work tree
	dir    string // .git, or where that leads
	common string // what linked work trees share; often dir itself
}

// ErrNone says that a directory is in no repository.
var ErrNone = errors.New("not in a git repository")

// Find returns the repository that dir is in: the nearest above it.
func Find(dir string) (*Repository, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return Open(at)
		}
		if at == filepath.Dir(at) {
			return nil, ErrNone
		}
	}
}

// Open returns the repository whose work tree has its top at root. In linked work trees
// and submodules .git is a file that names the place.
func Open(root string) (*Repository, error) {
	r := &Repository{Root: root, dir: filepath.Join(root, ".git")}
	info, err := os.Stat(r.dir)
	if err != nil {
		return nil, ErrNone
	}
	if !info.IsDir() {
		text, err := os.ReadFile(r.dir)
		to, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
		if err != nil || !ok {
			return nil, ErrNone
		}
		r.dir = below(root, to)
	}
	r.common = r.dir
	if text, err := os.ReadFile(filepath.Join(r.dir, "commondir")); err == nil {
		r.common = below(r.dir, strings.TrimSpace(string(text)))
	}
	return r, nil
}

func below(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// Head returns the branch, empty if HEAD is detached, and the commit that is checked out.
// Either may be unknown, and is empty then: a new branch has no commit yet.
func (r *Repository) Head() (branch, commit string) {
	text, err := os.ReadFile(filepath.Join(r.dir, "HEAD"))
	if err != nil {
		return "", ""
	}
	ref, symbolic := strings.CutPrefix(strings.TrimSpace(string(text)), "ref: ")
	if !symbolic {
		return "", object(ref)
	}
	branch, _ = strings.CutPrefix(ref, "refs/heads/")
	if branch == ".invalid" { // what a reftable has here
		return "", ""
	}
	for _, dir := range []string{r.dir, r.common} {
		if text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(ref))); err == nil {
			return branch, object(strings.TrimSpace(string(text)))
		}
	}
	for name, to := range r.packed() {
		if name == ref {
			return branch, to.object
		}
	}
	return branch, ""
}

// setting returns what the repository's own configuration says, in lower case, or nothing.
func (r *Repository) setting(section, name string) (value string) {
	text, err := os.ReadFile(filepath.Join(r.common, "config"))
	if err != nil {
		return ""
	}
	in := false
	for line := range strings.Lines(strings.ToLower(string(text))) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = strings.HasPrefix(line, "["+section+"]")
		} else if key, to, ok := strings.Cut(line, "="); in && ok && strings.TrimSpace(key) == name {
			value = strings.TrimSpace(to)
		}
	}
	return value
}

// object returns s if it is the name of an object.
func object(s string) string {
	if _, err := hex.DecodeString(s); err != nil || len(s) != 40 && len(s) != 64 {
		return ""
	}
	return s
}

// target is what a reference in packed-refs leads to.
type target struct {
	object string
	peeled string // what an annotated tag is of, if that was written down
}

// packed reads packed-refs.
func (r *Repository) packed() map[string]target {
	refs := map[string]target{}
	data, err := os.ReadFile(filepath.Join(r.common, "packed-refs"))
	if err != nil {
		return refs
	}
	last := ""
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		line := lines.Text()
		if of, ok := strings.CutPrefix(line, "^"); ok && last != "" {
			refs[last] = target{refs[last].object, object(of)}
		} else if to, name, ok := strings.Cut(line, " "); ok && object(to) != "" {
			refs[name], last = target{object: to}, name
		}
	}
	return refs
}

// Tags returns the tags of a commit, the highest version first. It returns an error if
// that is not known of some tag, as its object cannot be read: it may be one of them.
func (r *Repository) Tags(commit string) ([]string, error) {
	const prefix = "refs/tags/"
	refs := r.packed()
	dir := filepath.Join(r.common, "refs", "tags")
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if to := object(strings.TrimSpace(string(text))); to != "" {
			refs[prefix+filepath.ToSlash(rel)] = target{object: to} // it wins over a packed one
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var tags []string
	for name, to := range refs {
		tag, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		of := cmp.Or(to.peeled, to.object)
		if of != commit && to.peeled == "" {
			if of, err = r.peel(of); err != nil {
				return nil, errors.Join(errors.New("tag "+strconv.Quote(tag)), err)
			}
		}
		if of == commit {
			tags = append(tags, tag)
		}
	}
	slices.SortFunc(tags, func(a, b string) int { return -compareVersions(a, b) })
	return tags, nil
}

// compareVersions orders v1.9 before v1.10, v1.9-rc before v1.9, and what is not like a
// version before all that.
func compareVersions(a, b string) int {
	like := func(s string) int {
		if s = strings.TrimPrefix(s, "v"); s != "" && s[0] >= '0' && s[0] <= '9' {
			return 1
		}
		return 0
	}
	if c := cmp.Compare(like(a), like(b)); c != 0 {
		return c
	}
	for x, y := a, b; x != "" && y != ""; {
		n, m := digits(x), digits(y)
		if n == 0 || m == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q)); c != 0 {
			return c
		}
		x, y = x[n:], y[m:]
	}
	switch {
	case strings.HasPrefix(a, b+"-"):
		return -1
	case strings.HasPrefix(b, a+"-"):
		return 1
	}
	return cmp.Compare(a, b)
}

// digits is how many of them s starts with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
