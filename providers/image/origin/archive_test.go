package origin_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

// spoil changes a layer in a file that holds it plain, and nothing else.
func spoil(t *testing.T, file string, l v1.Layer) {
	t.Helper()
	r, err := l.Uncompressed()
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	at := bytes.Index(b, content)
	require.GreaterOrEqual(t, at, 0)
	b[at+len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(file, b, 0o644))
}

// kinds counts requests without what is asked for: "PUT blobs".
func kinds(all []string) map[string]int {
	n := map[string]int{}
	for _, q := range all {
		method, path, _ := strings.Cut(q, " ")
		for _, kind := range []string{"blobs", "manifests"} {
			if strings.Contains(path, "/"+kind+"/") {
				n[method+" "+kind]++
			}
		}
	}
	return n
}

// TestCopy_readsOfAnArchiveWhatTheRegistryLacks copies an archive, one with another last
// layer that remembers what the others became, and that on a machine which remembers
// nothing. A layer that is not to be read is damaged.
func TestCopy_readsOfAnArchiveWhatTheRegistryLacks(t *testing.T) {
	dir, o := checkout(t)
	file := filepath.Join(dir, "web.tar")
	known := t.TempDir()
	to := newHub(t)
	copying := func(tag string, remember bool, like ...string) (push.Stats, map[string]int, error) {
		t.Helper()
		o, po := o, push.Options{Like: like}
		if remember {
			k := store.OpenKnown(known)
			o.Known, po.Memory = k, k
		}
		s, err := origin.Open(t.Context(), resolve(t, "./web.tar", o), o)
		require.NoError(t, err)
		defer s.Close()
		to.questions()
		_, stats, err := origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: tag}, nil, po)
		return stats, kinds(to.questions()), err
	}
	first := runnable(t, "linux/amd64", 3)
	save(t, file, false, map[string]v1.Image{"web:1.0": first})
	stats, asked, err := copying("one", true)
	require.NoError(t, err)
	require.Equal(t, 4, stats.Uploaded)
	require.Equal(t, map[string]int{"GET manifests": 1, "HEAD blobs": 4, "POST blobs": 4, "PUT blobs": 4, "PUT manifests": 1}, asked)

	stats, asked, err = copying("one", true)
	require.NoError(t, err)
	require.True(t, stats.Existed)
	require.Equal(t, map[string]int{"GET manifests": 1}, asked)

	layers, err := first.Layers()
	require.NoError(t, err)
	for name, again := range map[string]struct {
		tag      string
		remember bool
		like     []string
		asked    map[string]int
	}{
		"a machine that remembers":       {"two", true, nil, map[string]int{"GET manifests": 1, "HEAD blobs": 5, "POST blobs": 2, "PUT blobs": 2, "PUT manifests": 1}},
		"a tag that probably is like it": {"three", false, []string{"one"}, map[string]int{"GET manifests": 2, "GET blobs": 1, "HEAD blobs": 2, "POST blobs": 2, "PUT blobs": 2, "PUT manifests": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			added, err := random.Layer(1000, types.DockerLayer)
			require.NoError(t, err)
			second, err := mutate.AppendLayers(first, added)
			require.NoError(t, err)
			save(t, file, false, map[string]v1.Image{"web:1.0": second})
			for _, l := range layers {
				spoil(t, file, l)
			}
			stats, asked, err := copying(again.tag, again.remember, again.like...)
			require.NoError(t, err)
			require.Equal(t, 2, stats.Uploaded, "the new layer and the configuration")
			require.Equal(t, again.asked, asked)
		})
	}

	t.Run("and all of it where nothing is known", func(t *testing.T) {
		_, _, err := copying("four", false)
		require.ErrorContains(t, err, "is damaged")
		there, err := push.Lookup(t.Context(), push.Destination{Endpoint: to.URL, Repository: "copy", Tag: "four"}, nil, push.Options{})
		require.NoError(t, err)
		require.Empty(t, there)
	})
}

// TestOpen_wantsTheLayersOfAnArchiveThatItsConfigurationNames is about layers that are
// compressed in the archive, and go out as they are.
func TestOpen_wantsTheLayersOfAnArchiveThatItsConfigurationNames(t *testing.T) {
	dir, o := checkout(t)
	web := runnable(t, "linux/amd64", 2)
	config, err := web.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.RootFS.DiffIDs[1] = config.RootFS.DiffIDs[0]
	other, err := mutate.ConfigFile(web, config)
	require.NoError(t, err)
	tag, err := name.NewTag("web:1.0")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(filepath.Join(dir, "packed.tar"), tag, other))
	_, err = origin.Open(t.Context(), resolve(t, "./packed.tar", o), o)
	require.ErrorContains(t, err, "is not the layer that the image's configuration names")
	require.Contains(t, hint(t, err), "make it again")
}

// TestOpen_unpacksACompressedArchiveOnce reads what was unpacked, not the archive again for
// each layer, and leaves nothing behind.
func TestOpen_unpacksACompressedArchiveOnce(t *testing.T) {
	dir, o := checkout(t)
	o.Temp = t.TempDir()
	file := filepath.Join(dir, "web.tgz")
	save(t, file, true, map[string]v1.Image{"web:1.0": runnable(t, "linux/amd64", 3)})
	p := resolve(t, "./web.tgz", o)
	s, err := origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(file, 0))
	to := newHub(t)
	_, stats, err := origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: "one"}, nil, push.Options{})
	require.NoError(t, err)
	require.Equal(t, 4, stats.Uploaded)
	require.NoError(t, s.Close())
	left, err := os.ReadDir(o.Temp)
	require.NoError(t, err)
	require.Empty(t, left)

	save(t, file, true, map[string]v1.Image{"web:1.0": runnable(t, "linux/amd64", 3)})
	_, err = origin.Open(t.Context(), p, o)
	require.ErrorContains(t, err, "it changed since the plan")
	left, err = os.ReadDir(o.Temp)
	require.NoError(t, err)
	require.Empty(t, left)
}
