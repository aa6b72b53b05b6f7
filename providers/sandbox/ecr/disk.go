package ecr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk keeps the metadata: one file for the registry and one for each repository,
// replaced as a whole by rename.
type disk struct{ dir string }

func (d disk) registryFile() string { return filepath.Join(d.dir, "registry.json") }

// file returns a repository's path. A plus sign is in no repository's name; names too
// long for a file's are cut and told apart by a hash.
func (d disk) file(repository string) string {
	name := strings.ReplaceAll(repository, "/", "+")
	if len(name) > 200 {
		sum := sha256.Sum256([]byte(repository))
		name = name[:180] + "+" + hex.EncodeToString(sum[:8])
	}
	return filepath.Join(d.dir, "repositories", name+".json")
}

// load returns a nil registry if there is none yet.
func (d disk) load() (*registry, map[string]*repository, error) {
	var reg *registry
	if err := read(d.registryFile(), &reg); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	entries, err := os.ReadDir(filepath.Join(d.dir, "repositories"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list repositories: %w", err)
	}
	repositories := make(map[string]*repository, len(entries))
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue // a write that a crash cut short
		}
		r := &repository{}
		if err := read(filepath.Join(d.dir, "repositories", e.Name()), r); err != nil {
			return nil, nil, err
		}
		repositories[r.Name] = r
	}
	return reg, repositories, nil
}

func (d disk) saveRegistry(r *registry) error { return write(d.registryFile(), r) }

func (d disk) save(r *repository) error { return write(d.file(r.Name), r) }

func (d disk) remove(repository string) error {
	if err := os.Remove(d.file(repository)); err != nil {
		return fmt.Errorf("remove repository: %w", err)
	}
	return nil
}

func read(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read state: %s: %w", file, err)
	}
	return nil
}

func write(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	// One writer at a time, so the name need not be unique; a leftover is overwritten.
	next := file + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}
