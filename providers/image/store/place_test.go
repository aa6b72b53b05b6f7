package store_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
)

func write(t *testing.T, text []byte, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// split unpacks a layer into a directory, and returns what tar-split notes of it.
func split(t *testing.T, layer []byte, dir string) []byte {
	t.Helper()
	var notes bytes.Buffer
	z := gzip.NewWriter(&notes)
	entries := json.NewEncoder(z)
	from := bytes.NewReader(layer)
	r := tar.NewReader(from)
	at := 0
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		start := len(layer) - from.Len()
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		write(t, text, dir, h.Name)
		require.NoError(t, entries.Encode(map[string]any{"type": 2, "payload": layer[at:start]}))
		require.NoError(t, entries.Encode(map[string]any{"type": 1, "name": h.Name, "size": h.Size, "payload": "AAAAAAAAAAA="}))
		at = start + len(text)
	}
	require.NoError(t, entries.Encode(map[string]any{"type": 2, "payload": layer[at:]}))
	require.NoError(t, z.Close())
	return notes.Bytes()
}

// dockerStore writes an image as a Docker daemon keeps it, and podmanStore as podman does.
func dockerStore(t *testing.T, img v1.Image, root string) {
	config, diffs, plain := parts(t, img)
	id, err := img.ConfigName()
	require.NoError(t, err)
	write(t, config, root, "image/overlay2/imagedb/content/sha256", id.Hex)
	chain := ""
	for i, d := range diffs {
		if chain = "sha256:" + chain + " " + d.String(); i == 0 {
			chain = d.Hex
		} else {
			chain = fmt.Sprintf("%x", sha256.Sum256([]byte(chain)))
		}
		cache := fmt.Sprintf("cache%d", i)
		write(t, []byte(cache), root, "image/overlay2/layerdb/sha256", chain, "cache-id")
		write(t, split(t, plain[i], filepath.Join(root, "overlay2", cache, "diff")), root, "image/overlay2/layerdb/sha256", chain, "tar-split.json.gz")
	}
}

func podmanStore(t *testing.T, img v1.Image, root string) {
	config, diffs, plain := parts(t, img)
	id, err := img.ConfigName()
	require.NoError(t, err)
	write(t, config, root, "overlay-images", id.Hex, "="+base64.StdEncoding.EncodeToString([]byte(id.String())))
	var layers []map[string]any
	for i, d := range diffs {
		name := fmt.Sprintf("layer%d", i)
		layers = append(layers, map[string]any{"id": name, "diff-digest": d, "diff-size": len(plain[i])})
		write(t, split(t, plain[i], filepath.Join(root, "overlay", name, "diff")), root, "overlay-layers", name+".tar-split.gz")
	}
	write(t, marshal(t, layers), root, "overlay-layers", "layers.json")
}

func TestFromEngine_readsTheStoreInPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		fill   func(*testing.T, v1.Image, string)
		driver string
	}{"docker": {dockerStore, "overlay2"}, "podman": {podmanStore, "overlay"}, "buildah": {podmanStore, "overlay"}} {
		t.Run(name, func(t *testing.T) {
			img := sample(t, 3)
			root := t.TempDir()
			tc.fill(t, img, root)
			var asked []string
			run := engine(t, img, legacy(t, img), tc.driver, root, &asked)
			got, err := store.FromEngine(t.Context(), name, run, "web", store.Options{Known: store.OpenKnown(t.TempDir())})
			require.NoError(t, err)
			same(t, img, got)
			require.Equal(t, []string{questions[name].inspect}, asked, "nothing was saved")
			want, err := got.Digest()
			require.NoError(t, err)
			require.NoError(t, got.Close())

			for what, harm := range map[string]func(string){
				"a file is gone":        func(file string) { require.NoError(t, os.Remove(file)) },
				"a file is not as long": func(file string) { require.NoError(t, os.WriteFile(file, []byte("x"), 0o600)) },
			} {
				t.Run("but saves the image if "+what, func(t *testing.T) {
					files, err := filepath.Glob(filepath.Join(root, "overlay*", "*", "diff", "*"))
					require.NoError(t, err)
					require.NotEmpty(t, files)
					harm(files[0])
					asked = nil
					got, err := store.FromEngine(t.Context(), name, run, "web", store.Options{Temp: t.TempDir()})
					require.NoError(t, err)
					defer got.Close()
					same(t, img, got)
					require.Len(t, asked, 2)
					digest, err := got.Digest()
					require.NoError(t, err)
					require.Equal(t, want, digest)
				})
			}
		})
	}
}

