package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// contents are the files of a layout or an archive, by slash-separated names.
type contents interface {
	// open returns a file and its size.
	open(name string) (io.ReadCloser, int64, error)
	// size returns the size of a file alone, which takes no reading.
	size(name string) (int64, error)
	io.Closer
}

// openLocal opens a layout or an archive within the repository.
func openLocal(ctx context.Context, p place, digest string, want v1.Platform, o Options) (*Source, error) {
	files, err := p.files(o.Dir)
	if err != nil {
		return nil, err
	}
	if a, ok := files.(*archive); ok && a.zipped && digest != "" {
		if files, err = a.unpack(ctx, o.Temp); err != nil {
			return nil, p.damaged(ctx, err)
		}
	}
	s, err := load(files, p, want, o)
	if err == nil && digest != "" && s.Pin.Digest != digest {
		err = &Error{From: p.from, Why: "it changed since the plan", Fix: "run apply again"}
	}
	if err == nil && digest != "" && s.late != nil {
		s.Image, err = s.late(ctx, o)
	}
	if err != nil {
		files.Close()
		return nil, p.damaged(ctx, err)
	}
	s.close, s.local = files.Close, true
	return s, nil
}

// damaged says why a local source cannot be read, unless the context has ended.
func (p place) damaged(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{From: p.from, Why: err.Error(), Fix: "make it again: docker save, or docker buildx build --output type=oci", err: err}
}

// files opens a path of the manifest. The repository's directory is a root that no
// symlink leads out of.
func (p place) files(dir string) (contents, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("manifest directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("manifest directory: %w", err)
	}
	top := top(dir)
	name, err := filepath.Rel(top, filepath.Join(dir, filepath.FromSlash(p.path)))
	if err != nil || !filepath.IsLocal(name) {
		return nil, p.outside(top)
	}
	repository, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	defer repository.Close()
	info, err := repository.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, p.wrong("there is no file or directory of that name", "the path is relative to the manifest's directory, "+dir)
	case err != nil && strings.Contains(err.Error(), "escapes"): // package os has no error for it
		return nil, p.outside(top)
	case err != nil:
		return nil, &Error{From: p.from, Why: err.Error(), err: err}
	case info.IsDir():
		root, err := repository.OpenRoot(name)
		if err != nil {
			return nil, &Error{From: p.from, Why: err.Error(), err: err}
		}
		return directory{root}, nil
	case !info.Mode().IsRegular():
		return nil, p.wrong("is neither a file nor a directory", "name an OCI layout or an archive")
	}
	f, err := repository.Open(name)
	if err != nil {
		return nil, &Error{From: p.from, Why: err.Error(), err: err}
	}
	a, err := openArchive(f)
	if err != nil {
		f.Close()
		return nil, &Error{From: p.from, Why: "is not an archive: " + err.Error(), Fix: "name what docker save wrote, or a directory with an OCI layout", err: err}
	}
	return a, nil
}

func (p place) outside(top string) *Error {
	return p.wrong("leads out of the repository "+top, "nothing outside the repository is read; copy the image into it, or push it to a registry")
}

// top is the directory above dir that holds .git, or else dir itself.
func top(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// directory is a layout on disk.
type directory struct{ root *os.Root }

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (d directory) size(name string) (int64, error) {
	info, err := d.root.Stat(filepath.FromSlash(name))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d directory) Close() error { return d.root.Close() }

// largest is how large a manifest or a configuration may be.
const largest = 8 << 20

// read returns a small file.
func read(s contents, name string) ([]byte, error) {
	r, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > largest {
		return nil, fmt.Errorf("%s: %d bytes are too many", name, size)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// load finds the image in a layout, or in what docker save wrote. Newer versions of
// docker write both into one archive; the layout is then as good only if its layers are
// compressed, which a registry wants them to be.
func load(files contents, p place, want v1.Platform, o Options) (*Source, error) {
	saved, err := read(files, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		r, err := layout(files, p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, p.wrong("holds neither an OCI layout nor what docker save writes", "there is no index.json and no manifest.json in it")
		}
		if err != nil {
			return nil, err
		}
		return r.source(p, want, o)
	}
	if err != nil {
		return nil, err
	}
	a, err := dockerArchive(files, p, saved)
	if err != nil {
		return nil, err
	}
	if a.packed {
		if r, err := layout(files, p); err == nil {
			return r.source(p, want, o)
		}
	}
	return a.source(p)
}

// pick chooses one of several images by name; names may be empty texts.
func (p place) pick(names [][]string) (int, error) {
	if p.choice == "" && len(names) == 1 {
		return 0, nil
	}
	var all []string
	for i, own := range names {
		if p.choice != "" && slices.Contains(own, p.choice) {
			return i, nil
		}
		all = append(all, own...)
	}
	there := "none of them has a name"
	if len(all) > 0 {
		there = "there are " + strings.Join(all, ", ")
	}
	if p.choice == "" {
		return 0, p.wrong(fmt.Sprintf("holds %d images", len(names)), "write path:name for one of them; "+there)
	}
	return 0, p.wrong(fmt.Sprintf("holds no image named %q", p.choice), there)
}
