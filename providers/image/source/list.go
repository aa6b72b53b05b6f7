package source

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/image/ignore"
)

// File is one file or symlink.
type File struct {
	Path string // relative to the context, slash-separated; an input may start with ../
	Link bool   // a symlink
	Exec bool   // its owner may execute it
}

// Mode is the file's mode as git writes it.
func (f File) Mode() string {
	switch {
	case f.Link:
		return "120000"
	case f.Exec:
		return "100755"
	}
	return "100644"
}

// Files lists the context in the order of paths, without what the ignore file leaves
// out and without what the patterns of drop match.
func (c *Context) Files(ctx context.Context, drop ...string) ([]File, error) {
	dropped, err := ignore.New(drop)
	if err != nil {
		return nil, err
	}
	w := c.walk(c.Dir)
	w.skip = [2]*ignore.Matcher{c.ignored, dropped}
	return w.list(ctx, []string{"."})
}

// Select lists the files that patterns match, wherever they are in the repository and
// whatever the ignore file says, without what the patterns of drop match. Patterns are
// relative to the context; key is what they stand under, for errors.
func (c *Context) Select(ctx context.Context, key string, patterns, drop []string) ([]File, error) {
	var want, paths []string
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", key, i)
		pattern, err := c.rebase(at, p)
		if err != nil {
			return nil, err
		}
		want = append(want, pattern)
		if pattern[0] == '!' {
			continue
		}
		stem := fixed(pattern)
		switch _, err := os.Lstat(filepath.Join(c.Root, filepath.FromSlash(stem))); {
		case err == nil:
			paths = append(paths, stem)
		case stem == pattern:
			return nil, &Error{Key: at, Why: fmt.Sprintf("there is no %q", p), err: err,
				Fix: "inputs are relative to the context; remove this one, or write a pattern, which may match nothing"}
		}
	}
	var skip []string
	for _, p := range drop {
		pattern, err := c.rebase(key, p)
		if err != nil {
			return nil, err
		}
		skip = append(skip, pattern)
	}
	w := c.walk(c.Root)
	var err error
	if w.want, err = ignore.New(want); err != nil {
		return nil, &Error{Key: key, Why: err.Error()}
	}
	if w.skip[0], err = ignore.New(skip); err != nil {
		return nil, err
	}
	files, err := w.list(ctx, outermost(paths))
	if err != nil {
		return nil, err
	}
	for i := range files {
		rel, err := filepath.Rel(c.Dir, filepath.Join(c.Root, filepath.FromSlash(files[i].Path)))
		if err != nil {
			return nil, err
		}
		files[i].Path = filepath.ToSlash(rel)
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

// rebase writes a pattern that is relative to the context as one relative to Root.
func (c *Context) rebase(key, pattern string) (string, error) {
	bare, not := strings.CutPrefix(strings.TrimSpace(pattern), "!")
	base, err := filepath.Rel(c.Root, c.Dir)
	if err != nil {
		return "", err
	}
	at := path.Join(filepath.ToSlash(base), bare)
	if bare == "" || path.IsAbs(bare) || at == ".." || strings.HasPrefix(at, "../") {
		return "", &Error{Key: key, Why: fmt.Sprintf("%q does not lie in the repository %s", pattern, c.Root),
			Fix: "patterns are relative to the context; they may leave it, but not the repository"}
	}
	if not {
		at = "!" + at
	}
	return at, nil
}

// fixed is the leading part of a pattern that holds no wildcard.
func fixed(pattern string) string {
	i := strings.IndexAny(pattern, `*?[\`)
	if i < 0 {
		return pattern
	}
	return path.Dir(pattern[:i] + "x")
}

// outermost drops paths that lie below another one.
func outermost(paths []string) []string {
	slices.Sort(paths)
	var out []string
	for _, p := range slices.Compact(paths) {
		if !slices.ContainsFunc(out, func(o string) bool { return o == "." || strings.HasPrefix(p, o+"/") }) {
			out = append(out, p)
		}
	}
	return out
}
