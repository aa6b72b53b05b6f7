package store_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

// sample is an image of some layers, in go-containerregistry's memory.
func sample(t *testing.T, layers int) v1.Image {
	t.Helper()
	img, err := random.Image(3000, int64(layers))
	require.NoError(t, err)
	img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"/app"}})
	require.NoError(t, err)
	return img
}

// parts are an image's configuration and its plain layers.
func parts(t *testing.T, img v1.Image) (config []byte, diffs []v1.Hash, plain [][]byte) {
	t.Helper()
	config, err := img.RawConfigFile()
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		diff, err := l.DiffID()
		require.NoError(t, err)
		r, err := l.Uncompressed()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		diffs, plain = append(diffs, diff), append(plain, text)
	}
	return config, diffs, plain
}

type link string

// archive writes files, and links, as a tar archive.
func archive(t *testing.T, files map[string]any) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(name)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch v := files[name].(type) {
		case link:
			require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: string(v)}))
		case []byte:
			require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(v))}))
			_, err := w.Write(v)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return name
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

type entry struct {
	Config string
	Layers []string
}

// legacy is what docker before version 25 saves: a directory for each layer, and links
// between those that are the same.
func legacy(t *testing.T, img v1.Image) map[string]any {
	config, diffs, plain := parts(t, img)
	files := map[string]any{"config.json": config}
	e := entry{Config: "config.json"}
	first := map[v1.Hash]string{}
	for i, text := range plain {
		name := hash(i).Hex + "/layer.tar"
		e.Layers = append(e.Layers, name)
		files[name] = text
		if was, ok := first[diffs[i]]; ok {
			files[name] = link("../" + was)
		}
		first[diffs[i]] = name
	}
	files["manifest.json"] = marshal(t, []entry{e})
	return files
}

// modern is what docker 25 and later save: an OCI layout of plain layers.
func modern(t *testing.T, img v1.Image) map[string]any {
	config, diffs, plain := parts(t, img)
	files := map[string]any{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "manifest.json": []byte("[]")}
	blob := func(text []byte, media types.MediaType) v1.Descriptor {
		h, n, err := v1.SHA256(bytes.NewReader(text))
		require.NoError(t, err)
		files["blobs/sha256/"+h.Hex] = text
		return v1.Descriptor{MediaType: media, Size: n, Digest: h}
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: blob(config, types.OCIConfigJSON)}
	for i, text := range plain {
		d := blob(text, types.OCIUncompressedLayer)
		require.Equal(t, diffs[i], d.Digest)
		m.Layers = append(m.Layers, d)
	}
	files["index.json"] = marshal(t, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{blob(marshal(t, m), types.OCIManifestSchema1)}})
	return files
}

// same compares what images are made of.
func same(t *testing.T, want, got v1.Image) {
	t.Helper()
	wantConfig, wantDiffs, wantPlain := parts(t, want)
	config, diffs, plain := parts(t, got)
	require.Equal(t, string(wantConfig), string(config))
	require.Equal(t, wantDiffs, diffs)
	require.Equal(t, wantPlain, plain)
	require.NoError(t, validate.Image(got))
}

func TestOpen_readsPlainLayersFromArchives(t *testing.T) {
	img := sample(t, 3)
	layers, err := img.Layers()
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layers[0]) // once more
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		files map[string]any
		media types.MediaType
	}{
		"of docker before 25": {legacy(t, img), types.DockerManifestSchema2},
		"of docker since 25":  {modern(t, img), types.OCIManifestSchema1},
	} {
		t.Run(name, func(t *testing.T) {
			known := store.OpenKnown(t.TempDir())
			got, err := store.Open(archive(t, tc.files), store.Options{Known: known})
			require.NoError(t, err)
			defer got.Close()
			media, err := got.MediaType()
			require.NoError(t, err)
			require.Equal(t, tc.media, media)
			layers, err := got.Layers()
			require.NoError(t, err)
			for _, l := range layers {
				_, _, ok := l.(*store.Layer).Recorded()
				require.False(t, ok, "nothing was compressed yet")
			}
			same(t, img, got)
			m, err := got.Manifest()
			require.NoError(t, err)
			for i, d := range m.Layers {
				diff, _ := layers[i].DiffID()
				digest, size, ok := known.Packed(diff)
				require.True(t, ok)
				require.Equal(t, []any{d.Digest, d.Size}, []any{digest, size}, "remembered")
			}
		})
	}
}

