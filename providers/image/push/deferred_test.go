package push_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

// pushed checks that what the tag names is made of these layers.
func pushed(t *testing.T, g *gate, tag, digest string, layers ...[]byte) {
	t.Helper()
	img := pull(t, g, tag)
	require.Equal(t, digest, digestOf(t, img))
	all, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, all, len(layers))
	for i, l := range all {
		r, err := l.Uncompressed()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(layers[i], text), "layer %d", i)
	}
}

func TestPush_compressesWhatTheRegistryLacksAndNothingElse(t *testing.T) {
	g := open(t)
	known := store.OpenKnown(t.TempDir())
	a, b, c := noise(1, 3000), layerOf(bytes.Repeat([]byte("text"), 5000)), noise(2, 5<<20)
	first := saved(t, a, b, c, a)
	digest, stats, err := push.Push(t.Context(), opened(t, first, known), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"GET manifests": 1, "HEAD blobs": 3, "POST blobs/uploads": 4, "PUT blobs/uploads": 4, "PATCH blobs/uploads": 1, "PUT manifests": 1}, g.counts())
	pushed(t, g, "one", digest, a, b, c, a)
	require.Equal(t, 4, stats.Uploaded, "a layer that occurs twice is one blob")

	t.Run("nothing, if nothing changed", func(t *testing.T) {
		g.forget()
		again, stats, err := push.Push(t.Context(), opened(t, first, known), g.to("one"), nil, quick())
		require.NoError(t, err)
		require.Equal(t, digest, again)
		require.True(t, stats.Existed)
		require.Equal(t, 1, stats.Requests)
		require.Greater(t, stats.Saved, int64(5<<20))
	})
	t.Run("nor, if nothing is remembered but the tag's image says it", func(t *testing.T) {
		again, stats, err := push.Push(t.Context(), opened(t, first, store.OpenKnown(t.TempDir())), g.to("one"), nil, quick())
		require.NoError(t, err)
		require.Equal(t, digest, again)
		require.Equal(t, 2, stats.Requests, "the manifest and the configuration")
	})
	t.Run("one layer, if one changed", func(t *testing.T) {
		g.forget()
		d := noise(4, 4000)
		digest, stats, err := push.Push(t.Context(), opened(t, saved(t, a, d, c, a), known), g.to("one"), nil, quick())
		require.NoError(t, err)
		require.Equal(t, 2, stats.Uploaded, "and the configuration")
		require.Equal(t, map[string]int{"GET manifests": 1, "GET blobs": 1, "HEAD blobs": 2, "POST blobs/uploads": 2, "PUT blobs/uploads": 2, "PUT manifests": 1}, g.counts())
		pushed(t, g, "one", digest, a, d, c, a)
	})
	t.Run("nothing for another tag, but a question for each blob", func(t *testing.T) {
		g.forget()
		_, _, err := push.Push(t.Context(), opened(t, first, known), g.to("two"), nil, quick())
		require.NoError(t, err)
		require.Equal(t, map[string]int{"GET manifests": 1, "HEAD blobs": 4, "PUT manifests": 1}, g.counts())
	})
}

// TestPush_learnsFromImagesThatAreLikeIt pushes from a machine that remembers nothing,
// under a tag that nothing has yet.
func TestPush_learnsFromImagesThatAreLikeIt(t *testing.T) {
	g := open(t)
	a, b, c, d := noise(1, 3000), noise(2, 3000), noise(3, 5<<20), noise(4, 3000)
	_, _, err := push.Push(t.Context(), opened(t, saved(t, a, b, c), nil), g.to("one"), nil, quick())
	require.NoError(t, err)
	o := quick()
	o.FirstWins, o.Like = true, []string{"none", "one", "unneeded"}
	for desc, tc := range map[string]struct {
		layers   [][]byte
		want     map[string]int
		uploaded int
	}{
		"one layer that is new": {[][]byte{a, d, c}, map[string]int{"HEAD manifests": 1, "GET manifests": 3, "GET blobs": 1, "HEAD blobs": 2, "POST blobs/uploads": 2, "PUT blobs/uploads": 2, "PUT manifests": 1}, 2},
		"none that is new":      {[][]byte{a, b, c}, map[string]int{"HEAD manifests": 1, "GET manifests": 2, "GET blobs": 1, "PUT manifests": 1}, 0},
	} {
		t.Run(desc, func(t *testing.T) {
			g.forget()
			tag := strings.ReplaceAll(desc, " ", "-")
			digest, stats, err := push.Push(t.Context(), opened(t, saved(t, tc.layers...), nil), g.to(tag), nil, o)
			require.NoError(t, err)
			require.Equal(t, tc.uploaded, stats.Uploaded)
			require.Equal(t, tc.want, g.counts())
			pushed(t, g, tag, digest, tc.layers...)
		})
	}
	t.Run("and nothing where all is remembered", func(t *testing.T) {
		known := store.OpenKnown(t.TempDir())
		_, _, err := push.Push(t.Context(), opened(t, saved(t, a, b), known), g.to("two"), nil, o)
		require.NoError(t, err)
		g.forget()
		_, _, err = push.Push(t.Context(), opened(t, saved(t, b, a), known), g.to("three"), nil, o)
		require.NoError(t, err)
		require.Zero(t, g.counts()["GET manifests"])
	})
	t.Run("and everything where the registry lost what it lists", func(t *testing.T) {
		g.before = once("PUT manifests", status(400, "MANIFEST_BLOB_UNKNOWN"))
		digest, _, err := push.Push(t.Context(), opened(t, saved(t, a, c), nil), g.to("four"), nil, o)
		require.NoError(t, err)
		pushed(t, g, "four", digest, a, c)
	})
}

