// Package blob keeps content by its SHA-256 under one directory, each piece once,
// whoever refers to it. Content arrives through a [Writer], streamed to a file that
// gets its final name only when its digest is known to be right: a reader never sees
// half a blob, and a crash leaves nothing but files that [Open] clears away.
//
//	<dir>/sha256/ab/abcdef…   a blob
//	<dir>/incoming/<random>   a write under way
//
// The store knows no repositories. Whoever holds references calls [Store.Sweep] with
// them, at a time when nothing is being written.
package blob

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const algorithm = "sha256:"

// ErrNotFound says that the store has no such blob.
var ErrNotFound = errors.New("blob not found")

// Store is a directory of blobs. Its methods may be called concurrently.
type Store struct{ dir string }

// Open creates the directory if need be and drops writes that a crash cut short.
func Open(dir string) (*Store, error) {
	s := &Store{dir}
	if err := os.RemoveAll(s.incoming()); err != nil {
		return nil, fmt.Errorf("clear unfinished writes: %w", err)
	}
	for _, d := range []string{s.incoming(), s.blobs()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("create blob store: %w", err)
		}
	}
	return s, nil
}

func (s *Store) incoming() string { return filepath.Join(s.dir, "incoming") }
func (s *Store) blobs() string    { return filepath.Join(s.dir, "sha256") }

// path is only called with digests for which Valid holds.
func (s *Store) path(digest string) string {
	hex := strings.TrimPrefix(digest, algorithm)
	return filepath.Join(s.blobs(), hex[:2], hex)
}

// Valid reports whether the digest is one that the store could hold: sha256 and 64
// lower-case hexadecimal digits. Other algorithms are not supported.
func Valid(digest string) bool {
	hex, ok := strings.CutPrefix(digest, algorithm)
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// Open returns the blob's file, which the caller closes, and its size in bytes.
func (s *Store) Open(digest string) (*os.File, int64, error) {
	if !Valid(digest) {
		return nil, 0, fmt.Errorf("%w: %q", ErrNotFound, digest)
	}
	f, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open blob: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open blob: %w", err)
	}
	return f, info.Size(), nil
}

// Read returns a whole blob. It is meant for small ones: manifests and configurations.
func (s *Store) Read(digest string) ([]byte, error) {
	f, size, err := s.Open(digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(size))
	if _, err := b.ReadFrom(f); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", digest, err)
	}
	return b.Bytes(), nil
}

// Put stores small content and returns its digest.
func (s *Store) Put(content []byte) (string, error) {
	w, err := s.Create()
	if err != nil {
		return "", err
	}
	defer w.Abort()
	if _, err := w.ReadFrom(bytes.NewReader(content)); err != nil {
		return "", err
	}
	digest := w.Digest()
	return digest, w.Commit(digest)
}

// Sweep deletes the blobs that keep does not want and returns how many bytes that
// freed. Nothing may be written meanwhile: a blob is committed before it is referred to.
func (s *Store) Sweep(keep func(digest string) bool) (freed int64, err error) {
	err = filepath.WalkDir(s.blobs(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || keep(algorithm+e.Name()) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		freed += info.Size()
		return os.Remove(path)
	})
	if err != nil {
		return freed, fmt.Errorf("sweep blobs: %w", err)
	}
	return freed, nil
}
