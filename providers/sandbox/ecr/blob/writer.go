package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// ErrDigest says that content does not have the digest that was promised for it.
var ErrDigest = errors.New("content does not match the digest")

var _ io.ReaderFrom = (*Writer)(nil)

// Writer receives one blob, in as many pieces as the sender likes. It holds no open
// file between pieces, so that uploads left behind cost only disk. It must not be used
// concurrently.
type Writer struct {
	store *Store
	path  string
	hash  hash.Hash
	size  int64
	err   error // a write that failed half-way; the hash no longer fits the file
}

// Create starts a blob. The caller ends it with Commit or Abort.
func (s *Store) Create() (*Writer, error) {
	f, err := os.CreateTemp(s.incoming(), "*")
	if err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	return &Writer{store: s, path: f.Name(), hash: sha256.New()}, nil
}

// ReadFrom appends everything that r yields. When r fails, what came before stays and
// counts: the sender may resume at Size.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return 0, fmt.Errorf("append to blob: %w", err)
	}
	n, err := io.Copy(&appender{w, f}, r)
	return n, errors.Join(err, f.Close())
}

// appender keeps hash, size and file in step, whatever the reader does.
type appender struct {
	to   *Writer // not embedded: io.Copy would find its ReadFrom
	file *os.File
}

func (a *appender) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	a.to.hash.Write(p[:n])
	a.to.size += int64(n)
	if err != nil {
		a.to.err = fmt.Errorf("append to blob: %w", err)
	}
	return n, err
}

// Size is the number of bytes received so far.
func (w *Writer) Size() int64 { return w.size }

// Digest is that of the bytes received so far.
func (w *Writer) Digest() string { return algorithm + hex.EncodeToString(w.hash.Sum(nil)) }

// Commit makes the content readable under its digest, or returns [ErrDigest] when it
// has another one. A blob that is there already is left as it is.
func (w *Writer) Commit(digest string) error {
	if w.err != nil {
		return w.err
	}
	if got := w.Digest(); got != digest {
		return fmt.Errorf("%w: got %s, want %s", ErrDigest, got, digest)
	}
	final := w.store.path(digest)
	if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return fmt.Errorf("commit blob: %w", err)
	}
	if _, err := os.Stat(final); err == nil {
		w.Abort()
		return nil
	}
	if err := os.Rename(w.path, final); err != nil {
		return fmt.Errorf("commit blob: %w", err)
	}
	w.path = ""
	return nil
}

// Abort drops what was received. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.path != "" {
		_ = os.Remove(w.path) // a file left behind goes at the next start
		w.path = ""
	}
}
