package push_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
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
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

// void is a registry that has nothing and keeps nothing.
func void(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
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
	return server
}

// large writes an archive of layers that repeat a megabyte, half of which compresses.
func large(t *testing.T, layers, mib int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(file)
	require.NoError(t, err)
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	w := tar.NewWriter(out)
	add := func(name string, size int, write func(io.Writer) error) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(size)}))
		require.NoError(t, write(w))
	}
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	var names []string
	for i := range layers {
		block := make([]byte, 1<<20)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(block[:len(block)/2])
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		sum := sha256.New()
		add(names[i], mib<<20, func(w io.Writer) error {
			for range mib {
				if _, err := io.MultiWriter(w, sum).Write(block); err != nil {
					return err
				}
			}
			return nil
		})
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sum.Sum(nil))})
	}
	for name, v := range map[string]any{"config.json": config, "manifest.json": []map[string]any{{"Config": "config.json", "Layers": names}}} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		add(name, len(text), func(w io.Writer) error { _, err := io.Copy(w, bytes.NewReader(text)); return err })
	}
	require.NoError(t, w.Close())
	require.NoError(t, out.Flush())
	return file
}

// The process that is measured pushes this archive to that registry.
const fileVar, registryVar = "APRON_TEST_PUSH_FILE", "APRON_TEST_PUSH_REGISTRY"

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func TestPush_needsLittleMemoryAtAnySize(t *testing.T) {
	if file := os.Getenv(fileVar); file != "" {
		_, stats, err := push.Push(t.Context(), opened(t, file, store.OpenKnown(t.TempDir())),
			push.Destination{Endpoint: os.Getenv(registryVar), Repository: "web", Tag: "one"}, nil, quick())
		require.NoError(t, err)
		require.Positive(t, stats.Bytes)
		text, err := os.ReadFile("/proc/self/status") // getrusage counts the parent too, from before exec
		require.NoError(t, err)
		t.Log(peakLine.FindString(string(text)))
		return
	}
	if testing.Short() {
		t.Skip("writes 600 MB")
	}
	for name, size := range map[string][2]int{"one layer of 300 MiB": {1, 300}, "60 layers of 5 MiB": {60, 5}} {
		t.Run(name, func(t *testing.T) {
			file := large(t, size[0], size[1])
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
			cmd.Env = append(os.Environ(), fileVar+"="+file, registryVar+"="+void(t).URL)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			found := peakLine.FindSubmatch(out)
			require.NotNil(t, found, string(out))
			peak, err := strconv.ParseInt(string(found[1]), 10, 64)
			require.NoError(t, err)
			t.Logf("peak memory %d MiB", peak>>10)
			require.LessOrEqual(t, peak>>10, allowed)
		})
	}
}
