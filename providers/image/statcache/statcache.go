package statcache

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/image/mapped"
)

// Sum is the SHA-256 of a file's content.
type Sum [sha256.Size]byte

// Options steer [Open]. The zero value is sensible.
type Options struct {
	// Settle is how long before the reading a file must have been touched for the last
	// time, at least the step of its file system's clock. The default is [Settle].
	Settle time.Duration
}

// Settle is a little more than FAT's two seconds, the longest step that is in use.
const Settle = 2100 * time.Millisecond

// Cache holds sums by path. The nil Cache remembers nothing and is ready to use.
type Cache struct {
	dir, file string
	settle    int64 // ns
	known     kept
	used      []bool // by index into known
	done      func() // with what known is made of; nil if that is nothing

	probe sync.Once
	clock Stat // of a file written before the first of the others was read; zero if it could not be

	mu    sync.Mutex
	fresh []entry

	blur func(Stat) Stat // for tests: as a file system with a coarser clock tells it
}

type entry struct {
	key  string
	stat Stat
	sum  Sum
}

// Stat is what a file system tells of a regular file, and what has to be the same for
// the content to be the same.
type Stat struct {
	dev, ino           uint64
	mode               uint32
	size, mtime, ctime int64 // bytes, and ns since 1970
}

// Executable reports whether its owner may execute the file.
func (s *Stat) Executable() bool { return s.mode&0o100 != 0 }

// Open reads the cache of that name in dir, which need not exist. An empty dir is no
// cache at all. Close it in the end.
func Open(dir, name string, o Options) *Cache {
	if dir == "" || !supported {
		return nil
	}
	id := sha256.Sum256([]byte(name))
	c := &Cache{dir: dir, file: filepath.Join(dir, "files-"+hex.EncodeToString(id[:8])),
		settle: int64(cmp.Or(o.Settle, Settle)), blur: func(s Stat) Stat { return s }}
	if data, done, err := mapped.Read(c.file); err == nil {
		c.done = done
		_ = mapped.Guard(func() error { // one that is cut short is an empty one
			c.known = decode(data)
			return nil
		})
	}
	c.used = make([]bool, c.known.len())
	return c
}

// Save writes what was hashed or found since [Open], and forgets the rest. It writes
// nothing if nothing has changed. An error leaves the old cache where it is.
func (c *Cache) Save() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fresh) == 0 && !slices.Contains(c.used, false) {
		return nil
	}
	all := c.fresh
	err := mapped.Guard(func() error {
		for i, used := range c.used {
			if used {
				all = append(all, entry{key: string(c.known.key(i)), stat: c.known.stat(i), sum: c.known.sum(i)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b entry) bool { return a.key == b.key })
	return Write(c.file, encode(all))
}

// Close forgets everything. Save first.
func (c *Cache) Close() {
	if c != nil && c.done != nil {
		c.known = kept{}
		c.done()
		c.done = nil
	}
}

// Hasher hashes files for one goroutine.
type Hasher struct {
	c     *Cache
	root  string
	at    int // in c.known, where the next key is likely
	buf   []byte
	fresh []entry
	dir   dir
}

// Hasher returns a new one for files below root. Call its Done after the last file.
func (c *Cache) Hasher(root string) *Hasher {
	return &Hasher{c: c, root: root, buf: make([]byte, 128<<10)}
}

// Sum returns the sum of a regular file. Its path is relative to root, slash-separated,
// and what the cache knows it by. Files that come in order are found faster. A symlink is
// an error. What was seen of the file by [Look] may save reading it: the sum is then of
// what the file was at that time. Nil has it read.
func (h *Hasher) Sum(path string, seen *Stat) (Sum, error) {
	if h.c != nil && seen != nil {
		if sum, ok := h.recall(path, *seen); ok {
			return sum, nil
		}
	}
	at := h.dir.enter(h.root, path)
	if h.c == nil {
		r, err := read(at, h.buf)
		return r.sum, err
	}
	h.c.probe.Do(h.c.askClock)
	r, err := read(at, h.buf)
	if err != nil {
		return Sum{}, err
	}
	if s := h.c.blur(r.before); s == h.c.blur(r.after) && h.c.settled(s) {
		h.fresh = append(h.fresh, entry{key: path, stat: s, sum: r.sum})
	}
	return r.sum, nil
}

// Done hands what was hashed to the cache.
func (h *Hasher) Done() {
	h.dir.leave()
	if h.c == nil || len(h.fresh) == 0 {
		return
	}
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.fresh, h.fresh = append(h.c.fresh, h.fresh...), nil
}

// recall is the sum of a file that is still as it was, if that is known.
func (h *Hasher) recall(path string, seen Stat) (sum Sum, ok bool) {
	err := mapped.Guard(func() error {
		if i, found := h.find(path); found && h.c.known.stat(i) == h.c.blur(seen) {
			h.c.used[i], sum, ok = true, h.c.known.sum(i), true
		}
		return nil
	})
	return sum, ok && err == nil
}

func (h *Hasher) find(key string) (int, bool) {
	i, ok := h.at, h.at < h.c.known.len() && string(h.c.known.key(h.at)) == key
	if !ok {
		i, ok = h.c.known.find(key)
	}
	if ok {
		h.at = i + 1
	}
	return i, ok
}

// settled reports whether whatever is written from now on will have another time than s.
func (c *Cache) settled(s Stat) bool {
	return c.clock.dev == s.dev && max(s.mtime, s.ctime) < c.clock.mtime-c.settle
}

// askClock asks the file system of the directory for the time, by writing a file. That
// the directory cannot be written leaves a time at which nothing has settled.
func (c *Cache) askClock() {
	if makeDir(c.dir) != nil {
		return
	}
	f, err := os.CreateTemp(c.dir, temporary+"*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.Write([]byte{0})
	if f.Close() != nil || err != nil {
		return
	}
	if now, ok := lstat(file{fd: cwd, name: f.Name()}); ok {
		c.clock = c.blur(now)
	}
}

// reading is what was read, and what was told of the file before and after that.
type reading struct {
	sum           Sum
	before, after Stat
}
