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
	"github.com/apron-deploy/apron/providers/image/statcache"
)

// walk lists directories with several workers. Everything in it is relative to base.
type walk struct {
	base    string
	prefix  string // of base within the repository, with a slash at its end
	never   map[string]bool
	tracked func() index
	skip    [2]*ignore.Matcher // nil ones skip nothing
	want    *ignore.Matcher    // nil wants everything

	mu    sync.Mutex
	more  *sync.Cond // there is more to do, or nothing any more
	ahead []place
	busy  int      // workers that may come upon more
	found [][]File // of one directory each, sorted
}

// place is a directory the walk has come to, and what the patterns say of it.
type place struct {
	rel  string // empty for base itself
	skip [2]ignore.Dir
	want ignore.Dir
}

func (c *Context) walk(base string) *walk {
	w := &walk{base: base, tracked: c.tracked, never: map[string]bool{}}
	w.more = sync.NewCond(&w.mu)
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
	var index sync.WaitGroup
	index.Go(func() { w.tracked() })
	defer index.Wait()
	for _, p := range paths {
		if err := w.from(p); err != nil {
			return nil, err
		}
	}
	workers, ctx := errgroup.WithContext(ctx)
	for range max(2, runtime.GOMAXPROCS(0)) {
		workers.Go(func() error { return w.work(ctx) })
	}
	if err := workers.Wait(); err != nil {
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
				case f.seen != nil:
					f.Exec = f.seen.Executable()
				case runtime.GOOS != "windows":
					info, err := os.Lstat(w.abs(f.Path))
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
func (w *walk) from(rel string) error {
	if rel == "." {
		w.ahead = append(w.ahead, place{})
		return nil
	}
	var in place
	for i, c := range rel {
		if c == '/' {
			var ok bool
			if in, ok = w.enter(in, rel[:i]); !ok {
				return nil
			}
		}
	}
	info, err := os.Lstat(w.abs(rel))
	if err != nil {
		return err
	}
	dir, err := statcache.OpenDir(w.abs(in.rel))
	if err == nil { // else it may still let its files be opened
		defer dir.Close()
	}
	w.add(w.read(in, dir, []fs.DirEntry{fs.FileInfoToDirEntry(info)}))
	return nil
}

// work looks into directories until there are no more.
func (w *walk) work(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.ahead) == 0 && w.busy > 0 {
			w.more.Wait()
		}
		if len(w.ahead) == 0 {
			w.more.Broadcast()
			return nil
		}
		last := len(w.ahead) - 1 // the nearest, so that few wait
		in := w.ahead[last]
		w.ahead = w.ahead[:last]
		w.busy++
		w.mu.Unlock()
		files, below, err := w.dir(ctx, in)
		w.mu.Lock()
		w.busy--
		if err != nil {
			w.ahead = nil
			w.more.Broadcast()
			return err
		}
		w.add(files, below)
	}
}

func (w *walk) add(files []File, below []place) {
	if len(files) > 0 {
		w.found = append(w.found, files)
	}
	w.ahead = append(w.ahead, below...)
	for range below {
		w.more.Signal()
	}
}

func (w *walk) abs(rel string) string { return filepath.Join(w.base, filepath.FromSlash(rel)) }

func (w *walk) dir(ctx context.Context, in place) ([]File, []place, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	dir, err := statcache.OpenDir(w.abs(in.rel))
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, nil, err
	}
	files, below := w.read(in, dir, entries)
	return files, below, nil
}

// read returns what the walk takes of a directory's entries: files, sorted, and the
// directories to go on with.
func (w *walk) read(in place, dir *os.File, entries []fs.DirEntry) (files []File, below []place) {
	prefix := in.rel
	if prefix != "" {
		prefix += "/"
	}
	size := len(entries) * len(prefix)
	for _, e := range entries {
		size += len(e.Name())
	}
	var paths strings.Builder // one memory for all of them, as for what is seen
	paths.Grow(size)
	seen := make([]statcache.Stat, 0, len(entries))
	files = make([]File, 0, len(entries))
	for _, e := range entries {
		name, from := e.Name(), paths.Len()
		paths.WriteString(prefix)
		paths.WriteString(name)
		rel := paths.String()[from:]
		switch kind := e.Type(); {
		case unlisted(name) || w.never[rel]:
		case kind.IsDir():
			if p, ok := w.enter(in, rel); ok {
				below = append(below, p)
			}
		case kind == fs.ModeSymlink && w.takes(in, rel):
			files = append(files, File{Path: rel, Link: true})
		case kind.IsRegular() && w.takes(in, rel):
			f := File{Path: rel}
			if s, ok := statcache.Look(dir, name); ok {
				seen = append(seen, s)
				f.seen = &seen[len(seen)-1]
			}
			files = append(files, f)
		}
	}
	slices.SortFunc(files, byPath)
	return files, below
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
