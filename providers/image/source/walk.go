package source

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/image/ignore"
)

// walk lists directories with several workers. Everything in it is relative to base.
type walk struct {
	base    string
	prefix  string // of base within the repository, with a slash at its end
	never   map[string]bool
	tracked func() index
	skip    [2]*ignore.Matcher // nil ones skip nothing
	want    *ignore.Matcher    // nil wants everything

	workers *errgroup.Group
	mu      sync.Mutex
	found   [][]File // of one directory each, sorted
}

// place is a directory the walk has come to, and what the patterns say of it.
type place struct {
	rel  string // empty for base itself
	skip [2]ignore.Dir
	want ignore.Dir
}

func (c *Context) walk(base string) *walk {
	w := &walk{base: base, tracked: c.tracked, never: map[string]bool{}}
	if rel, _ := filepath.Rel(c.Root, base); rel != "." {
		w.prefix = filepath.ToSlash(rel) + "/"
	}
	for name := range c.never {
		if rel, err := filepath.Rel(base, name); err == nil {
			w.never[filepath.ToSlash(rel)] = true
		}
	}
	return w
}

// list returns the files at and below paths, sorted.
func (w *walk) list(ctx context.Context, paths []string) ([]File, error) {
	w.workers, ctx = errgroup.WithContext(ctx)
	w.workers.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	var index sync.WaitGroup
	index.Go(func() { w.tracked() })
	for _, p := range paths {
		w.workers.Go(func() error { return w.from(ctx, p) })
	}
	err := w.workers.Wait()
	index.Wait()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(w.found, func(a, b []File) int { return byPath(a[0], b[0]) })
	files := slices.Concat(w.found...)
	slices.SortFunc(files, byPath) // which is quick with what is nearly in order
	return files, w.modes(files)
}

func byPath(a, b File) int { return cmp.Compare(a.Path, b.Path) }

// share is how many files one worker takes at a time.
const share = 4096

// modes sets of each file whether it is executable: by the index, which is in the same
// order, or by the disk. Where the disk does not know, nothing is.
func (w *walk) modes(files []File) error {
	tracked := w.tracked().below(w.prefix)
	var workers errgroup.Group
	workers.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for part := range slices.Chunk(files, share) {
		workers.Go(func() error {
			at := tracked.from(w.prefix + part[0].Path)
			for i := range part {
				f := &part[i]
				for at < len(tracked) && tracked[at].path[len(w.prefix):] < f.Path {
					at++
				}
				switch {
				case f.Link:
				case at < len(tracked) && tracked[at].path[len(w.prefix):] == f.Path:
					f.Exec = tracked[at].exec
				case runtime.GOOS != "windows":
					info, err := os.Lstat(filepath.Join(w.base, filepath.FromSlash(f.Path)))
					if err != nil {
						return err
					}
					f.Exec = info.Mode()&0o100 != 0
				}
			}
			return nil
		})
	}
	return workers.Wait()
}

// from goes down to rel from base, so that patterns are asked on the way.
func (w *walk) from(ctx context.Context, rel string) error {
	var p place
	if rel == "." {
		return w.dir(ctx, p)
	}
	for i, c := range rel {
		if c == '/' {
			var ok bool
			if p, ok = w.enter(p, rel[:i]); !ok {
				return nil
			}
		}
	}
	info, err := os.Lstat(filepath.Join(w.base, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	var found []File
	if err := w.entry(ctx, p, fs.FileInfoToDirEntry(info), &found); err != nil {
		return err
	}
	w.add(found)
	return nil
}

func (w *walk) dir(ctx context.Context, p place) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := os.Open(filepath.Join(w.base, filepath.FromSlash(p.rel)))
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	var found []File
	for _, e := range entries {
		if err := w.entry(ctx, p, e, &found); err != nil {
			return err
		}
	}
	w.add(found)
	return nil
}

// entry adds a file to found, or hands a directory to a worker that is free.
func (w *walk) entry(ctx context.Context, in place, e fs.DirEntry, found *[]File) error {
	name := e.Name()
	rel := name
	if in.rel != "" {
		rel = in.rel + "/" + name
	}
	switch kind := e.Type(); {
	case unlisted(name) || w.never[rel]:
	case kind.IsDir():
		if p, ok := w.enter(in, rel); ok && !w.workers.TryGo(func() error { return w.dir(ctx, p) }) {
			return w.dir(ctx, p)
		}
	case kind == fs.ModeSymlink:
		if w.takes(in, rel) {
			*found = append(*found, File{Path: rel, Link: true})
		}
	case kind.IsRegular():
		if w.takes(in, rel) {
			*found = append(*found, File{Path: rel})
		}
	}
	return nil
}

func (w *walk) add(found []File) {
	if len(found) == 0 {
		return
	}
	slices.SortFunc(found, byPath)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, found)
}

// enter returns the place at rel, or false when nothing in it can be listed.
func (w *walk) enter(in place, rel string) (place, bool) {
	p := place{rel: rel}
	if unlisted(rel[strings.LastIndexByte(rel, '/')+1:]) || w.never[rel] {
		return p, false
	}
	for i, m := range w.skip {
		if m == nil {
			continue
		}
		if p.skip[i] = m.Enter(in.skip[i], rel); m.Sealed(p.skip[i], rel) {
			return p, false
		}
	}
	if w.want != nil {
		p.want = w.want.Enter(in.want, rel)
	}
	return p, true
}

func (w *walk) takes(in place, rel string) bool {
	for i, m := range w.skip {
		if m != nil && m.Ignores(in.skip[i], rel) {
			return false
		}
	}
	return w.want == nil || w.want.Ignores(in.want, rel)
}

// unlisted names are in no context.
func unlisted(name string) bool { return name == ".git" || name == ".apron" }
