package store_test

import (
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// counted opens an image and counts how often a layer of it is compressed.
func counted(t *testing.T, file string, known *store.Known) (*store.Image, *int) {
	t.Helper()
	packed := 0
	img, err := store.Open(file, store.Options{Known: known, Packing: func(_ v1.Hash, plain int64) {
		require.Positive(t, plain)
		packed++
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = img.Close() })
	return img, &packed
}

func TestWithConfig_keepsTheLayersAndNothingElse(t *testing.T) {
	for name, write := range map[string]func(*testing.T, v1.Image) string{
		"plain layers": func(t *testing.T, img v1.Image) string { return archive(t, legacy(t, img)) },
		"layers as a registry has them": func(t *testing.T, img v1.Image) string {
			dir := t.TempDir()
			_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: mutate.Annotations(img, map[string]string{"made": "now"}).(v1.Image)}))
			require.NoError(t, err)
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			from := sample(t, 3)
			img, packed := counted(t, write(t, from), nil)
			config, err := img.ConfigFile()
			require.NoError(t, err)
			config = config.DeepCopy()
			config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
			config.Config.Labels = map[string]string{"team": "ai"}
			changed, err := img.WithConfig(config)
			require.NoError(t, err)
			require.Zero(t, *packed)
			got, err := changed.ConfigFile()
			require.NoError(t, err)
			require.Equal(t, config.Config.Labels, got.Config.Labels)
			_, diffs, plain := parts(t, changed)
			_, wantDiffs, wantPlain := parts(t, from)
			require.Equal(t, wantDiffs, diffs)
			require.Equal(t, wantPlain, plain)
			before, err := img.Manifest()
			require.NoError(t, err)
			after, err := changed.Manifest()
			require.NoError(t, err)
			require.Equal(t, before.Layers, after.Layers)
			require.NotEqual(t, before.Config.Digest, after.Config.Digest)
			require.Equal(t, before.Config.MediaType, after.Config.MediaType)
			require.Empty(t, after.Annotations)
			compressed, bytes := changed.Sizes()
			if name == "plain layers" {
				require.Zero(t, compressed)
				require.EqualValues(t, len(plain[0])+len(plain[1])+len(plain[2]), bytes)
			} else {
				require.Zero(t, bytes)
				require.Equal(t, before.Layers[0].Size+before.Layers[1].Size+before.Layers[2].Size, compressed)
			}

			config.RootFS.DiffIDs = config.RootFS.DiffIDs[1:]
			_, err = img.WithConfig(config)
			require.EqualError(t, err, "the configuration is that of other layers")
		})
	}
}

// TestArchived_isReadBackWhateverIsRemembered has a memory of what another compressor made
// of the layers, as a push learns it from an image of a registry. An archive that took
// digests from it and bytes from here would be damaged.
func TestArchived_isReadBackWhateverIsRemembered(t *testing.T) {
	from := sample(t, 3)
	known := store.OpenKnown(t.TempDir())
	img, packed := counted(t, archive(t, legacy(t, from)), known)
	_, diffs, plain := parts(t, from)
	for _, d := range diffs {
		known.SetPacked(d, hash(int(d.Hex[0])), 17)
	}
	archived, err := img.Archived()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(file, name.MustParseReference("web"), archived))
	require.Zero(t, *packed)
	read, err := tarball.ImageFromPath(file, nil)
	require.NoError(t, err)
	layers, err := read.Layers()
	require.NoError(t, err)
	require.Len(t, layers, len(plain))
	for i, l := range layers {
		r, err := l.Uncompressed()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, plain[i], text)
	}
	want, err := img.ConfigName()
	require.NoError(t, err)
	got, err := read.ConfigName()
	require.NoError(t, err)
	require.Equal(t, want, got)
}
