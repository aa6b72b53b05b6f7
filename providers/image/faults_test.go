package image_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/reconcile/apply"
)

// fakeDocker puts a docker into the PATH that has built img already. How it saves an image
// is a script, which finds the archive in $saved; root is where its store is, or empty.
func fakeDocker(t *testing.T, img v1.Image, save, root string) {
	t.Helper()
	fakeDockerOf(t, img, 600_000, save, root)
}

// fakeDockerOf says of the image that it has so many bytes.
func fakeDockerOf(t *testing.T, img v1.Image, size int64, save, root string) {
	t.Helper()
	skipWithoutShell(t)
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved.tar")
	require.NoError(t, tarball.WriteToFile(saved, name.MustParseReference("apron.local/web:latest"), img))
	id, err := img.ConfigName()
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	said := map[string]any{"Id": id, "Size": size, "RootFS": map[string]any{"Layers": config.RootFS.DiffIDs}}
	if root != "" {
		said["GraphDriver"] = map[string]any{"Name": "overlay2", "Data": map[string]any{"UpperDir": filepath.Join(root, "overlay2", "top", "diff")}}
	}
	text, err := json.Marshal([]map[string]any{said})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "inspect"), text, 0o600))
	script := `#!/bin/sh
saved=` + saved + `
case "$1 $2" in
"version "*) echo "28.2.2 28.2.2" ;;
"image inspect") exec /bin/cat ` + dir + `/inspect ;;
"save "*) ` + save + ` ;;
"build "*)
	/bin/cat >/dev/null
	while test $# -gt 0; do
		if test "$1" = --iidfile; then echo ` + id.String() + ` >"$2"; fi
		shift
	done ;;
*) exit 1 ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755))
	t.Setenv("PATH", dir)
}

// sample is an image of two layers.
func sample(t *testing.T) v1.Image {
	t.Helper()
	return imageOf(t, randomLayer(t), randomLayer(t))
}

func randomLayer(t *testing.T) v1.Layer {
	t.Helper()
	layer, err := random.Layer(300_000, types.DockerLayer)
	require.NoError(t, err)
	return layer
}

func imageOf(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Cmd = "linux", "amd64", []string{"/x"}
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

const gone = "/usr/bin/head -c 200000 $saved; echo Cannot connect to the Docker daemon >&2; exit 1"

// TestExecute_compressesOneLayerOfASavedImage has a docker whose store cannot be read, as is
// usual for those who are not root: it saves the whole image, of which one layer is new.
func TestExecute_compressesOneLayerOfASavedImage(t *testing.T) {
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder, j.o.Known = "docker", store.OpenKnown(t.TempDir())
	kept := randomLayer(t)
	for i, want := range []int{2, 1} {
		write(t, j.root, map[string]string{"source": strings.Repeat("x", i)})
		fakeDocker(t, imageOf(t, kept, randomLayer(t)), "exec /bin/cat $saved", "")
		_, err := j.do(t)
		require.NoError(t, err)
		require.Len(t, j.packed(), want)
		blobs, manifests := j.shop.put()
		require.Equal(t, []int{want + 1, 1}, []int{blobs, manifests}, "with the configuration")
	}
}

// TestExecute_pushesNothingOfAnEngineThatGoesAway has docker end while it saves the image.
func TestExecute_pushesNothingOfAnEngineThatGoesAway(t *testing.T) {
	fakeDocker(t, sample(t), gone, "")
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder = "docker"
	_, err := j.do(t)
	require.ErrorContains(t, err, "docker save: the daemon does not answer: exit status 1")
	var hint interface{ Hint() string }
	require.ErrorAs(t, err, &hint)
	require.Contains(t, hint.Hint(), "DOCKER_HOST")
}

// TestExecute_tagsNothingWhenTheEngineGoesAwayDuringThePush has a store whose configuration
// can be read and whose layers cannot, and layers that are remembered, but not in the
// registry: docker is asked to save the image while the push is under way.
func TestExecute_tagsNothingWhenTheEngineGoesAwayDuringThePush(t *testing.T) {
	img, root := sample(t), t.TempDir()
	id, err := img.ConfigName()
	require.NoError(t, err)
	text, err := img.RawConfigFile()
	require.NoError(t, err)
	write(t, root, map[string]string{"image/overlay2/imagedb/content/sha256/" + id.Hex: string(text)})
	fakeDocker(t, img, gone, root)
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder, j.o.Known = "docker", store.OpenKnown(t.TempDir())
	pushing := false
	j.on = func(p apply.Progress) { pushing = pushing || p.Phase == "pushing" }
	_, err = j.run(t, t.Context(), j.plan(t))
	require.ErrorContains(t, err, "docker save: the daemon does not answer")
	require.True(t, pushing)
	_, manifests := j.shop.put()
	require.Zero(t, manifests)

	t.Run("and all of it the next time", func(t *testing.T) {
		fakeDocker(t, img, "exec /bin/cat $saved", root)
		out, err := j.run(t, t.Context(), j.plan(t))
		require.NoError(t, err)
		require.Len(t, layersOf(t, j.shop.has(t, out.ID)), 2)
	})
}

func TestExecute_pushesNothingWhenItIsInterruptedWhileDockerSaves(t *testing.T) {
	skipWithoutShell(t)
	half := filepath.Join(t.TempDir(), "half")
	require.NoError(t, exec.Command("mkfifo", half).Run())
	fakeDocker(t, sample(t), "/usr/bin/head -c 200000 $saved; echo saved >"+half+"; exec /bin/sleep 60", "")
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder = "docker"
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, err := os.ReadFile(half) // as soon as docker has written it
		cancel(errors.Join(why, err))
	}()
	_, err := j.run(t, ctx, j.plan(t))
	require.ErrorIs(t, err, why)
	require.Zero(t, j.shop.writes)
}

func TestExecute_tagsNothingWhenItIsInterruptedWhileALayerIsCompressed(t *testing.T) {
	fakeDocker(t, sample(t), "exec /bin/cat $saved", "")
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder = "docker"
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	j.on = func(p apply.Progress) {
		if strings.HasPrefix(p.Line, "compressing layer ") {
			cancel(why)
		}
	}
	_, err := j.run(t, ctx, j.plan(t))
	require.ErrorIs(t, err, why)
	_, manifests := j.shop.put()
	require.Zero(t, manifests)
}

func TestExecute_pushesNoImageThatDoesNotFitOnTheDisk(t *testing.T) {
	fakeDockerOf(t, sample(t), 4<<30, "exec /bin/cat $saved", "")
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder = "docker"
	_, err := j.do(t)
	require.ErrorContains(t, err, "image.build: the image has 4.0 GB and does not fit on App Runner's disk of 3.0 GB")
}

// TestExecute_tagsNoLayerThatIsNotWhatTheEngineSays has a store in which a file has changed:
// layers are read where they lie, and checked on the way.
func TestExecute_tagsNoLayerThatIsNotWhatTheEngineSays(t *testing.T) {
	for name, args := range map[string]map[string]string{"as it is": nil, "with a SOURCE_DATE_EPOCH": {"SOURCE_DATE_EPOCH": "1700000000"}} {
		t.Run(name, func(t *testing.T) {
			img := sample(t)
			config, err := img.ConfigFile()
			require.NoError(t, err)
			config = config.DeepCopy()
			config.RootFS.DiffIDs[1].Hex = strings.Repeat("0", 64)
			img, err = mutate.ConfigFile(img, config)
			require.NoError(t, err)
			fakeDocker(t, img, "exec /bin/cat $saved", "")
			j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nARG SOURCE_DATE_EPOCH\n"}, nil)
			j.o.Builder, j.b.Args = "docker", args
			_, err = j.run(t, t.Context(), j.plan(t))
			var damaged *store.DamagedError
			require.ErrorAs(t, err, &damaged)
			require.Equal(t, "layer "+config.RootFS.DiffIDs[1].String(), damaged.What)
			_, manifests := j.shop.put()
			require.Zero(t, manifests)
		})
	}
}
