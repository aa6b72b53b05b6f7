// Package store keeps the sandbox's state: one directory that only its owner reads, in
// it one JSON file per service. Each change is written to a temporary file that then
// takes the old one's place, so a process killed at any moment leaves either the state
// before a change or the state after it. (Nothing is flushed to the disk's platters: a
// power cut may cost the last changes of a rehearsal.)
//
// Values that are secret go through a [Box] first, and so are never plain on disk.
package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Store is the directory.
type Store struct{ dir string }

// Open makes dir if it is missing and takes away others' access to it.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox state: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sandbox state: %w", err)
	}
	return &Store{dir}, nil
}

// Dir returns the path of a directory of the store's own for a service's other files,
// such as blobs and logs. It exists.
func (s *Store) Dir(name string) (string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("sandbox state: %w", err)
	}
	return dir, nil
}

// Doc is one service's state, of type T, in memory and in the file <name>.json.
type Doc[T any] struct {
	mu    sync.RWMutex
	path  string
	value *T
	saved []byte // value's JSON as on disk
}

// Load reads a document; one that does not exist yet is T's zero value.
func Load[T any](s *Store, name string) (*Doc[T], error) {
	d := &Doc[T]{path: filepath.Join(s.dir, name+".json"), value: new(T)}
	saved, err := os.ReadFile(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if saved, err = json.Marshal(d.value); err != nil {
			return nil, fmt.Errorf("sandbox state of %s: %w", name, err)
		}
	case err != nil:
		return nil, fmt.Errorf("sandbox state of %s: %w", name, err)
	default:
		if err := json.Unmarshal(saved, d.value); err != nil {
			return nil, fmt.Errorf("sandbox state of %s: %s: %w; reset the sandbox to start afresh", name, d.path, err)
		}
	}
	d.saved = saved
	return d, nil
}

// View calls f with the state, which f must neither change nor keep parts of. Views
// run side by side.
func (d *Doc[T]) View(f func(*T)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	f(d.value)
}

// Update calls f to change the state and saves it. If f or the saving fails, the state
// is as it was before, in memory and on disk, and Update returns that error.
func (d *Doc[T]) Update(f func(*T) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := f(d.value)
	if err == nil {
		err = d.save()
	}
	if err != nil {
		d.value = new(T)
		if back := json.Unmarshal(d.saved, d.value); back != nil {
			return fmt.Errorf("%w; and the state before it is lost: %w", err, back)
		}
	}
	return err
}

func (d *Doc[T]) save() error {
	b, err := json.Marshal(d.value)
	if err != nil {
		return fmt.Errorf("sandbox state: %w", err)
	}
	if bytes.Equal(b, d.saved) {
		return nil
	}
	if err := WriteFile(d.path, b); err != nil {
		return err
	}
	d.saved = b
	return nil
}

// WriteFile replaces the file at path, or leaves it as it was. Only its owner can read
// the file.
func WriteFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("sandbox state: %w", err)
	}
	_, err = temp.Write(content)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return fmt.Errorf("sandbox state: %w", err)
	}
	return nil
}