// TestFromEngine_startsNoProgramForAStoreItKnows opens an image by its id, twice. A name is
// asked for each time: it may have become that of another image.
func TestFromEngine_startsNoProgramForAStoreItKnows(t *testing.T) {
	for _, name := range []string{"podman", "buildah"} {
		t.Run(name, func(t *testing.T) {
			img := sample(t, 3)
			_, diffs, plain := parts(t, img)
			sizes := int64(0)
			for _, p := range plain {
				sizes += int64(len(p))
			}
			id, err := img.ConfigName()
			require.NoError(t, err)
			root := t.TempDir()
			podmanStore(t, img, root)
			var asked []string
			run := engine(t, img, legacy(t, img), "overlay", root, &asked)
			o := store.Options{Known: store.OpenKnown(t.TempDir()), Temp: t.TempDir()}
			opened := func(ref string, o store.Options) []string {
				asked = nil
				got, err := store.FromEngine(t.Context(), name, run, ref, o)
				require.NoError(t, err)
				same(t, img, got)
				require.NoError(t, got.Close())
				return asked
			}
			by := func(ref string) []string {
				return []string{strings.Replace(questions[name].inspect, "web", ref, 1)}
			}
			require.Equal(t, by(id.String()), opened(id.String(), o))
			require.Empty(t, opened(id.String(), o))
			require.Empty(t, opened(id.Hex, o))
			require.Equal(t, by("web"), opened("web", o))
			got, err := store.FromEngine(t.Context(), name, run, id.String(), o)
			require.NoError(t, err)
			_, size := got.Sizes()
			require.Equal(t, sizes, size, "as the store lists them")
			require.NoError(t, got.Close())

			o.Known = store.OpenKnown(t.TempDir()) // the layers are to be read again
			o.Known.SetRoot(name, root)
			require.Empty(t, opened(id.String(), o))
			elsewhere := store.Options{Known: store.OpenKnown(t.TempDir()), Temp: t.TempDir()}
			elsewhere.Known.SetRoot(name, t.TempDir())
			require.Equal(t, by(id.String()), opened(id.String(), elsewhere), "it is not where it was")
			require.Empty(t, opened(id.String(), elsewhere), "and is where it was found")

			list := filepath.Join(root, "overlay-layers", "layers.json")
			config := filepath.Join(root, "overlay-images", id.Hex, "="+base64.StdEncoding.EncodeToString([]byte(id.String())))
			for what, harm := range map[string]struct{ file, text string }{
				"a layer is not listed":                 {list, "[]"},
				"the list cannot be read":               {list, "["},
				"the configuration is that of another":  {config, `{"os":"linux"}`},
				"the configuration is cut off, or gone": {config, ""},
			} {
				t.Run(what, func(t *testing.T) {
					before, err := os.ReadFile(harm.file)
					require.NoError(t, err)
					defer write(t, before, harm.file)
					write(t, []byte(harm.text), harm.file)
					require.Contains(t, opened(id.String(), o), by(id.String())[0], "%d layers", len(diffs))
				})
			}
		})
	}
}

// TestFromEngine_leavesOtherStoresToTheEngine has stores of other kinds, whose directories
// are not what an overlay's are.
func TestFromEngine_leavesOtherStoresToTheEngine(t *testing.T) {
	for name, driver := range map[string]string{"docker": "btrfs", "podman": "vfs", "buildah": "vfs"} {
		t.Run(name, func(t *testing.T) {
			img := sample(t, 2)
			root := t.TempDir()
			map[string]func(*testing.T, v1.Image, string){"docker": dockerStore, "podman": podmanStore, "buildah": podmanStore}[name](t, img, root)
			var asked []string
			got, err := store.FromEngine(t.Context(), name, engine(t, img, legacy(t, img), driver, root, &asked), "web", store.Options{Temp: t.TempDir()})
			require.NoError(t, err)
			defer got.Close()
			same(t, img, got)
			require.Len(t, asked, 2, "it saved the image")
		})
	}
}
