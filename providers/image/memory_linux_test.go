package image_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// void is a registry that has nothing and keeps nothing but count.
func void(t *testing.T) (url string, received *atomic.Int64) {
	t.Helper()
	received = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		received.Add(n)
		switch r.Method {
		case http.MethodPost, http.MethodPatch:
			w.Header().Set("Location", "/v2/web/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, received
}

type address string

func (a address) Registry(context.Context) (endpoint, username, password string, err error) {
	return string(a), "AWS", "x", nil
}

// The process that is measured builds what is in that directory with that engine, and
// pushes it to that registry.
const engineVar, contextVar, registryVar = "APRON_TEST_IMAGE_ENGINE", "APRON_TEST_IMAGE_CONTEXT", "APRON_TEST_IMAGE_REGISTRY"

// allowedMiB is the memory of apron itself, at any size of an image.
const allowedMiB = 150

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// TestExecute_needsLittleMemoryForALargeLayer pushes a layer larger than what is allowed.
func TestExecute_needsLittleMemoryForALargeLayer(t *testing.T) {
	if engine := os.Getenv(engineVar); engine != "" {
		b := state.Build{}
		dir := os.Getenv(contextVar)
		id, err := image.Identify(t.Context(), dir, b, image.Options{})
		require.NoError(t, err)
		want := image.Desired(state.Spec{Service: "web", Dir: dir, Image: state.Image{Build: &b}}, id)
		p := image.NewProvider(address(os.Getenv(registryVar)), image.ProviderOptions{Builder: engine, Temp: t.TempDir(), Known: store.OpenKnown(t.TempDir())})
		_, err = p.Execute(t.Context(), plan.Action{ID: "create image", Op: plan.Create, Target: want.Address, Want: want}, apply.Env{})
		require.NoError(t, err)
		tellPeak(t)
		return
	}
	if testing.Short() {
		t.Skip("writes a gigabyte")
	}
	const mib = allowedMiB + 10
	dir := t.TempDir()
	write(t, dir, map[string]string{"Dockerfile": "FROM scratch\nCOPY large /large\nCMD [\"/large\"]\n"})
	f, err := os.Create(filepath.Join(dir, "large"))
	require.NoError(t, err)
	block := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(block[:len(block)/2])
	for range mib {
		_, err = f.Write(block)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			have(t, engine)
			registry, received := void(t)
			needsLittle(t, engineVar+"="+engine, contextVar+"="+dir, registryVar+"="+registry)
			t.Logf("%d MiB sent", received.Load()>>20)
			require.Greater(t, received.Load()>>20, int64(mib/3), "half of it compresses")
		})
	}
}

// needsLittle runs the test anew in a process with these variables, and measures it.
func needsLittle(t *testing.T, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	found := peakLine.FindSubmatch(out)
	require.NotNil(t, found, string(out))
	peak, err := strconv.ParseInt(string(found[1]), 10, 64)
	require.NoError(t, err)
	t.Logf("peak memory %d MiB", peak>>10)
	require.LessOrEqual(t, peak>>10, int64(peakMiB))
}

// tellPeak is what needsLittle reads.
func tellPeak(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status") // getrusage counts the parent too, from before exec
	require.NoError(t, err)
	t.Log(peakLine.FindString(string(text)))
}

// TestExecute_needsLittleMemoryForAnArchive copies an archive of 300 MiB.
func TestExecute_needsLittleMemoryForAnArchive(t *testing.T) {
	if dir := os.Getenv(contextVar); dir != "" {
		o := origin.Options{Dir: dir}
		pin, err := origin.Resolve(t.Context(), "./image.tar", o)
		require.NoError(t, err)
		want := image.Copied(state.Spec{Service: "web"}, pin, o)
		p := image.NewProvider(address(os.Getenv(registryVar)), image.ProviderOptions{Temp: t.TempDir(), Known: store.OpenKnown(t.TempDir())})
		_, err = p.Execute(t.Context(), plan.Action{ID: "create image", Op: plan.Create, Target: want.Address, Want: want}, apply.Env{})
		require.NoError(t, err)
		tellPeak(t)
		return
	}
	if testing.Short() {
		t.Skip("writes 600 MB")
	}
	for name, size := range map[string][2]int{"one layer of 300 MiB": {1, 300}, "60 layers of 5 MiB": {60, 5}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			archiveOf(t, dir, size[0], size[1])
			registry, received := void(t)
			needsLittle(t, contextVar+"="+dir, registryVar+"="+registry)
			require.Greater(t, received.Load()>>20, int64(100), "half of it compresses")
			require.Less(t, received.Load()>>20, int64(200), "each layer is sent once")
		})
	}
}
