package image_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/reconcile/state"
)

// identified reads the inputs with a cache.
func identified(t *testing.T, root string, b state.Build, cache string) image.Identity {
	t.Helper()
	id, err := image.Identify(t.Context(), root, b, image.Options{Cache: cache})
	require.NoError(t, err)
	return id
}

func TestExplain_comparesWithWhatWasRemembered(t *testing.T) {
	root, b, cache := checkout(t), example(), filepath.Join(t.TempDir(), "cache")
	before := identified(t, root, b, cache)
	require.Equal(t, tag(t, root, b), before.Tag, "a cache changes no tag")

	write(t, root, map[string]string{"app/web/index": "<b>", "app/web/more": "", "lib/lib.go": "package x"})
	require.NoError(t, os.Remove(filepath.Join(root, "app/link")))
	require.NoError(t, os.Chmod(filepath.Join(root, "app/run.sh"), 0o644))
	b.Args["VERSION"], b.Target = "2", "final"
	now := identified(t, root, b, cache)

	old, err := image.Recall(cache, before.Tag)
	require.NoError(t, err)
	want := []image.Change{
		{Input: "arg VERSION", Op: "~"}, {Input: "context link", Op: "-"}, {Input: "context run.sh", Op: "~"},
		{Input: "context web/index", Op: "~"}, {Input: "context web/more", Op: "+"}, {Input: "input ../lib/lib.go", Op: "~"}, {Input: "target", Op: "~"},
	}
	require.Equal(t, want, image.Explain(old, now))
	require.Equal(t, want, image.Explain(before, now), "the same as with whole digests")

	again, err := image.Recall(cache, now.Tag)
	require.NoError(t, err)
	require.Equal(t, want, image.Explain(old, again))
	require.Empty(t, image.Explain(now, again))
	require.Empty(t, image.Explain(again, now))
	require.Len(t, image.Explain(image.Identity{}, now), len(now.Inputs))

	none := func(string) bool { return false }
	shared := before.Share(none)
	require.Equal(t, shared, before.Share(none), "a registry keeps it once")
	learned, err := image.Learn(before.Tag, shared)
	require.NoError(t, err)
	require.Equal(t, want, image.Explain(learned, now), "on another machine, too")
}

func TestShare_leavesOutWhatADigestCouldProve(t *testing.T) {
	root, b := checkout(t), example()
	write(t, root, map[string]string{"app/.env.local": "KEY=1", "app/.env.example": "KEY="})
	id := identified(t, root, b, "")
	learned, err := image.Learn(id.Tag, id.Share(func(input string) bool { return input == "arg VERSION" }))
	require.NoError(t, err)
	require.Equal(t, []image.Change{{Input: "arg VERSION", Op: "?"}, {Input: "context .env.local", Op: "?"}}, image.Explain(learned, id))
}

func TestLearn_refusesWhatIsDamaged(t *testing.T) {
	id := identified(t, checkout(t), example(), "")
	shared := id.Share(func(string) bool { return false })
	for name, text := range map[string][]byte{"nothing": nil, "half of it": shared[:len(shared)/2], "something else": []byte("inputs")} {
		_, err := image.Learn(id.Tag, text)
		require.ErrorContains(t, err, "is damaged", name)
	}
}

func TestRecall_saysWhatItDoesNotKnow(t *testing.T) {
	root, cache := checkout(t), filepath.Join(t.TempDir(), "cache")
	id := identified(t, root, example(), cache)
	unknown := func(cache, tag string) {
		t.Helper()
		_, err := image.Recall(cache, tag)
		var e *image.UnknownError
		require.ErrorAs(t, err, &e)
		require.Equal(t, tag, e.Tag)
		require.ErrorContains(t, err, "is known neither on this machine nor from a release")
		require.NotEmpty(t, e.Hint())
	}
	unknown(cache, "src-0123456789abcdef0123")
	unknown("", id.Tag)
	require.NoError(t, os.WriteFile(filepath.Join(cache, "other"), []byte("x"), 0o600))
	unknown(cache, "../other")

	file := filepath.Join(cache, "inputs", id.Tag)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for i := 0; i < len(whole); i += 7 {
		require.NoError(t, os.WriteFile(file, whole[:i], 0o600))
		unknown(cache, id.Tag)
		require.NoFileExists(t, file, "what is damaged makes place")
		bent := slices.Clone(whole)
		bent[i] ^= 0x40
		require.NoError(t, os.WriteFile(file, bent, 0o600))
		unknown(cache, id.Tag)
	}
	identified(t, root, example(), cache)
	_, err = image.Recall(cache, id.Tag)
	require.NoError(t, err, "it was seen again")
}

func TestRecall_keepsTheLatestAndWhatIsAskedFor(t *testing.T) {
	root, b, cache := checkout(t), example(), filepath.Join(t.TempDir(), "cache")
	// age makes all that is there older by a minute, so that the order is plain.
	age := func() {
		all, err := os.ReadDir(filepath.Join(cache, "inputs"))
		require.NoError(t, err)
		for _, e := range all {
			info, err := e.Info()
			require.NoError(t, err)
			then := info.ModTime().Add(-time.Minute)
			require.NoError(t, os.Chtimes(filepath.Join(cache, "inputs", e.Name()), then, then))
		}
	}
	var tags []string
	for i := range 20 {
		b.Target = fmt.Sprint(i)
		tags = append(tags, identified(t, root, b, cache).Tag)
		age()
		_, err := image.Recall(cache, tags[0])
		require.NoError(t, err, "the first is what runs, and is asked for all the time")
	}
	_, err := image.Recall(cache, tags[1])
	require.Error(t, err)
	_, err = image.Recall(cache, tags[19])
	require.NoError(t, err)
	all, err := os.ReadDir(filepath.Join(cache, "inputs"))
	require.NoError(t, err)
	require.Len(t, all, 16+1, "and what hides them from git")
}

func TestIdentify_takesACacheThatCannotBeWrittenForNone(t *testing.T) {
	root := checkout(t)
	inTheWay := filepath.Join(root, "README", "cache")
	write(t, root, map[string]string{"README": ""})
	require.Equal(t, tag(t, root, example()), identified(t, root, example(), inTheWay).Tag)
}

func TestIdentify_writesNothingButItsCache(t *testing.T) {
	root := checkout(t)
	files := func() (all []string) {
		require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			all = append(all, path)
			return err
		}))
		return all
	}
	before := files()
	want := tag(t, root, example())
	require.Equal(t, before, files(), "without one, nothing at all")
	require.Equal(t, want, identified(t, root, example(), filepath.Join(root, ".apron", "cache")).Tag)
	require.NoError(t, os.RemoveAll(filepath.Join(root, ".apron")))
	require.Equal(t, before, files())
}
