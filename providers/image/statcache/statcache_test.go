package statcache

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/image/mapped"
)

// place is a directory of files with a cache beside it.
type place struct {
	t     require.TestingT
	files string
	cache string
	o     Options
	blur  func(Stat) Stat
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if !supported {
		t.Skip("nothing is remembered on this system")
	}
	// One nanosecond: a file has settled as soon as the clock has moved on.
	files := filepath.Join(t.TempDir(), "files")
	require.NoError(t, os.Mkdir(files, 0o755))
	return &place{t: t, files: files, cache: filepath.Join(t.TempDir(), "cache"), o: Options{Settle: 1}}
}

func (p *place) write(name, text string) {
	require.NoError(p.t, os.WriteFile(filepath.Join(p.files, name), []byte(text), 0o644))
}

func (p *place) open() *Cache {
	c := Open(p.cache, "test", p.o)
	if p.blur != nil {
		c.blur = p.blur
	}
	return c
}

// sums hashes the files of those names, saves, and returns how many came from the cache.
func (p *place) sums(names ...string) (sums []Sum, hits int) {
	c := p.open()
	defer c.Close()
	dir, err := OpenDir(p.files)
	require.NoError(p.t, err)
	defer dir.Close()
	h := c.Hasher(p.files)
	for _, name := range names {
		seen, ok := Look(dir, name)
		require.True(p.t, ok, name)
		sum, err := h.Sum(name, &seen)
		require.NoError(p.t, err)
		sums = append(sums, sum)
	}
	h.Done()
	for _, used := range c.used {
		if used {
			hits++
		}
	}
	require.NoError(p.t, c.Save())
	return sums, hits
}

// pass waits until the file system's clock is past all that was written so far.
func (p *place) pass() {
	var start, now Stat
	name := filepath.Join(p.files, "..", "clock")
	for now.mtime <= start.mtime || start.mtime == 0 {
		require.NoError(p.t, os.WriteFile(name, []byte("x"), 0o644))
		now, _ = lstat(file{fd: cwd, name: name})
		if start.mtime == 0 {
			start = now
		}
	}
}

func sumOf(text string) Sum { return sha256.Sum256([]byte(text)) }

func TestSum_readsAFileThatWasLeftAloneOnce(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	p.write("b", "2")
	p.pass()
	want := []Sum{sumOf("1"), sumOf("2")}
	sums, hits := p.sums("a", "b")
	require.Equal(t, want, sums)
	require.Zero(t, hits)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		_, hits = p.sums(order...)
		require.Equal(t, 2, hits, "%v", order)
	}

	before, err := os.Stat(p.open().file)
	require.NoError(t, err)
	sums, _ = p.sums("a", "b")
	require.Equal(t, want, sums)
	after, err := os.Stat(p.open().file)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "nothing changed, so nothing is written")

	_, hits = p.sums("a")
	require.Equal(t, 1, hits)
	require.Len(t, p.open().known.at, 1, "a file that is gone is forgotten")
}

// TestSum_seesEveryEdit changes a file of which the cache knows in ways that leave its
// size, and as far as programs can, its time.
func TestSum_seesEveryEdit(t *testing.T) {
	for name, edit := range map[string]func(t *testing.T, path string, was os.FileInfo){
		"the content": func(t *testing.T, path string, _ os.FileInfo) {
			require.NoError(t, os.WriteFile(path, []byte("new"), 0o644))
		},
		"the content, and the time is set back": func(t *testing.T, path string, was os.FileInfo) {
			require.NoError(t, os.WriteFile(path, []byte("new"), 0o644))
			require.NoError(t, os.Chtimes(path, was.ModTime(), was.ModTime()))
		},
		"another file of that time takes its place": func(t *testing.T, path string, was os.FileInfo) {
			require.NoError(t, os.WriteFile(path+".new", []byte("new"), 0o644))
			require.NoError(t, os.Chtimes(path+".new", was.ModTime(), was.ModTime()))
			require.NoError(t, os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("a", "old")
			p.pass()
			p.sums("a")
			require.Len(t, p.open().known.at, 1)
			path := filepath.Join(p.files, "a")
			was, err := os.Stat(path)
			require.NoError(t, err)
			edit(t, path, was)
			sums, _ := p.sums("a")
			require.Equal(t, []Sum{sumOf("new")}, sums)
		})
	}
}

