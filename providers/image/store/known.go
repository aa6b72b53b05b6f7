package store

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Known remembers what layers became when they were compressed, which repositories have
// which blobs, and where engines keep their images. It is a file of lines, each with its own checksum: one that is
// damaged, or of another version, is as good as absent. The zero value, and nil, remember
// nothing beyond themselves. Its methods may be called at the same time.
type Known struct {
	file string

	mu     sync.Mutex
	loaded bool
	dirty  bool
	next   int64
	facts  map[string]fact
}

// fact is a line: that Diff compresses to Digest, that repository At has Digest, or that
// the store of Engine is in Root.
type fact struct {
	Diff   string `json:"diff,omitempty"`
	At     string `json:"at,omitempty"`
	Digest string `json:"digest,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Engine string `json:"engine,omitempty"`
	Root   string `json:"root,omitempty"`
	turn   int64  // the order of learning, so that the oldest goes first
}

func (f fact) key() string {
	switch {
	case f.Diff != "":
		return "diff " + f.Diff
	case f.Engine != "":
		return "engine " + f.Engine
	}
	return "at " + f.Digest + " " + f.At
}

// sound reports whether the fact says one thing, and all of it.
func (f fact) sound() bool {
	if f.Engine != "" {
		return f == fact{Engine: f.Engine, Root: f.Root} && f.Root != ""
	}
	_, err := v1.NewHash(f.Digest)
	return err == nil && (f.Diff == "") != (f.At == "") && f.Size >= 0 && f.Root == ""
}

// most is how many facts are kept: some 3 MB.
const most = 20_000

// OpenKnown returns what is remembered in dir, which need not exist. It is read at the
// first question.
func OpenKnown(dir string) *Known { return &Known{file: filepath.Join(dir, "layers.jsonl")} }

// Packed returns digest and size of what the layer diff is when it is compressed.
func (k *Known) Packed(diff v1.Hash) (digest v1.Hash, size int64, ok bool) {
	if k == nil {
		return v1.Hash{}, 0, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	f, ok := k.facts[fact{Diff: diff.String()}.key()]
	if !ok {
		return v1.Hash{}, 0, false
	}
	digest, err := v1.NewHash(f.Digest)
	return digest, f.Size, err == nil
}

// SetPacked remembers what the layer diff is when it is compressed.
func (k *Known) SetPacked(diff, digest v1.Hash, size int64) {
	k.set(fact{Diff: diff.String(), Digest: digest.String(), Size: size})
}

// Repositories names repositories of a registry that had the blob, the last one first.
func (k *Known) Repositories(registry, digest string) []string {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	var found []fact
	for _, f := range k.facts {
		if f.Digest == digest && strings.HasPrefix(f.At, registry+"/") {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b fact) int { return cmp.Compare(b.turn, a.turn) })
	var names []string
	for _, f := range found {
		names = append(names, strings.TrimPrefix(f.At, registry+"/"))
	}
	return names
}

// Found remembers that a repository has a blob.
func (k *Known) Found(registry, repository, digest string) {
	k.set(fact{At: registry + "/" + repository, Digest: digest})
}

// Root returns the directory in which an engine kept images the last time.
func (k *Known) Root(engine string) (root string, ok bool) {
	if k == nil {
		return "", false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	f, ok := k.facts[fact{Engine: engine}.key()]
	return f.Root, ok
}

// SetRoot remembers the directory in which an engine keeps images.
func (k *Known) SetRoot(engine, root string) { k.set(fact{Engine: engine, Root: root}) }

func (k *Known) set(f fact) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	old, ok := k.facts[f.key()]
	if f.turn = old.turn; ok && f == old {
		return
	}
	k.add(f)
	k.dirty = true
}

func (k *Known) add(f fact) {
	k.next++
	f.turn = k.next
	k.facts[f.key()] = f
}

func (k *Known) load() {
	if k.loaded {
		return
	}
	k.loaded, k.facts = true, map[string]fact{}
	for _, f := range read(k.file) {
		k.add(f)
	}
}

// Save writes what was learned, along with what others have written since; of two that
// save at the same moment, one may go unheard. Without news it does nothing.
func (k *Known) Save() error {
	if k == nil || k.file == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dirty {
		return nil
	}
	for _, f := range read(k.file) {
		if _, ok := k.facts[f.key()]; !ok {
			k.add(f)
		}
	}
	facts := slices.SortedFunc(maps.Values(k.facts), func(a, b fact) int { return cmp.Compare(a.turn, b.turn) })
	facts = facts[max(0, len(facts)-most):]
	var text bytes.Buffer
	for _, f := range facts {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%08x %s\n", crc32.ChecksumIEEE(line), line)
	}
	if err := replace(k.file, text.Bytes()); err != nil {
		return fmt.Errorf("remember layers: %w", err)
	}
	k.dirty = false
	return nil
}

// read returns the facts of a file that are in order.
func read(file string) []fact {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var facts []fact
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		sum, line, _ := strings.Cut(lines.Text(), " ")
		var f fact
		if sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(line))) || json.Unmarshal([]byte(line), &f) != nil {
			continue
		}
		if f.sound() {
			facts = append(facts, f)
		}
	}
	return facts
}

// replace writes a file such that a reader sees the old one or the new one.
func replace(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".layers-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