func TestPush_believesTheRegistryAndNotItsMemory(t *testing.T) {
	a, b := noise(1, 3000), noise(2, 5<<20)
	dir := t.TempDir()
	known := store.OpenKnown(dir)
	img := opened(t, saved(t, a, b), known)
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		diff, err := l.DiffID()
		require.NoError(t, err)
		known.SetPacked(diff, v1.Hash{Algorithm: "sha256", Hex: diff.Hex}, 17) // of a gzip of another day
	}
	g := open(t)
	digest, _, err := push.Push(t.Context(), img, g.to("one"), nil, quick())
	require.NoError(t, err)
	pushed(t, g, "one", digest, a, b)

	t.Run("nor a memory that is damaged", func(t *testing.T) {
		require.NoError(t, known.Save())
		file := filepath.Join(dir, "layers.jsonl")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte("1"), []byte("2")), 0o600))
		g := open(t)
		again, _, err := push.Push(t.Context(), opened(t, saved(t, a, b), store.OpenKnown(dir)), g.to("one"), nil, quick())
		require.NoError(t, err)
		require.Equal(t, digest, again)
		pushed(t, g, "one", digest, a, b)
	})
}

func TestPush_tagsNothingWhenALayerIsDamaged(t *testing.T) {
	for name, size := range map[string]int{"small": 3000, "large": 6 << 20} {
		t.Run(name, func(t *testing.T) {
			layer := noise(1, size)
			file := saved(t, layer)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			at := bytes.Index(text, layer[size-100:])
			text[at]++
			require.NoError(t, os.WriteFile(file, text, 0o600))
			g := open(t)
			_, _, err = push.Push(t.Context(), opened(t, file, nil), g.to("one"), nil, quick())
			var damaged *store.DamagedError
			require.ErrorAs(t, err, &damaged)
			require.LessOrEqual(t, g.counts()["POST blobs/uploads"], 2, "it does not get better by itself")
			require.Zero(t, g.counts()["PUT manifests"])
		})
	}
}

func TestPush_asksForCredentialsAgainInTheMiddleOfALayer(t *testing.T) {
	g := open(t)
	var calls atomic.Int64
	var refused atomic.Bool
	g.before = func(w http.ResponseWriter, r *http.Request) bool {
		_, pass, _ := r.BasicAuth()
		if pass == "new" {
			return false
		}
		if r.Method == http.MethodPatch {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			refused.Store(true)
		}
		return refused.Load() && expired(w)
	}
	layer := noise(1, 6<<20)
	digest, _, err := push.Push(t.Context(), opened(t, saved(t, layer), nil), g.to("one"), tokens(&calls, "old", "new"), quick())
	require.NoError(t, err)
	require.Equal(t, int64(2), calls.Load())
	g.before = nil
	pushed(t, g, "one", digest, layer)
}

func TestPush_asksAboutEachBlobWhenTheManifestProvesTooLittle(t *testing.T) {
	g := open(t)
	known := store.OpenKnown(t.TempDir())
	a, b, c := noise(1, 3000), noise(2, 3000), noise(3, 3000)
	_, _, err := push.Push(t.Context(), opened(t, saved(t, a, b), known), g.to("one"), nil, quick())
	require.NoError(t, err)
	g.forget()
	g.before = once("PUT manifests", status(400, "MANIFEST_BLOB_UNKNOWN"))
	digest, _, err := push.Push(t.Context(), opened(t, saved(t, a, c), known), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, 5, g.counts()["HEAD blobs"], "two that the manifest did not list, then all three")
	pushed(t, g, "one", digest, a, c)
}
