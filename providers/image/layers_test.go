package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func arrivals(all []apply.Layer) (n map[apply.Arrival]int) {
	n = map[apply.Arrival]int{}
	for _, l := range all {
		n[l.Arrival]++
	}
	return n
}

// TestExecute_tellsOfTheLayersOfAPush has docker build an image that shares a layer with the
// one before.
func TestExecute_tellsOfTheLayersOfAPush(t *testing.T) {
	skipWithoutShell(t)
	kept := randomLayer(t)
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\n"}, nil)
	j.o.Builder = "docker"
	fakeDocker(t, imageOf(t, kept, randomLayer(t)), "exec /bin/cat $saved", "")
	_, err := j.do(t)
	require.NoError(t, err)
	require.Equal(t, map[apply.Arrival]int{apply.Sent: 2}, arrivals(j.layers))
	sum := *j.last.Layers
	require.Equal(t, apply.Layers{Total: 2, Sent: 2, Bytes: j.layers[0].Bytes + j.layers[1].Bytes, Rate: sum.Rate, Took: sum.Took}, sum)
	require.Positive(t, sum.Rate)
	require.Positive(t, sum.Took)
	require.Equal(t, j.last.Done, j.last.Total)

	j.layers = nil
	write(t, j.root, map[string]string{"Dockerfile": "FROM scratch\n# another\n"})
	fakeDocker(t, imageOf(t, kept, randomLayer(t)), "exec /bin/cat $saved", "")
	out, err := j.run(t, t.Context(), j.plan(t))
	require.NoError(t, err)
	require.Equal(t, map[apply.Arrival]int{apply.Sent: 1, apply.Existed: 1}, arrivals(j.layers))
	digests := map[string]bool{}
	for _, d := range layersOf(t, j.shop.has(t, out.ID)) {
		digests[d.String()] = true
	}
	for _, l := range j.layers {
		require.True(t, digests[l.Digest], "%s is what the registry calls the layer", l.Digest)
		if l.Arrival == apply.Existed {
			require.Zero(t, l.Took)
			require.Equal(t, j.last.Layers.Saved, l.Bytes)
		} else {
			require.Positive(t, l.Took)
			require.Equal(t, j.last.Layers.Bytes, l.Bytes)
		}
	}

	j.layers, j.last = nil, apply.Progress{}
	_, err = j.run(t, t.Context(), j.plan(t))
	require.NoError(t, err)
	require.Empty(t, j.layers)
	require.Nil(t, j.last.Layers, "nothing was pushed")
}

// TestExecute_countsALayerOfSeveralImagesOnce copies an index of two images that have one.
func TestExecute_countsALayerOfSeveralImagesOnce(t *testing.T) {
	j := newJob(t, nil, nil)
	kept := randomLayer(t)
	at := filepath.Join(j.root, "index")
	var members []mutate.IndexAddendum
	for _, arch := range []string{"amd64", "arm64"} {
		members = append(members, mutate.IndexAddendum{Add: imageOf(t, kept, randomLayer(t)), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	_, err := layout.Write(at, mutate.AppendManifests(empty.Index, members...))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(j.root, ".git"), 0o755))
	o := origin.Options{Dir: j.root, Whole: true}
	pin, err := origin.Resolve(t.Context(), "./index", o)
	require.NoError(t, err)
	want := image.Copied(state.Spec{Service: "web"}, pin, o)
	_, err = j.run(t, t.Context(), plan.Action{ID: "create image", Op: plan.Create, Target: want.Address, Want: want})
	require.NoError(t, err)
	require.Equal(t, "looking for the image|copying ./index", strings.Join(j.phases, "|"))
	require.Equal(t, map[apply.Arrival]int{apply.Sent: 3}, arrivals(j.layers))
	require.Equal(t, 3, j.last.Layers.Total)
	require.Equal(t, 3, j.last.Layers.Sent)
	require.Zero(t, j.last.Layers.Saved)
}
