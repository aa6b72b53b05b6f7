package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

var update = flag.Bool("update", false, "rewrite golden files")

// checkout writes files into a new directory. A name that ends in * is executable, and
// a text that starts with -> is a symlink.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(name, "*")))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if to, ok := strings.CutPrefix(text, "->"); ok {
			require.NoError(t, os.Symlink(to, at))
			continue
		}
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
		if strings.HasSuffix(name, "*") {
			require.NoError(t, os.Chmod(at, 0o755))
		}
	}
	return dir
}

func request(t *testing.T, dir string, b state.Build) build.Request {
	t.Helper()
	c, err := source.Open(dir, b, source.Options{})
	require.NoError(t, err)
	return build.Request{Context: c, Build: b, Spool: t.TempDir(), Name: "apron.local/test:latest", Environ: build.Environ(nil)}
}

// base is an image with the things that matter to what is built on it.
func base(t *testing.T) v1.Image {
	t.Helper()
	layer := func(entries ...tar.Header) v1.Layer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			data := h.Linkname
			if h.Typeflag == tar.TypeReg {
				h.Size, h.Linkname = int64(len(data)), ""
			}
			require.NoError(t, w.WriteHeader(&h))
			if h.Typeflag == tar.TypeReg {
				_, _ = io.WriteString(w, data)
			}
		}
		require.NoError(t, w.Close())
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
		require.NoError(t, err)
		return l
	}
	img, err := mutate.AppendLayers(empty.Image,
		layer(
			tar.Header{Name: "usr/bin/", Typeflag: tar.TypeDir, Mode: 0o755},
			tar.Header{Name: "bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"},
			tar.Header{Name: "usr/bin/tool", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 7, Gid: 8, Linkname: "tool"},
			tar.Header{Name: "usr/bin/alias", Typeflag: tar.TypeLink, Linkname: "usr/bin/tool"},
			tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "root:x:0:0\napp:x:1000:1001::/:/bin/sh\n"},
			tar.Header{Name: "etc/group", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "root:x:0:\nweb:x:33:\n"},
			tar.Header{Name: "old/gone", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "x"},
			tar.Header{Name: "old/kept", Typeflag: tar.TypeReg, Mode: 0o644, Linkname: "y"},
		),
		layer(
			tar.Header{Name: "old/.wh.gone", Typeflag: tar.TypeReg},
		))
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{Env: []string{"PATH=/bin", "LANG=C"}, Cmd: []string{"/bin/tool"}, WorkingDir: "/srv", Labels: map[string]string{"base": "yes"}}
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

func builtin(t *testing.T) build.Builtin {
	return build.Builtin{Pull: func(_ context.Context, ref string, _ v1.Platform) (v1.Image, error) {
		if !strings.HasPrefix(ref, "base") {
			return nil, fmt.Errorf("there is no %s", ref)
		}
		return base(t), nil
	}}
}

// describe lists the layers and the configuration of an image, for people.
func describe(t *testing.T, img v1.Image) string {
	t.Helper()
	var out strings.Builder
	layers, err := img.Layers()
	require.NoError(t, err)
	for i, l := range layers {
		fmt.Fprintf(&out, "layer %d\n", i)
		r, err := l.Uncompressed()
		require.NoError(t, err)
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			data, err := io.ReadAll(tr)
			require.NoError(t, err)
			text := strings.TrimSpace(string(data))
			if h.Linkname != "" {
				text = "-> " + h.Linkname
			}
			fmt.Fprintf(&out, "  %c %04o %d:%d /%-20s %s\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name, strings.ReplaceAll(text, "\n", "|"))
		}
		require.NoError(t, r.Close())
	}
	c, err := img.ConfigFile()
	require.NoError(t, err)
	show := func(name string, value any) {
		if text := fmt.Sprint(value); text != "[]" && text != "map[]" && text != "" {
			fmt.Fprintf(&out, "%s %s\n", name, text)
		}
	}
	show("platform", c.OS+"/"+c.Architecture)
	show("created", c.Created.Unix())
	show("author", c.Author)
	show("env", c.Config.Env)
	show("entrypoint", fmt.Sprintf("%q", c.Config.Entrypoint))
	show("cmd", fmt.Sprintf("%q", c.Config.Cmd))
	show("workdir", c.Config.WorkingDir)
	show("user", c.Config.User)
	show("ports", c.Config.ExposedPorts)
	show("volumes", c.Config.Volumes)
	show("labels", c.Config.Labels)
	show("stop", c.Config.StopSignal)
	if h := c.Config.Healthcheck; h != nil {
		show("health", fmt.Sprintf("%q every %s", h.Test, h.Interval))
	}
	for _, h := range c.History {
		show("history", fmt.Sprintf("%q %t", h.CreatedBy, h.EmptyLayer))
	}
	return out.String()
}

// TestBuiltin_builds holds each Dockerfile of testdata against what it makes. The
// archive's comment gives build arguments, one a line, and target=… for the target.
func TestBuiltin_builds(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			b := state.Build{Args: map[string]string{}}
			for line := range strings.Lines(string(archive.Comment)) {
				switch k, v, ok := strings.Cut(strings.TrimSpace(line), "="); {
				case k == "target":
					b.Target = v
				case ok:
					b.Args[k] = v
				}
			}
			files, golden := map[string]string{}, -1
			for i, f := range archive.Files {
				if f.Name == "want" {
					golden = i
					continue
				}
				text := string(f.Data)
				if strings.HasPrefix(text, "->") {
					text = strings.TrimSpace(text)
				}
				files[f.Name] = text
			}
			r := request(t, checkout(t, files), b)
			got := ""
			img, err := builtin(t).Build(t.Context(), r)
			if err != nil {
				got = "error: " + err.Error() + "\n"
			} else {
				require.NoError(t, validate.Image(img))
				got = describe(t, img)
			}
			if *update {
				if golden < 0 {
					archive.Files = append(archive.Files, txtar.File{Name: "want"})
					golden = len(archive.Files) - 1
				}
				archive.Files[golden].Data = []byte(got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
			}
			require.GreaterOrEqual(t, golden, 0, "no golden; run with -update")
			require.Equal(t, string(archive.Files[golden].Data), got)
		})
	}
}

func TestBuiltin_makesTheSameOfTheSame(t *testing.T) {
	files := map[string]string{
		"Dockerfile": "FROM scratch\nCOPY . /\nCMD [\"/app\"]\n",
		"app*":       "binary", "web/index.html": "<p>", "link": "->web",
	}
	var digests []string
	for i := range 3 {
		dir := checkout(t, files)
		if i == 2 { // what may differ between machines
			require.NoError(t, os.Chmod(filepath.Join(dir, "web/index.html"), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, "web"), 0o700))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o755))
		}
		img, err := builtin(t).Build(t.Context(), request(t, dir, state.Build{}))
		require.NoError(t, err)
		digest, err := img.Digest()
		require.NoError(t, err)
		digests = append(digests, digest.String())
	}
	require.Equal(t, []string{digests[0], digests[0], digests[0]}, digests)
}

func TestBuiltin_noticesAFileThatChangesWhileItIsRead(t *testing.T) {
	dir := checkout(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY grows other /\nCMD [\"/x\"]\n", "grows": "a", "other": "b"})
	r := request(t, dir, state.Build{})
	r.Line = func(_, line string) {
		if strings.HasPrefix(line, "CMD") {
			_ = os.WriteFile(filepath.Join(dir, "grows"), []byte("longer"), 0o644)
		}
	}
	_, err := builtin(t).Build(t.Context(), r)
	require.ErrorContains(t, err, "/grows")
}