// coarse is a file system whose clock has steps of a second, such as HFS+, that keeps no
// inodes either.
func coarse(s Stat) Stat {
	s.mtime -= s.mtime % int64(time.Second)
	s.ctime -= s.ctime % int64(time.Second)
	s.ino = 0
	return s
}

// TestSum_isRightWithinTheClocksStep edits a file over and over, at the same size, much
// quicker than the file system's clock moves. Without the rule the cache is wrong then,
// which is shown first: these edits are such that stat does not tell them.
func TestSum_isRightWithinTheClocksStep(t *testing.T) {
	wrong := func(t *testing.T, settle time.Duration) (wrong int) {
		p := newPlace(t)
		p.blur, p.o.Settle = coarse, settle
		for i := range 100 {
			text := fmt.Sprintf("%03d", i)
			p.write("a", text)
			if sums, _ := p.sums("a"); sums[0] != sumOf(text) {
				wrong++
			}
		}
		return wrong
	}
	require.NotZero(t, wrong(t, -time.Hour), "without the rule")
	require.Zero(t, wrong(t, 0))
	require.Zero(t, wrong(t, time.Second))
}

// TestSum_isRightWhateverHappens is the same on the file system as it is, with other
// edits in between, and with files that settle now and then.
func TestSum_isRightWhateverHappens(t *testing.T) {
	p := newPlace(t)
	names := []string{"a", "b", "c"}
	cached := 0
	rapid.Check(t, func(t *rapid.T) {
		p.t = t
		want := map[string]string{}
		for _, name := range names {
			want[name] = "000"
			p.write(name, "000")
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			text := rapid.StringMatching("[01]{3}").Draw(t, "text")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				p.write(name, text)
				want[name] = text
			case 1:
				p.write("new", text)
				require.NoError(t, os.Rename(filepath.Join(p.files, "new"), filepath.Join(p.files, name)))
				want[name] = text
			case 2:
				p.pass()
			default:
				sums, hits := p.sums(names...)
				cached += hits
				for i, name := range names {
					require.Equal(t, sumOf(want[name]), sums[i], name)
				}
			}
		}
	})
	require.NotZero(t, cached, "the cache was of use")
}

func TestSum_remembersNothingThatMayHaveChangedMeanwhile(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	p.pass()
	p.o.Settle = 0
	p.sums("a")
	require.Empty(t, p.open().known.at, "it is as fresh as FAT's clock cannot tell")

	p.o.Settle = 1
	p.sums("a")
	require.Len(t, p.open().known.at, 1)
	clock := true
	p.blur = func(s Stat) Stat { // what is read first is the clock, which is in the cache's directory
		if !clock {
			s.dev++
		}
		clock = false
		return s
	}
	require.NoError(t, os.RemoveAll(p.cache))
	p.sums("a")
	require.Empty(t, p.open().known.at, "no clock tells the time of another mount")
}

func TestOpen_takesADamagedCacheForNone(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	p.write("b", "2")
	p.pass()
	p.sums("a", "b")
	file := p.open().file
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, decode(whole).at, 2)
	for i := range whole {
		bent := append([]byte{}, whole...)
		bent[i] ^= 0x10
		require.Empty(t, decode(bent).at, "byte %d is another", i)
		require.Empty(t, decode(whole[:i]).at, "%d bytes are left", i)
	}
	require.NoError(t, os.WriteFile(file, whole[:40], 0o600))
	sums, hits := p.sums("a", "b")
	require.Equal(t, []Sum{sumOf("1"), sumOf("2")}, sums)
	require.Zero(t, hits)
	_, hits = p.sums("a", "b")
	require.Equal(t, 2, hits, "it was written anew")
}

func TestDecode_findsWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []entry
		key := ""
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			key += rapid.StringN(1, 9, -1).Draw(t, "key")
			e := entry{key: key, stat: Stat{
				dev: rapid.Uint64().Draw(t, "dev"), ino: rapid.Uint64().Draw(t, "ino"), mode: rapid.Uint32().Draw(t, "mode"),
				size: rapid.Int64().Draw(t, "size"), mtime: rapid.Int64().Draw(t, "mtime"), ctime: rapid.Int64().Draw(t, "ctime")}}
			e.sum[rapid.IntRange(0, 31).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			want = append(want, e)
		}
		k := decode(encode(want))
		require.Equal(t, len(want), k.len())
		for i, e := range want {
			require.Equal(t, e, entry{key: string(k.key(i)), stat: k.stat(i), sum: k.sum(i)})
			at, found := k.find(e.key)
			require.True(t, found)
			require.Equal(t, i, at)
		}
		_, found := k.find(key + "x")
		require.False(t, found)
	})
}

