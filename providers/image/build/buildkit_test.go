package build_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// buildkitd starts a BuildKit that shares no store with any engine here, and returns the
// environment in which buildx calls it "far", or skips the test.
func buildkitd(t *testing.T) (env []string) {
	t.Helper()
	missing := func(why string) {
		t.Helper()
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			require.Fail(t, why, "APRON_TEST_ENGINES=required")
		}
		t.Skip(why)
	}
	if _, err := exec.LookPath("buildkitd"); err != nil {
		missing("there is no buildkitd")
	}
	if os.Getuid() != 0 {
		missing("buildkitd needs root to run a step")
	}
	if out, err := exec.Command("docker", "buildx", "version").CombinedOutput(); err != nil {
		missing("docker has no buildx: " + string(out))
	}
	dir, err := os.MkdirTemp("", "bk") // a socket's path is short
	require.NoError(t, err)
	socket := "unix://" + filepath.Join(dir, "s")
	daemon := exec.Command("buildkitd", "--root", filepath.Join(dir, "root"), "--addr", socket,
		"--oci-worker-snapshotter", "native", "--oci-worker-net", "host", "--containerd-worker=false")
	said, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	daemon.Stdout, daemon.Stderr = said, said
	require.NoError(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("buildkitd:\n%s", text)
		}
		_ = said.Close()
		require.NoError(t, os.RemoveAll(dir))
	})
	env = append(build.Environ(nil), "BUILDX_CONFIG="+filepath.Join(dir, "buildx"))
	buildx(t, env, "create", "--name", "far", "--driver", "remote", "--bootstrap", socket)
	return env
}

func buildx(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("docker", append([]string{"buildx"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestBuildx_buildsAndCachesElsewhere has a step whose result is another one each time, so
// that an equal image tells that the step was not carried out again.
func TestBuildx_buildsAndCachesElsewhere(t *testing.T) {
	env := buildkitd(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	made := func(t *testing.T, dir string, cache *state.Cache) string {
		t.Helper()
		buildx(t, env, "prune", "--builder", "far", "--all", "--force") // as a machine that has built nothing yet
		r := request(t, dir, state.Build{Context: "app", Builder: "buildx:far", Cache: cache})
		r.Environ = env
		b, err := build.Choose(t.Context(), "auto", r)
		require.NoError(t, err)
		img, err := b.Build(t.Context(), r)
		require.NoError(t, err)
		defer img.Close()
		valid(t, img)
		require.Equal(t, "0644 0:0 hello\n", contents(t, img)["said"])
		return contents(t, img)["made"]
	}
	for name, where := range map[string]string{"a directory": "local:.apron/cache", "a registry": "registry:" + strings.TrimPrefix(server.URL, "http://") + "/cache:web"} {
		t.Run(name, func(t *testing.T) {
			dir := checkout(t, map[string]string{
				"app/Dockerfile": "FROM scratch\nCOPY sh /bin/sh\nRUN cat /proc/sys/kernel/random/uuid > /made\nCOPY hello /said\nENTRYPOINT [\"/bin/sh\"]\n",
				"app/hello":      "hello\n",
			})
			shell := strings.SplitN(contents(t, shellImage())["bin/sh"], " ", 3)[2]
			require.NoError(t, os.WriteFile(filepath.Join(dir, "app", "sh"), []byte(shell), 0o755))
			cache := &state.Cache{From: []string{where}, To: []string{where}}
			first := made(t, dir, cache)
			require.Equal(t, first, made(t, dir, cache), "what is in the cache was made again")
			require.NotEqual(t, first, made(t, dir, nil), "without a cache it is made again")
		})
	}
}
