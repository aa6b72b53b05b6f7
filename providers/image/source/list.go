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
	"github.com/apron-deploy/apron/providers/image/statcache"
	"github.com/apron-deploy/apron/reconcile/state"
)

// File is one file or symlink.
type File struct {
	Path string          // relative to the context, slash-separated; an input may start with ../
	Link bool            // a symlink
	Exec bool            // its owner may execute it
	seen *statcache.Stat // when it was listed; nil if that is not known
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

// Select lists the inputs of the hook before, wherever they are in the repository and
// whatever the ignore file says, without its outputs. Patterns are relative to the
// context. A symlink may be an input, but none leads to one.
func (c *Context) Select(ctx context.Context, before *state.Before) ([]File, error) {
	var want, skip, stems []string
	for i, text := range before.Inputs {
		p, err := c.rebase(fmt.Sprintf("image.build.before.inputs[%d]", i), text)
		if err != nil {
			return nil, err
		}
		if want = append(want, p.text); p.except {
			continue
		}
		found, err := c.find(p)
		if err != nil {
			return nil, err
		}
		if found {
			stems = append(stems, p.stem)
		}
	}
	for i, text := range before.Outputs {
		p, err := c.rebase(fmt.Sprintf("image.build.before.outputs[%d]", i), text)
		if err != nil {
			return nil, err
		}
		skip = append(skip, p.text)
	}
	w := c.walk(c.Root)
	var err error
	if w.want, err = ignore.New(want); err != nil {
		return nil, &Error{Key: "image.build.before.inputs", Why: err.Error(), err: err}
	}
	if w.skip[0], err = ignore.New(skip); err != nil {
		return nil, &Error{Key: "image.build.before.outputs", Why: err.Error(), err: err}
	}
	files, err := w.list(ctx, outermost(stems))
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

// pattern is one of a hook's patterns, relative to Root.
type pattern struct {
	key    string // where it stands, for messages
	given  string
	text   string // as package ignore takes it
	stem   string // the path before the first wildcard
	plain  bool   // there is no wildcard: stem is all of it
	except bool
}

const wild = `*?[\`

// rebase reads a pattern that is relative to the context.
func (c *Context) rebase(key, given string) (pattern, error) {
	bare, except := strings.CutPrefix(strings.TrimSpace(given), "!")
	base, err := filepath.Rel(c.Root, c.Dir)
	if err != nil {
		return pattern{}, err
	}
	base = filepath.ToSlash(base)
	p := pattern{key: key, given: given, except: except, plain: !strings.ContainsAny(bare, wild)}
	p.text = path.Join(quote(base), bare)
	if bare == "" || path.IsAbs(bare) || p.text == ".." || strings.HasPrefix(p.text, "../") {
		return pattern{}, &Error{Key: key, Why: fmt.Sprintf("%q does not lie in the repository %s", given, c.Root),
			Fix: "patterns are relative to the context; they may leave it, but not the repository"}
	}
	bare = path.Clean(bare)
	if i := strings.IndexAny(bare, wild); i >= 0 {
		bare = path.Dir(bare[:i] + "x")
	}
	if p.stem = path.Join(base, bare); except {
		p.text = "!" + p.text
	}
	return p, nil
}

// find reports whether there is something at the pattern's stem. One without wildcards
// must name something.
func (c *Context) find(p pattern) (bool, error) {
	at := c.Root
	var info os.FileInfo
	for part := range strings.SplitSeq(p.stem, "/") {
		if info != nil && info.Mode()&os.ModeSymlink != 0 {
			return false, c.through(p, at)
		}
		at = filepath.Join(at, part)
		var err error
		if info, err = os.Lstat(at); err != nil && !p.plain {
			return false, nil
		} else if err != nil {
			return false, &Error{Key: p.key, Why: fmt.Sprintf("there is no %q", p.given), err: err,
				Fix: "inputs are relative to the context; remove this one, or write a pattern, which may match nothing"}
		}
	}
	if !p.plain && info.Mode()&os.ModeSymlink != 0 {
		return false, c.through(p, at)
	}
	return true, nil
}

func (c *Context) through(p pattern, link string) error {
	return &Error{Key: p.key, Why: fmt.Sprintf("%q leads through the symlink %s", p.given, link),
		Fix: "name the files by their own path: no symlink is followed, as it may lead out of the repository"}
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
