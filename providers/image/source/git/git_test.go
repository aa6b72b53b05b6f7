package git_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/image/source/git"
)

// place is a repository that the real git made.
type place struct {
	t   require.TestingT
	dir string
}

func newPlace(t *testing.T, options ...string) *place {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p := &place{t: t, dir: t.TempDir()}
	p.git(append([]string{"init", "-q", "-b", "main"}, options...)...)
	return p
}

func (p *place) git(args ...string) string {
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	require.NoError(p.t, err, "git %v\n%s", args, out)
	return strings.TrimSpace(string(out))
}

func (p *place) write(name, text string) {
	at := filepath.Join(p.dir, filepath.FromSlash(name))
	require.NoError(p.t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(p.t, os.WriteFile(at, []byte(text), 0o644))
}

// commit writes a file and commits all there is.
func (p *place) commit(name, text string) string {
	p.write(name, text)
	p.git("add", "-A")
	p.git("commit", "-qm", "change "+name)
	return p.git("rev-parse", "HEAD")
}

func (p *place) open() *git.Repository {
	r, err := git.Find(p.dir)
	require.NoError(p.t, err)
	return r
}

func (p *place) dirty(t *testing.T) bool {
	t.Helper()
	dirty, err := p.open().Dirty(t.Context())
	require.NoError(t, err)
	return dirty
}

func TestHead_isWhatGitSays(t *testing.T) {
	p := newPlace(t)
	branch, commit := p.open().Head()
	require.Equal(t, "main", branch)
	require.Empty(t, commit, "there is none yet")
	id := p.commit("a/b", "1")
	for name, prepare := range map[string]func(){
		"loose": func() {}, "packed": func() { p.git("pack-refs", "--all") },
	} {
		prepare()
		branch, commit = p.open().Head()
		require.Equal(t, []string{"main", id}, []string{branch, commit}, name)
	}
	r, err := git.Find(filepath.Join(p.dir, "a"))
	require.NoError(t, err)
	_, commit = r.Head()
	require.Equal(t, id, commit, "from below")
	p.git("worktree", "add", "-q", "-b", "other/branch", "linked")
	r, err = git.Find(filepath.Join(p.dir, "linked", "a"))
	require.NoError(t, err)
	branch, commit = r.Head()
	require.Equal(t, []string{"other/branch", id}, []string{branch, commit}, "in a linked work tree")
	p.git("checkout", "-q", "--detach")
	branch, commit = p.open().Head()
	require.Equal(t, []string{"", id}, []string{branch, commit})

	_, err = git.Find(t.TempDir())
	require.ErrorIs(t, err, git.ErrNone)
}

func TestTags_areThoseOfTheCommit(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			p := newPlace(t, "--object-format="+format)
			p.commit("a", "0")
			p.git("tag", "v0.9.0")
			p.git("tag", "-am", "older", "v0.9.1")
			id := p.commit("a", "1")
			p.git("tag", "v1.9.0")
			p.git("tag", "stable/1")
			p.git("tag", "-am", "annotated", "v1.10.0")
			p.git("tag", "-am", "a tag of a tag", "v1.10.0-rc1", "v1.10.0")
			want := []string{"v1.10.0", "v1.10.0-rc1", "v1.9.0", "stable/1"}
			for _, step := range [][]string{{"status"}, {"repack", "-adq"}, {"pack-refs", "--all"}, {"tag", "v1.8"}} {
				p.git(step...)
				if step[0] == "tag" {
					want = []string{"v1.10.0", "v1.10.0-rc1", "v1.9.0", "v1.8", "stable/1"}
				}
				tags, err := p.open().Tags(id)
				require.NoError(t, err)
				require.Equal(t, want, tags, "after git %v", step)
			}
		})
	}
}