// TestSave_isSafeWithOthersAtIt has several runs over the same files, as of processes
// that share a checkout.
func TestSave_isSafeWithOthersAtIt(t *testing.T) {
	p := newPlace(t)
	var names []string
	var want []Sum
	for i := range 50 {
		names, want = append(names, fmt.Sprintf("f%02d", i)), append(want, sumOf(fmt.Sprint(i)))
		p.write(names[i], fmt.Sprint(i))
	}
	p.pass()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 10 { // never the same list twice in a row, so that all write
				sums, _ := p.sums(names[:50-(n+i)%7]...)
				if !sameSums(want[:len(sums)], sums) {
					t.Errorf("run %d.%d has wrong sums", i, n)
				}
			}
		})
	}
	all.Wait()
	left, err := os.ReadDir(p.cache)
	require.NoError(t, err)
	require.Len(t, left, 2, "the cache and what hides it from git: %v", left)
}

func sameSums(a, b []Sum) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestCache_needsNoDirectory(t *testing.T) {
	p := newPlace(t)
	p.write("a", "1")
	require.NoError(t, os.Symlink("a", filepath.Join(p.files, "link")))
	inTheWay := filepath.Join(p.files, "a", "cache") // below a file, where none can be
	for dir, fails := range map[string]bool{"": false, inTheWay: true} {
		c := Open(dir, "test", Options{Settle: 1})
		h := c.Hasher(p.files)
		sum, err := h.Sum("a", nil)
		require.NoError(t, err)
		require.Equal(t, sumOf("1"), sum)
		_, err = h.Sum("none", nil)
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = h.Sum("link", nil)
		require.ErrorContains(t, err, "no regular file any more", "nobody follows it")
		h.Done()
		require.NoError(t, c.Save(), "there is nothing to save")
		if fails {
			require.Error(t, Write(filepath.Join(dir, "x"), nil))
		}
	}
}

func TestWrite_sweepsWhatIsLeftOfKilledProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	require.NoError(t, Write(filepath.Join(dir, "x"), []byte("1")))
	old, young := filepath.Join(dir, temporary+"1"), filepath.Join(dir, temporary+"2")
	for _, name := range []string{old, young} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	long := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(old, long, long))
	require.NoError(t, Write(filepath.Join(dir, "x"), []byte("2")))
	require.NoFileExists(t, old)
	require.FileExists(t, young, "somebody may be writing it")
	text, err := os.ReadFile(filepath.Join(dir, "x"))
	require.NoError(t, err)
	require.Equal(t, "2", string(text))
	ignored, err := os.ReadFile(filepath.Join(dir, ".gitignore"))
	require.NoError(t, err)
	require.Equal(t, "*\n", string(ignored))
}

// TestSum_readsFilesWhereTheCacheIsCutShortMeanwhile overwrites a cache file that is in use,
// as cp does.
func TestSum_readsFilesWhereTheCacheIsCutShortMeanwhile(t *testing.T) {
	p := newPlace(t)
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("%04d", i))
		p.write(names[i], "1")
	}
	p.pass()
	p.sums(names...)
	c := p.open()
	defer c.Close()
	require.Len(t, c.known.at, len(names))
	dir, err := OpenDir(p.files)
	require.NoError(t, err)
	defer dir.Close()
	h := c.Hasher(p.files)
	sum := func(name string) Sum {
		seen, ok := Look(dir, name)
		require.True(t, ok)
		sum, err := h.Sum(name, &seen)
		require.NoError(t, err)
		return sum
	}
	require.Equal(t, sumOf("1"), sum(names[0]))
	require.True(t, c.used[0])
	require.NoError(t, os.Truncate(c.file, 0))
	for _, name := range names {
		require.Equal(t, sumOf("1"), sum(name))
	}
	h.Done()
	require.ErrorIs(t, c.Save(), mapped.ErrGone)
}
