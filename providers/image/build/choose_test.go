package build_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// registered puts an image that has ONBUILD, and one with a device, into a registry and
// returns the registry's host.
func registered(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	put := func(ref string, img v1.Image, err error) {
		require.NoError(t, err)
		tag, err := name.ParseReference(host + "/" + ref)
		require.NoError(t, err)
		require.NoError(t, remote.Write(tag, img))
	}
	config, err := base(t).ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.Config.OnBuild = []string{"COPY . /app"}
	img, err := mutate.ConfigFile(base(t), config)
	put("onbuild:1", img, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, errors.Join(w.WriteHeader(&tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}), w.Close()))
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	require.NoError(t, err)
	img, err = mutate.AppendLayers(base(t), layer)
	put("device:1", img, err)
	return host
}

// TestChoose_leavesToAnEngineWhatTheBuiltinTurnsOutToLack has docker with its legacy builder,
// which is not chosen as long as the built-in one will do, and then nothing.
func TestChoose_leavesToAnEngineWhatTheBuiltinTurnsOutToLack(t *testing.T) {
	host := registered(t)
	none := t.TempDir()
	for desc, tc := range map[string]struct {
		dockerfile string
		lacks      bool
		want       string // of the built-in builder
	}{
		"an archive to unpack": {"FROM scratch\nADD a.tar.gz /\n", true,
			"Dockerfile:2: ADD: a.tar.gz is an archive, and unpacking it needs docker, podman or buildah; COPY copies it as it is"},
		"a URL in a variable": {"FROM scratch\nARG URL=https://example.com/x\nADD ${URL} /x\n", true,
			"Dockerfile:3: ADD of a URL or a git repository needs docker, podman or buildah; the built-in builder executes and fetches nothing"},
		"a start interval": {"FROM scratch\nHEALTHCHECK --start-interval=1s CMD [\"/x\"]\n", true,
			"Dockerfile:2: HEALTHCHECK: --start-interval needs docker, podman or buildah"},
		"a symbolic mode": {"FROM scratch\nARG MODE=u=rwX\nCOPY --chmod=$MODE Dockerfile /\n", true,
			"Dockerfile:3: COPY: --chmod=u=rwX: only octal modes up to 7777 are understood here"},
		"ONBUILD in a base image": {"FROM " + host + "/onbuild:1\n", true,
			"Dockerfile:1: base image " + host + "/onbuild:1 has ONBUILD instructions, which need docker, podman or buildah"},
		"a device": {"FROM scratch\nCOPY --from=" + host + "/device:1 /null /\n", true,
			"Dockerfile:2: COPY: null: is a device or a pipe, which only a container engine can copy"},
		"a mode that is none": {"FROM scratch\nCOPY --chmod=17777 Dockerfile /\n", false,
			"Dockerfile:2: COPY: --chmod=17777: only octal modes up to 7777 are understood here"},
		"no octal number": {"FROM scratch\nCOPY --chmod=888 Dockerfile /\n", false,
			"Dockerfile:2: COPY: --chmod=888: only octal modes up to 7777 are understood here"},
		"a file that is missing": {"FROM scratch\nCOPY none /\n", false, "Dockerfile:2: COPY: there is no none in the context"},
	} {
		t.Run(desc, func(t *testing.T) {
			fakeDocker(t, "28.2.2", "")
			r := request(t, checkout(t, map[string]string{"Dockerfile": tc.dockerfile, "a.tar.gz": "\x1f\x8b\x08 and so on"}), state.Build{})
			var told []string
			r.Line = func(source, line string) { told = append(told, source+": "+line) }
			b, err := build.Choose(t.Context(), "auto", r)
			require.NoError(t, err)
			require.Equal(t, "builtin", b.Name())
			img, err := b.Build(t.Context(), r)
			if tc.lacks {
				require.NoError(t, err)
				require.Contains(t, contents(t, img), "Dockerfile", "docker has built it")
				require.Contains(t, told, "builtin: "+tc.want+": docker builds it instead")
			} else {
				require.EqualError(t, err, tc.want)
			}

			b, err = build.Choose(t.Context(), "builtin", r)
			require.NoError(t, err)
			_, err = b.Build(t.Context(), r)
			require.EqualError(t, err, tc.want, "the built-in builder was asked for")

			t.Setenv("PATH", none)
			r.Environ = build.Environ(nil)
			b, err = build.Choose(t.Context(), "auto", r)
			require.NoError(t, err)
			_, err = b.Build(t.Context(), r)
			require.EqualError(t, err, tc.want, "there is no engine")
		})
	}
}

// TestChoose_leavesNothingToAnEngineThatLacksMore has secrets, which docker's legacy builder
// does not know, and no other engine.
func TestChoose_leavesNothingToAnEngineThatLacksMore(t *testing.T) {
	fakeDocker(t, "28.2.2", "")
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\nADD a.tgz /\n", "a.tgz": "\x1f\x8b\x08"}),
		state.Build{Secrets: map[string]state.BuildSecret{"npm": {Env: "TOKEN", Value: "x", Set: true}}})
	b, err := build.Choose(t.Context(), "", r)
	require.NoError(t, err)
	_, err = b.Build(t.Context(), r)
	require.ErrorContains(t, err, "Dockerfile:2: ADD: a.tgz is an archive")
}