// TestTags_areFoundInPacks has the loose names of annotated tags and their objects in a
// pack, as a fetch leaves them, and most of them as deltas.
func TestTags_areFoundInPacks(t *testing.T) {
	p := newPlace(t)
	id := p.commit("a", "0")
	long := strings.Repeat("a long message, of which another tag's is a delta\n", 50)
	for i := range 10 {
		p.git("tag", "-am", long+fmt.Sprint(i), fmt.Sprintf("v1.%d", i))
	}
	refs := filepath.Join(p.dir, ".git", "refs", "tags")
	for name, args := range map[string][]string{
		"deltas by offset": {"repack", "-adfq"},
		"deltas by name":   {"-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"},
	} {
		p.git(args...)
		packs, err := filepath.Glob(filepath.Join(p.dir, ".git/objects/pack/*.idx"))
		require.NoError(t, err)
		require.Len(t, packs, 1)
		require.Contains(t, p.git("verify-pack", "-v", packs[0]), "chain length", name)
		tags, err := p.open().Tags(id)
		require.NoError(t, err, name)
		require.Len(t, tags, 10)
		require.Equal(t, "v1.9", tags[0])
		require.FileExists(t, filepath.Join(refs, "v1.3"), "the names are not packed")
	}
	pack, err := filepath.Glob(filepath.Join(p.dir, ".git/objects/pack/*.pack"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(pack[0]))
	_, err = p.open().Tags(id)
	require.ErrorIs(t, err, git.ErrObject, "whether they are of this commit is not known")
}

func TestDirty_isWhatGitDescribes(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(t *testing.T, p *place)
		want bool
	}{
		"nothing":   {func(*testing.T, *place) {}, false},
		"an edit":   {func(_ *testing.T, p *place) { p.write("a/b", "other") }, true},
		"same size": {func(_ *testing.T, p *place) { p.write("a/b", "2") }, true},
		"only the time": {func(t *testing.T, p *place) {
			require.NoError(t, os.Chtimes(filepath.Join(p.dir, "a/b"), time.Unix(1e9, 0), time.Unix(1e9, 0)))
		}, false},
		"staged":             {func(_ *testing.T, p *place) { p.write("a/b", "2"); p.git("add", ".") }, true},
		"staged and undone":  {func(_ *testing.T, p *place) { p.write("a/b", "2"); p.git("add", "."); p.git("reset", "--hard", "-q") }, false},
		"staged, then back":  {func(_ *testing.T, p *place) { p.write("a/b", "2"); p.git("add", "."); p.write("a/b", "1") }, true},
		"a new file":         {func(_ *testing.T, p *place) { p.write("new", "") }, false},
		"a new file, staged": {func(_ *testing.T, p *place) { p.write("new", ""); p.git("add", ".") }, true},
		"one to be added":    {func(_ *testing.T, p *place) { p.write("new", ""); p.git("add", "-N", ".") }, true},
		"a file less":        {func(t *testing.T, p *place) { require.NoError(t, os.Remove(filepath.Join(p.dir, "a/b"))) }, true},
		"a directory less":   {func(t *testing.T, p *place) { require.NoError(t, os.RemoveAll(filepath.Join(p.dir, "a"))) }, true},
		"a file for a directory": {func(t *testing.T, p *place) {
			require.NoError(t, os.RemoveAll(filepath.Join(p.dir, "a")))
			p.write("a", "")
		}, true},
		"another mode": {func(t *testing.T, p *place) { require.NoError(t, os.Chmod(filepath.Join(p.dir, "a/b"), 0o755)) }, true},
		"another mode, which counts for nothing": {func(t *testing.T, p *place) {
			p.git("config", "core.fileMode", "false")
			require.NoError(t, os.Chmod(filepath.Join(p.dir, "a/b"), 0o755))
		}, false},
		"another link": {func(t *testing.T, p *place) {
			require.NoError(t, os.Remove(filepath.Join(p.dir, "link")))
			require.NoError(t, os.Symlink("else", filepath.Join(p.dir, "link")))
		}, true},
		"a file for a link": {func(t *testing.T, p *place) {
			require.NoError(t, os.Remove(filepath.Join(p.dir, "link")))
			p.write("link", "a/b")
		}, true},
		"an edit that git was told to overlook": {func(_ *testing.T, p *place) {
			p.git("update-index", "--assume-unchanged", "a/b")
			p.write("a/b", "2")
		}, false},
		"only a rewritten index": {func(_ *testing.T, p *place) { p.git("update-index", "--index-version", "4", "--force-write-index") }, false},
		"all in packs":           {func(_ *testing.T, p *place) { p.git("gc", "-q") }, false},
		"an empty commit":        {func(_ *testing.T, p *place) { p.git("commit", "-q", "--allow-empty", "-m", "x") }, false},
		"another commit":         {func(_ *testing.T, p *place) { p.git("checkout", "-q", "HEAD^") }, false},
		"a commit undone":        {func(_ *testing.T, p *place) { p.git("reset", "-q", "--soft", "HEAD^") }, true},
		"all gone":               {func(_ *testing.T, p *place) { p.git("rm", "-rqf", "."); p.git("commit", "-qm", "none") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("there are neither modes nor, as a rule, symlinks")
			}
			p := newPlace(t)
			p.write("a/b", "1")
			p.write("a.c", "") // between a and a/b, in the order of paths
			p.write("a/d/e/f", "1")
			p.write("a-/x", "")
			require.NoError(t, os.Symlink("a/b", filepath.Join(p.dir, "link")))
			p.commit("first", "")
			p.commit("last", "")
			require.False(t, p.dirty(t))
			tc.edit(t, p)
			require.Equal(t, tc.want, p.dirty(t))
			require.Equal(t, tc.want, strings.HasSuffix(p.git("describe", "--always", "--dirty"), "-dirty"), "git thinks otherwise")
		})
	}
}

