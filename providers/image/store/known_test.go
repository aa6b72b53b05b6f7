package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

func hash(n int) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n)} }

func TestKnown_remembersAcrossProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	k := store.OpenKnown(dir)
	_, _, ok := k.Packed(hash(1))
	require.False(t, ok)
	k.SetPacked(hash(1), hash(2), 3)
	k.Found("registry.example", "web", hash(2).String())
	k.Found("registry.example", "team/api", hash(2).String())
	k.Found("registry.example.org", "other", hash(2).String())
	k.SetRoot("podman", "/old")
	k.SetRoot("podman", "/graph")
	require.NoError(t, k.Save())

	k = store.OpenKnown(dir)
	digest, size, ok := k.Packed(hash(1))
	require.True(t, ok)
	require.Equal(t, hash(2), digest)
	require.Equal(t, int64(3), size)
	require.Equal(t, []string{"team/api", "web"}, k.Repositories("registry.example", hash(2).String()))
	require.Empty(t, k.Repositories("registry.example", hash(1).String()))
	root, ok := k.Root("podman")
	require.True(t, ok)
	require.Equal(t, "/graph", root)
	_, ok = k.Root("buildah")
	require.False(t, ok)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
	info, err := os.Stat(left[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestKnown_doesNotWriteWithoutNews(t *testing.T) {
	dir := t.TempDir()
	k := store.OpenKnown(dir)
	k.SetPacked(hash(1), hash(2), 3)
	k.SetRoot("podman", "/graph")
	require.NoError(t, k.Save())
	require.NoError(t, os.Remove(filepath.Join(dir, "layers.jsonl")))
	k.SetPacked(hash(1), hash(2), 3)
	k.SetRoot("podman", "/graph")
	require.NoError(t, k.Save())
	require.NoFileExists(t, filepath.Join(dir, "layers.jsonl"))
}

func TestKnown_keepsWhatAnotherSavedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	one, two := store.OpenKnown(dir), store.OpenKnown(dir)
	one.SetPacked(hash(1), hash(11), 1)
	two.SetPacked(hash(2), hash(12), 2)
	require.NoError(t, one.Save())
	require.NoError(t, two.Save())
	k := store.OpenKnown(dir)
	for i := range 2 {
		_, _, ok := k.Packed(hash(i + 1))
		require.True(t, ok, "layer %d", i+1)
	}
}

func TestKnown_takesNoLineThatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "layers.jsonl")
	k := store.OpenKnown(dir)
	k.SetPacked(hash(1), hash(11), 1)
	k.SetPacked(hash(2), hash(12), 2)
	require.NoError(t, k.Save())
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	first, second, _ := strings.Cut(string(whole), "\n")
	for name, text := range map[string]string{
		"one digit differs":     strings.Replace(first, "b", "c", 1) + "\n" + second,
		"a line is cut off":     second + first[:len(first)-5],
		"a line is not text":    "\x00\xff\x00\n" + second,
		"a line of the future":  "v9 {}\n" + second,
		"a very long line last": second + strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			k := store.OpenKnown(dir)
			_, _, ok := k.Packed(hash(1))
			require.False(t, ok)
			digest, _, ok := k.Packed(hash(2))
			require.True(t, ok)
			require.Equal(t, hash(12), digest)
		})
	}
}

func TestKnown_isUsableWhereNothingCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	k := store.OpenKnown(filepath.Join(file, "dir"))
	k.SetPacked(hash(1), hash(2), 3)
	_, _, ok := k.Packed(hash(1))
	require.True(t, ok)
	require.ErrorContains(t, k.Save(), "remember layers")

	var none *store.Known
	none.SetPacked(hash(1), hash(2), 3)
	none.Found("r", "w", "d")
	none.SetRoot("podman", "/graph")
	_, ok = none.Root("podman")
	require.False(t, ok)
	_, _, ok = none.Packed(hash(1))
	require.False(t, ok)
	require.NoError(t, none.Save())
}

func TestKnown_isSafeForSeveralAtOnce(t *testing.T) {
	k := store.OpenKnown(t.TempDir())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k.SetPacked(hash(i), hash(i+100), int64(i))
			k.Found("r", "w", hash(i).String())
			k.Repositories("r", hash(i).String())
			if err := k.Save(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, _, ok := k.Packed(hash(7))
	require.True(t, ok)
}