func TestOpen_leavesCompressedLayersAlone(t *testing.T) {
	img := sample(t, 3)
	want, err := img.Digest()
	require.NoError(t, err)

	dir := t.TempDir()
	_, err = layout.Write(dir, mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: sample(t, 1), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: sample(t, 1), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}))
	require.NoError(t, err)
	files := map[string]any{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		at, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(at)], err = os.ReadFile(path)
		return err
	}))
	for name, source := range map[string]string{"layout in a directory": dir, "layout in an archive": archive(t, files)} {
		t.Run(name, func(t *testing.T) {
			got, err := store.Open(source, store.Options{})
			require.NoError(t, err)
			defer got.Close()
			digest, err := got.Digest()
			require.NoError(t, err)
			require.Equal(t, want, digest)
			same(t, img, got)
		})
	}
	t.Run("archive of crane", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "image.tar")
		tag, err := name.NewTag("example.com/web:one")
		require.NoError(t, err)
		require.NoError(t, tarball.WriteToFile(file, tag, img))
		got, err := store.Open(file, store.Options{})
		require.NoError(t, err)
		defer got.Close()
		digest, err := got.Digest()
		require.NoError(t, err)
		require.Equal(t, want, digest)
		same(t, img, got)
	})
	t.Run("but the platform must be there", func(t *testing.T) {
		_, err := store.Open(dir, store.Options{Platform: "linux/s390x"})
		require.ErrorContains(t, err, "no image for linux/s390x, but linux/arm64, unknown/unknown, linux/amd64")
	})
}

func TestSpool_keepsAStreamInOneFileUntilItIsClosed(t *testing.T) {
	img := sample(t, 2)
	text, err := os.ReadFile(archive(t, legacy(t, img)))
	require.NoError(t, err)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, stream := range map[string][]byte{"plain": text, "compressed": zipped.Bytes()} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			got, err := store.Spool(bytes.NewReader(stream), store.Options{Temp: temp})
			require.NoError(t, err)
			same(t, img, got)
			files, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.NoError(t, got.Close())
			files, err = os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, files)
		})
	}
}

func TestOpen_refusesWhatIsNotWhole(t *testing.T) {
	img := sample(t, 2)
	with := func(files map[string]any, name string, v any) map[string]any {
		files = maps.Clone(files)
		files[name] = v
		return files
	}
	text, err := os.ReadFile(archive(t, legacy(t, img)))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		stream []byte
		files  map[string]any
		want   string
	}{
		"cut off":                {stream: text[:2500], want: "is damaged: unexpected EOF"},
		"not an archive":         {stream: bytes.Repeat([]byte("hello"), 1000), want: "is damaged"},
		"empty":                  {stream: []byte{}, want: "neither index.json nor manifest.json"},
		"another archive":        {files: map[string]any{"a": []byte("a")}, want: "neither index.json nor manifest.json"},
		"a layer is missing":     {files: with(legacy(t, img), "manifest.json", marshal(t, []entry{{"config.json", []string{"a", "b"}}})), want: "file does not exist"},
		"too few layers":         {files: with(legacy(t, img), "manifest.json", marshal(t, []entry{{"config.json", nil}})), want: "0 layers, and the configuration has 2"},
		"several images":         {files: with(legacy(t, img), "manifest.json", marshal(t, []entry{{}, {}})), want: "there are 2 images in it"},
		"a link to itself":       {files: with(legacy(t, img), hash(0).Hex+"/layer.tar", link("layer.tar")), want: "file does not exist"},
		"a link out of it":       {files: with(legacy(t, img), "config.json", link("../../../etc/passwd")), want: "file does not exist"},
		"no configuration":       {files: with(legacy(t, img), "config.json", []byte("x")), want: "configuration is damaged"},
		"a manifest of another":  {files: with(modern(t, img), "index.json", []byte(`{"manifests":[{"digest":"`+hash(1).String()+`"}]}`)), want: "file does not exist"},
		"an index without image": {files: with(modern(t, img), "index.json", []byte(`{}`)), want: "no image for linux/amd64, but none at all"},
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			stream := tc.stream
			if tc.files != nil {
				var err error
				stream, err = os.ReadFile(archive(t, tc.files))
				require.NoError(t, err)
			}
			_, err := store.Spool(bytes.NewReader(stream), store.Options{Temp: temp})
			require.ErrorContains(t, err, tc.want)
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left, "nothing stays behind")
		})
	}
}

func TestOpen_leavesALayoutByNoLink(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "index.json")))
	_, err := store.Open(dir, store.Options{})
	require.ErrorContains(t, err, "not a regular file")
}