func TestDirty_seesAMergeAndANewBranch(t *testing.T) {
	p := newPlace(t)
	_, err := p.open().Dirty(t.Context())
	require.ErrorContains(t, err, "no commit")
	p.write("a", "1")
	p.git("add", ".")
	require.True(t, p.dirty(t), "nothing is committed yet")
	p.commit("a", "1")
	p.git("checkout", "-qb", "other")
	p.commit("a", "2")
	p.git("checkout", "-q", "main")
	p.commit("a", "3")
	require.False(t, p.dirty(t))
	p.git("merge", "-q", "--no-commit", "-s", "ours", "other")
	require.False(t, p.dirty(t), "a merge that changes nothing")
	p.git("merge", "--abort")
	cmd := exec.Command("git", "-c", "user.name=a", "-c", "user.email=a@b", "merge", "-q", "other")
	cmd.Dir = p.dir
	require.Error(t, cmd.Run(), "there is a conflict")
	require.True(t, p.dirty(t))
}

func TestDirty_seesTheCommitOfASubmodule(t *testing.T) {
	sub, p := newPlace(t), newPlace(t)
	sub.commit("x", "1")
	p.git("submodule", "--quiet", "add", sub.dir, "lib")
	p.commit("a", "1")
	require.False(t, p.dirty(t))
	within := &place{t: t, dir: filepath.Join(p.dir, "lib")}
	within.commit("x", "2")
	require.True(t, p.dirty(t))
	require.NoError(t, os.RemoveAll(within.dir))
	require.NoError(t, os.Mkdir(within.dir, 0o755))
	require.False(t, p.dirty(t), "it is not checked out")
}

func TestDirty_saysWhatItCannotKnow(t *testing.T) {
	p := newPlace(t)
	p.commit("a", "1")
	p.git("update-index", "--split-index")
	_, err := p.open().Dirty(t.Context())
	require.ErrorIs(t, err, git.ErrIndex)
}

// TestDirty_isTheSameAsGitsWhateverIsEdited edits at once after git looked, within the
// step of the clock, and at the same size.
func TestDirty_isTheSameAsGitsWhateverIsEdited(t *testing.T) {
	p := newPlace(t)
	names := []string{"a", "b/c", "b/d/e"}
	for _, name := range names {
		p.write(name, "0")
	}
	p.commit("z", "0")
	found := 0
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		if rounds++; rounds > 40 {
			return
		}
		p.t = t
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				p.git("add", "-A")
			case 1:
				p.git("checkout", "-q", "-f", "HEAD", "--", ".")
			default:
				p.write(name, rapid.SampledFrom([]string{"0", "1"}).Draw(t, "text"))
			}
			dirty, err := p.open().Dirty(t.Context())
			require.NoError(t, err)
			want := strings.HasSuffix(p.git("describe", "--always", "--dirty"), "-dirty")
			require.Equal(t, want, dirty)
			if dirty {
				found++
			}
		}
	})
	require.NotZero(t, found)
}

// TestIndex_isDamagedWhereItIsCutShortMeanwhile writes the index in place while it is read,
// as go-git does. https://pkg.go.dev/github.com/go-git/go-git/v5/storage/filesystem
func TestIndex_isDamagedWhereItIsCutShortMeanwhile(t *testing.T) {
	p := newPlace(t)
	for i := range 2000 {
		p.write(fmt.Sprintf("file-of-a-longer-name-%04d", i), "1")
	}
	p.git("add", ".")
	index := filepath.Join(p.dir, ".git", "index")
	seen := 0
	err := p.open().Index(func(git.Entry, int) {
		if seen++; seen == 1 {
			require.NoError(t, os.Truncate(index, 0))
		}
	})
	if seen < 2000 { // else it was not read in place
		require.ErrorIs(t, err, git.ErrIndex)
	} else {
		require.NoError(t, err)
	}
}
