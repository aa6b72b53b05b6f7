package runner

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// buildApp compiles testdata/app once.
var buildApp = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "app"), "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(filepath.Join(dir, "app"))
})

func appFile(t *testing.T) tarEntry {
	t.Helper()
	b, err := buildApp()
	require.NoError(t, err)
	return tarEntry{Header: tar.Header{Name: "app", Mode: 0o755}, body: string(b)}
}

// tester is a test or a property.
type tester interface {
	require.TestingT
	Helper()
}

type tarEntry struct {
	tar.Header
	body string
}

func file(name, body string) tarEntry {
	return tarEntry{Header: tar.Header{Name: name, Mode: 0o644}, body: body}
}

func link(name, target string) tarEntry {
	return tarEntry{Header: tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink, Mode: 0o777}}
}

func hardlink(name, target string) tarEntry {
	return tarEntry{Header: tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeLink, Mode: 0o644}}
}

func folder(name string, mode fs.FileMode) tarEntry {
	return tarEntry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: int64(mode)}}
}

func layer(t tester, entries ...tarEntry) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Size = int64(len(e.body))
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	require.NoError(t, err)
	return l
}

func image(t tester, arch string, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Config = "linux", arch, config
	img, err = mutate.ConfigFile(img, cfg)
	require.NoError(t, err)
	return img
}

var appConfig = v1.Config{Entrypoint: []string{"/app"}, Env: []string{"IMAGE=yes", "GREETING=under"}}

// appImage is FROM scratch with the app alone.
func appImage(t *testing.T) v1.Image {
	return image(t, runtime.GOARCH, appConfig, layer(t, appFile(t)))
}

// foreignImage has a program for another processor.
func foreignImage(t *testing.T) v1.Image {
	img, err := trialImage("linux/" + otherArch())
	require.NoError(t, err)
	require.NotNil(t, img)
	return img
}

// userImage runs as a user by name, in a folder that no layer has.
func userImage(t *testing.T) v1.Image {
	cfg := appConfig
	cfg.User, cfg.WorkingDir = "worker", "/work/dir"
	return image(t, runtime.GOARCH, cfg, layer(t, appFile(t), folder("etc", 0o755),
		file("etc/passwd", "root:x:0:0::/root:/bin/sh\nworker:x:1000:1001::/home/worker:/bin/sh\n"),
		file("etc/group", "root:x:0:\nworker:x:1001:\n")))
}

// treeImage has what layers can do to one another.
func treeImage(t *testing.T) v1.Image {
	return image(t, runtime.GOARCH, appConfig,
		layer(t, folder("usr", 0o755), folder("usr/bin", 0o755), link("bin", "usr/bin"), link("absolute", "/usr/bin"),
			folder("data", 0o777), file("data/gone", "x"), file("data/kept", "below"), file("data/changed", "below"),
			folder("opaque", 0o755), file("opaque/below", "x"), folder("removed", 0o755), file("removed/file", "x"),
			file("type", "a file"), file("first", "linked"), hardlink("second", "first"),
			link("dangling", "/no/such/thing")),
		layer(t, file("data/.wh.gone", ""), file("data/changed", "above"), file("opaque/above", "y"), file("opaque/.wh..wh..opq", ""),
			file(".wh.removed", ""), folder("type", 0o700), file("type/inside", "z"),
			file("usr/bin/tool", "x")),
		layer(t, appFile(t)),
	)
}

func checkTree(t *testing.T, i *instance) {
	t.Helper()
	type entry struct {
		Mode, Text, Target string
		Names              []string
	}
	stat := func(path string) (e entry) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(i.get(t, "/file"+path)), &e))
		return e
	}
	require.Equal(t, []string{"changed", "kept"}, stat("/data").Names)
	require.Equal(t, "above", stat("/data/changed").Text)
	require.Equal(t, []string{"above"}, stat("/opaque").Names)
	require.NotContains(t, stat("/").Names, "removed")
	require.Equal(t, entry{Mode: "drwx------", Names: []string{"inside"}}, stat("/type"))
	require.Equal(t, []string{"tool"}, stat("/usr/bin").Names)
	require.Equal(t, "usr/bin", stat("/bin").Target)
	require.Equal(t, "/usr/bin", stat("/absolute").Target)
	require.Equal(t, "linked", stat("/second").Text)
	require.Equal(t, "/no/such/thing", stat("/dangling").Target)
}

// imageOf is an image of nothing but these layers.
func imageOf(t tester, layers ...[]tarEntry) v1.Image {
	t.Helper()
	all := make([]v1.Layer, len(layers))
	for i, entries := range layers {
		all[i] = layer(t, entries...)
	}
	return image(t, runtime.GOARCH, appConfig, all...)
}
