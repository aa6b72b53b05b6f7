package build_test

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestBuilders_pullWhatTheyHaveAnOlderOneOf moves the tag of a base image in its registry.
func TestBuilders_pullWhatTheyHaveAnOlderOneOf(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	put := func(ref, version string) {
		img, err := crane.Image(map[string][]byte{"version": []byte(version)})
		require.NoError(t, err)
		config, err := img.ConfigFile()
		require.NoError(t, err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", "amd64"
		img, err = mutate.ConfigFile(img, config)
		require.NoError(t, err)
		tag, err := name.ParseReference(ref)
		require.NoError(t, err)
		require.NoError(t, remote.Write(tag, img))
	}
	conf := filepath.Join(t.TempDir(), "registries.conf") // of podman and buildah, which want TLS otherwise
	require.NoError(t, os.WriteFile(conf, []byte("[[registry]]\nlocation = \""+host+"\"\ninsecure = true\n"), 0o600))
	for _, called := range []string{"builtin", "docker", "docker legacy", "buildx", "podman", "buildah"} {
		t.Run(called, func(t *testing.T) {
			base := host + "/" + strings.ReplaceAll(called, " ", "-") + ":1"
			dir := checkout(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY Dockerfile /Dockerfile\n"})
			version := func() string {
				r := request(t, dir, state.Build{Pull: true, Platform: "linux/amd64"})
				r.Environ = append(r.Environ, "CONTAINERS_REGISTRIES_CONF="+conf)
				var lines bytes.Buffer
				r.Line = func(_, line string) { lines.WriteString(line + "\n") }
				b := builder(t, called, &r)
				if called == "builtin" {
					b = build.Builtin{}
				}
				img, err := b.Build(t.Context(), r)
				require.NoError(t, err, lines.String())
				return contents(t, img)["version"]
			}
			put(base, "one")
			require.Contains(t, version(), "one")
			put(base, "two")
			require.Contains(t, version(), "two")
		})
	}
}
