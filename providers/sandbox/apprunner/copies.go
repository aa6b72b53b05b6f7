package apprunner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/apron-deploy/apron/providers/sandbox/store"
)

// copies are App Runner's own copies of deployed images, each an OCI layout: what
// serves can be scaled, resumed and restarted after its tag has moved or gone from ECR.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-delete.html
type copies struct {
	dir    string
	mu     sync.Mutex
	pinned map[string]int // digests that a fleet uses, by number of fleets
}

func openCopies(st *store.Store) (*copies, error) {
	dir, err := st.Dir("apprunner-images")
	if err != nil {
		return nil, err
	}
	return &copies{dir: dir, pinned: map[string]int{}}, nil
}

func (c *copies) path(digest string) string {
	return filepath.Join(c.dir, strings.ReplaceAll(digest, ":", "-"))
}

// add copies an image unless it is there, and returns the copy's digest. The copy is
// pinned until release is called.
func (c *copies) add(img v1.Image) (own v1.Image, digest string, release func(), err error) {
	hash, err := img.Digest()
	if err != nil {
		return nil, "", nil, err
	}
	digest = hash.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := os.Stat(c.path(digest)); err != nil {
		if err := c.write(img, c.path(digest)); err != nil {
			return nil, "", nil, fmt.Errorf("copy %s: %w", digest, err)
		}
	}
	own, release, err = c.open(digest)
	return own, digest, release, err
}

// write makes a whole copy or none.
func (c *copies) write(img v1.Image, path string) error {
	temp, err := os.MkdirTemp(c.dir, ".copy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	into, err := layout.Write(temp, empty.Index)
	if err == nil {
		err = into.AppendImage(img)
	}
	if err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// get returns a copy, pinned until release is called.
func (c *copies) get(digest string) (img v1.Image, release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open(digest)
}

func (c *copies) open(digest string) (v1.Image, func(), error) {
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, nil, err
	}
	img, err := layout.Path(c.path(digest)).Image(hash)
	if err != nil {
		return nil, nil, fmt.Errorf("the copy of %s is lost: %w", digest, err)
	}
	c.pinned[digest]++
	return img, sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pinned[digest]--; c.pinned[digest] == 0 {
			delete(c.pinned, digest)
		}
	}), nil
}

// prune removes the copies that neither a fleet nor anybody else needs, and what an
// interrupted copy left.
func (c *copies) prune(needed map[string]bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := map[string]bool{}
	for digest := range needed {
		keep[c.path(digest)] = true
	}
	for digest := range c.pinned {
		keep[c.path(digest)] = true
	}
	entries, err := os.ReadDir(c.dir)
	for _, e := range entries {
		if path := filepath.Join(c.dir, e.Name()); !keep[path] {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// tidy drops the copies that no service lives on. What cannot be dropped now is tried
// again after the next operation.
func (s *Service) tidy() {
	needed := map[string]bool{}
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			if r.Live != nil && r.Status != deleted {
				needed[r.Live.Digest] = true
			}
		}
	})
	_ = s.copies.prune(needed)
}
