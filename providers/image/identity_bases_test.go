package image_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestIdentify_takesBaseImagesOfTheirRegistries(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	serve := registry.New(registry.Logger(log.New(t.Output(), "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			mu.Lock()
			asked = append(asked, r.Method+" "+r.URL.Path)
			mu.Unlock()
		}
		serve.ServeHTTP(w, r)
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	put := func(tag string) string {
		index, err := random.Index(64, 1, 2)
		require.NoError(t, err)
		ref, err := name.ParseReference(host + "/" + tag)
		require.NoError(t, err)
		require.NoError(t, remote.WriteIndex(ref, index))
		digest, err := index.Digest()
		require.NoError(t, err)
		asked = nil
		return digest.String()
	}
	first := put("node:22")
	put("tools:1")
	put("mounted:1")
	put("unused:1")
	root := t.TempDir()
	write(t, root, map[string]string{"Dockerfile": "ARG TAG=22\nFROM " + host + "/unused:1 AS unused\n" +
		"FROM scratch AS files\nCOPY --from=" + host + "/tools:1 /f /f\n" +
		"FROM " + host + "/node:${TAG}\nRUN --mount=type=bind,from=" + host + "/mounted:1,target=/m true\nCOPY --from=files /f /f\n"})
	identify := func(pull bool) (image.Identity, error) {
		return image.Identify(t.Context(), root, state.Build{Pull: pull}, image.Options{Bases: origin.Options{Backoff: time.Nanosecond}})
	}

	plain, err := identify(false)
	require.NoError(t, err)
	require.Empty(t, asked, "nothing is asked of a registry unless the manifest wants it")

	before, err := identify(true)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"HEAD /v2/node/manifests/22", "HEAD /v2/tools/manifests/1", "HEAD /v2/mounted/manifests/1"}, asked)
	require.Equal(t, []string{"base " + host + "/mounted:1", "base " + host + "/node:22", "base " + host + "/tools:1"}, image.Diff(plain, before))
	again, err := identify(true)
	require.NoError(t, err)
	require.Equal(t, before, again)

	put("node:22")
	moved, err := identify(true)
	require.NoError(t, err)
	require.Equal(t, []string{"base " + host + "/node:22"}, image.Diff(before, moved))
	require.NotEqual(t, before.Tag, moved.Tag)
	unmoved, err := identify(false)
	require.NoError(t, err)
	require.Equal(t, plain, unmoved)

	write(t, root, map[string]string{"Dockerfile": "FROM " + host + "/node:22@" + first + "\n"})
	asked = nil
	_, err = identify(true)
	require.NoError(t, err)
	require.Empty(t, asked, "a digest is known already")

	write(t, root, map[string]string{"Dockerfile": "FROM " + host + "/node:23\n"})
	_, err = identify(true)
	var wrong *source.Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "image.build.pull", wrong.Key)
	require.Equal(t, `base image "`+host+`/node:23": there is no such image in `+host, wrong.Why)
	require.Equal(t, "tags there are: 22", wrong.Fix)
}

// TestIdentify_needsToReadTheDockerfileForItsBases has a Dockerfile that only its own
// frontend understands.
func TestIdentify_needsToReadTheDockerfileForItsBases(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"Dockerfile": "# syntax=r.example/mine:1\nSTART somewhere\n"})
	_, err := image.Identify(t.Context(), root, state.Build{}, image.Options{})
	require.NoError(t, err)
	_, err = image.Identify(t.Context(), root, state.Build{Pull: true}, image.Options{})
	require.ErrorContains(t, err, "image.build.pull: the base images are not known: Dockerfile:2: ")
}
