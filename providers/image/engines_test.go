package image_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/store"
)

// engines keep what they build in a store of their own.
var engines = []string{"docker", "podman", "buildah"}

// have skips the test without an engine, unless that is required.
func have(t *testing.T, engine string) {
	t.Helper()
	args := []string{"info"}
	if engine == "docker" {
		args = []string{"version"} // asks the daemon, too
	}
	out, err := exec.Command(engine, args...).CombinedOutput()
	if err != nil && os.Getenv("APRON_TEST_ENGINES") == "required" {
		require.NoError(t, err, string(out))
	}
	if err != nil {
		t.Skipf("%s does not work here: %v", engine, err)
	}
	t.Cleanup(func() {
		remove := []string{"image", "rm", "-f", "apron.local/web:latest"}
		if engine == "buildah" {
			remove = []string{"rmi", "-f", "apron.local/web:latest"}
		}
		_ = exec.Command(engine, remove...).Run()
	})
}

// noise is text that does not compress.
func noise(seed byte, n int) string {
	text := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(text)
	return string(text)
}

// packed returns the layers that were compressed since the last time.
func (j *job) packed() (layers []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if _, layer, ok := strings.Cut(line, ": compressing layer "); ok {
			layers = append(layers, layer)
		}
	}
	j.lines = nil
	return layers
}

func layersOf(t *testing.T, img v1.Image) (digests []v1.Hash) {
	t.Helper()
	m, err := img.Manifest()
	require.NoError(t, err)
	for _, l := range m.Layers {
		digests = append(digests, l.Digest)
	}
	return digests
}

// TestExecute_readsAndSendsTheOneLayerThatChanged builds at first; with one file changed, in
// a process that has the first one's memory; and with one more that no layer has, on a
// machine that remembers nothing.
func TestExecute_readsAndSendsTheOneLayerThatChanged(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			have(t, engine)
			// The first is larger than what is compressed before it is sent.
			files := map[string]string{"Dockerfile": "FROM scratch\nCOPY one /one\nCOPY two /two\nCMD [\"/one\"]\n", "one": noise(1, 5<<20), "two": noise(2, 3000)}
			j := newJob(t, files, nil)
			memory := t.TempDir()
			j.o.Builder, j.o.Known = engine, store.OpenKnown(memory)
			out, err := j.do(t)
			require.NoError(t, err, strings.Join(j.lines, "\n"))
			first := layersOf(t, j.shop.has(t, out.ID))
			require.Len(t, first, 2)
			require.Len(t, j.packed(), 2)
			blobs, manifests := j.shop.put()
			require.Equal(t, []int{3, 1}, []int{blobs, manifests}, "two layers and the configuration")

			write(t, j.root, map[string]string{"two": "changed"})
			j.o.Known = store.OpenKnown(memory)
			out, err = j.do(t)
			require.NoError(t, err)
			img := j.shop.has(t, out.ID)
			require.Equal(t, "changed", content(t, img, "two"))
			second := layersOf(t, img)
			require.Equal(t, first[0], second[0])
			require.NotEqual(t, first[1], second[1])
			require.Len(t, j.packed(), 1)
			blobs, manifests = j.shop.put()
			require.Equal(t, []int{2, 1}, []int{blobs, manifests}, "one layer and the configuration")

			// The tag is another one, as the file is in the context; the image is not.
			tag := j.plan(t).Want.Detail.(image.Detail).Identity.Tag
			write(t, j.root, map[string]string{"three": "in no layer"})
			j.o.Known, j.detail = nil, func(d *image.Detail) { d.Like = []string{tag} }
			same, err := j.do(t)
			require.NoError(t, err)
			require.Equal(t, out.ID, same.ID)
			require.Empty(t, j.packed())
			blobs, manifests = j.shop.put()
			require.Equal(t, []int{0, 1}, []int{blobs, manifests})
		})
	}
}
