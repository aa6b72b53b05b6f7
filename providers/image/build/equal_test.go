package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// builders are those that the images of testdata/equal must not depend on. Docker has
// one without the plugin, whatever its version brings, and one that BuildKit is kept from.
var builders = []string{"builtin", "docker", "docker legacy", "buildx", "podman", "buildah"}

// builder returns one of [builders], or skips the test.
func builder(t *testing.T, called string, r *build.Request) build.Builder {
	t.Helper()
	r.Name = "apron.local/test-" + strings.ReplaceAll(called, " ", "-") + ":latest"
	engineName, _, isLegacy := strings.Cut(called, " ")
	if engineName == "docker" {
		r.Environ = append(r.Environ, "DOCKER_CONFIG="+t.TempDir()) // which has no plugins
	}
	if isLegacy {
		r.Environ = append(r.Environ, "DOCKER_BUILDKIT=0")
	}
	b := engine(t, engineName, *r)
	if called != "builtin" {
		if strings.Contains(string(r.Context.Text), shellName) {
			loadShell(t, engineName)
		}
		return b
	}
	return build.Builtin{Pull: func(_ context.Context, ref string, _ v1.Platform) (v1.Image, error) {
		if ref != shellName {
			return nil, fmt.Errorf("no test pulls %s", ref)
		}
		return shellImage(), nil
	}}
}

// hasBuildKit reports whether docker's client brings BuildKit without the plugin, as those
// before version 23 do.
func hasBuildKit(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("docker", "version", "--format", "{{.Client.Version}}").Output()
	require.NoError(t, err)
	major, _, _ := strings.Cut(string(out), ".")
	n, err := strconv.Atoi(major)
	require.NoError(t, err)
	return n < 23
}

const shellName = "apron.local/test-shell:latest"

// shellImage is a base image whose /bin/sh knows enough for RUN. Nothing is pulled.
var shellImage = sync.OnceValue(func() v1.Image {
	dir, err := os.MkdirTemp("", "apron-shell-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "sh"), "./testdata/sh")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	shell, err := os.ReadFile(filepath.Join(dir, "sh"))
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []struct {
		name, text string
		mode       int64
	}{
		{"bin/", "", 0o755}, {"bin/sh", string(shell), 0o755}, {"dev/", "", 0o755},
		{"etc/", "", 0o755}, {"etc/group", "root:x:0:\napp:x:4242:\n", 0o644}, {"etc/hostname", "", 0o644}, {"etc/hosts", "", 0o644},
		{"etc/motd", "welcome", 0o600}, {"etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:4141:4242::/:/bin/sh\n", 0o644}, {"etc/resolv.conf", "", 0o644},
		{"proc/", "", 0o555}, {"run/", "", 0o755}, {"sys/", "", 0o555}, {"tmp/", "", 0o1777},
	} {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(h.name, "/") {
			kind = tar.TypeDir
		}
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: h.name, Typeflag: kind, Mode: h.mode, Size: int64(len(h.text))})); err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, h.text)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		panic(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		panic(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		panic(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{Env: []string{"PATH=/bin", "BASE=1"}, WorkingDir: "/tmp", Cmd: []string{"/bin/sh"}, Labels: map[string]string{"base": "1"}}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		panic(err)
	}
	return img
})

var loaded sync.Map // engine → why it cannot RUN, or nil

// loadShell makes the base image known to an engine, as if it had been pulled, and tries
// whether the engine can RUN anything: some are installed and not set up.
func loadShell(t *testing.T, engineName string) {
	t.Helper()
	why, ok := loaded.Load(engineName)
	if !ok {
		err := tryShell(t, engineName)
		loaded.Store(engineName, err)
		why = err
	}
	err, _ := why.(error)
	if os.Getenv("APRON_TEST_ENGINES") == "required" {
		require.NoError(t, err, "APRON_TEST_ENGINES=required")
	}
	if err != nil {
		t.Skip(err)
	}
}

func tryShell(t *testing.T, engineName string) error {
	dir := t.TempDir()
	file := filepath.Join(dir, "shell.tar")
	require.NoError(t, tarball.WriteToFile(file, name.MustParseReference(shellName), shellImage()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+shellName+"\nRUN echo made > /tmp/made\n"), 0o644))
	program := engineName
	if engineName == "buildx" {
		program = "docker"
	}
	load := []string{"load", "-i", file}
	if engineName == "buildah" {
		load = []string{"pull", "docker-archive:" + file}
	}
	for _, args := range [][]string{load, {"build", "-f", filepath.Join(dir, "Dockerfile"), dir}} {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "DOCKER_CONFIG=") // buildah insists on a config.json there
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", program, args[0], err, out)
		}
	}
	return nil
}

// seen is all that must be equal, in a form in which differences can be read.
type seen struct {
	Files  map[string]string // type, mode, uid and content
	Config map[string]any
}

func look(t *testing.T, img v1.Image) seen {
	t.Helper()
	valid(t, img)
	s := seen{Files: map[string]string{}}
	r := mutate.Extract(img)
	defer r.Close()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		sum := sha256.New()
		_, err = io.Copy(sum, archive)
		require.NoError(t, err)
		at := path.Clean("/" + h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			s.Files[at] = fmt.Sprintf("file %04o %d %s", h.Mode&0o7777, h.Uid, hex.EncodeToString(sum.Sum(nil))[:12])
		case tar.TypeDir:
			s.Files[at] = fmt.Sprintf("directory %04o %d", h.Mode&0o7777, h.Uid)
		default:
			s.Files[at] = fmt.Sprintf("%c %04o %d %s", h.Typeflag, h.Mode&0o7777, h.Uid, h.Linkname)
		}
	}
	delete(s.Files, "/")
	c, err := img.ConfigFile()
	require.NoError(t, err)
	dir := c.Config.WorkingDir
	if dir == "" {
		dir = "/"
	}
	labels := c.Config.Labels
	if len(labels) == 0 { // some write an empty one, some none
		labels = nil
	}
	list := func(words []string) []string { return append([]string(nil), words...) }
	s.Config = map[string]any{
		"User": c.Config.User, "Env": slices.Sorted(slices.Values(c.Config.Env)), "Entrypoint": list(c.Config.Entrypoint), "Cmd": list(c.Config.Cmd), "WorkingDir": dir,
		"ExposedPorts": slices.Sorted(maps.Keys(c.Config.ExposedPorts)), "Volumes": slices.Sorted(maps.Keys(c.Config.Volumes)),
		"StopSignal": c.Config.StopSignal, "Healthcheck": c.Config.Healthcheck, "Labels": labels, "OS": c.OS, "Architecture": c.Architecture,
		"Created": c.Created.UTC().String(),
	}
	return s
}

// example reads a Dockerfile with its context and its build from an archive.
func example(t *testing.T, file string) (map[string]string, state.Build) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
	}
	b := state.Build{Platform: "linux/amd64"}
	for line := range strings.Lines(string(a.Comment)) {
		key, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		k, v, _ := strings.Cut(text, "=")
		switch key {
		case "args":
			b.Args = map[string]string{k: v}
		case "labels":
			b.Labels = map[string]string{k: v}
		case "target":
			b.Target = text
		}
	}
	return files, b
}

// TestBuilders_giveEqualImages holds all builders against each other. The built-in one
// is left out where something must be run, and must then say so.
func TestBuilders_giveEqualImages(t *testing.T) {
	examples, err := filepath.Glob("testdata/equal/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, examples)
	for _, file := range examples {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			files, b := example(t, file)
			giveEqual(t, builders, files, b)
		})
	}
}

// TestBuilders_giveEqualImagesOfTheExample has the Dockerfile that people read first.
// Docker's legacy builder knows no COPY --chmod.
func TestBuilders_giveEqualImagesOfTheExample(t *testing.T) {
	text, err := os.ReadFile("../../../examples/consultation-app/Dockerfile")
	require.NoError(t, err)
	able := slices.DeleteFunc(slices.Clone(builders), func(called string) bool {
		return called == "docker legacy" || called == "docker" && exec.Command("docker", "version").Run() == nil && !hasBuildKit(t)
	})
	giveEqual(t, able, map[string]string{"Dockerfile": string(text), "app": "made by the hook"},
		state.Build{Platform: "linux/amd64", Args: map[string]string{"NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": "pk_test_1"}, Labels: map[string]string{"team": "ai"}})
}

func giveEqual(t *testing.T, builders []string, files map[string]string, b state.Build) {
	runs := strings.Contains(files["Dockerfile"], "\nRUN ")
	var first seen
	var held string
	for _, called := range builders {
		t.Run(called, func(t *testing.T) {
			r := request(t, checkout(t, files), b)
			if called == "builtin" && runs {
				var unsupported *build.UnsupportedError
				require.ErrorAs(t, build.Builtin{}.Check(r), &unsupported)
				require.Contains(t, unsupported.Error(), fmt.Sprintf("Dockerfile:%d: RUN needs", 1+strings.Count(files["Dockerfile"][:strings.Index(files["Dockerfile"], "\nRUN ")+1], "\n")))
				return
			}
			var lines []string
			r.Line = func(_, line string) { lines = append(lines, line) }
			img, err := builder(t, called, &r).Build(t.Context(), r)
			require.NoError(t, err, strings.Join(lines, "\n"))
			got := look(t, img)
			if held == "" {
				first, held = got, called
			}
			require.Equal(t, first, got, "compared with %s\n%s", held, strings.Join(lines, "\n"))
		})
	}
}

// TestBuilders_rebuildBitForBit builds twice, without caches and from files of another
// age. With a SOURCE_DATE_EPOCH even what a step writes has the same time.
func TestBuilders_rebuildBitForBit(t *testing.T) {
	for _, called := range []string{"builtin", "docker", "buildx", "buildah"} { // podman is buildah
		t.Run(called, func(t *testing.T) {
			file := "testdata/equal/run.txtar"
			if called == "builtin" {
				file = "testdata/equal/files.txtar"
			}
			files, b := example(t, file)
			b.Args = map[string]string{"KEY": "k1", "SOURCE_DATE_EPOCH": "1700000000"}
			dir := checkout(t, files)
			var digests []string
			for _, age := range []time.Duration{0, time.Hour} {
				require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
					if err != nil || d.Type()&os.ModeSymlink != 0 {
						return err
					}
					return os.Chtimes(path, time.Time{}, time.Unix(1800000000, 0).Add(age))
				}))
				r := request(t, dir, b)
				r.NoCache = true
				img, err := builder(t, called, &r).Build(t.Context(), r)
				require.NoError(t, err)
				valid(t, img)
				config, err := img.ConfigFile()
				require.NoError(t, err)
				require.Equal(t, int64(1700000000), config.Created.Unix())
				digest, err := img.Digest()
				require.NoError(t, err)
				digests = append(digests, digest.String())
			}
			require.Equal(t, digests[0], digests[1])
		})
	}
}

// TestBuilders_giveSecretsToTheBuildAlone looks for them where they must not be.
func TestBuilders_giveSecretsToTheBuildAlone(t *testing.T) {
	const value, text = "correct horse, \"battery\" = staple", "file's own, text"
	for _, called := range builders {
		t.Run(called, func(t *testing.T) {
			dir := checkout(t, map[string]string{
				"app/Dockerfile": "FROM " + shellName + "\nRUN --mount=type=secret,id=npm,required=true sha256sum /run/secrets/npm > /npm\n" +
					"RUN --mount=type=secret,id=pip.conf,target=/etc/pip sha256sum /etc/pip > /pip\nCOPY . /all\n",
				"pip.conf": text,
			})
			b := state.Build{Context: "app", Secrets: map[string]state.BuildSecret{
				"npm": {Env: "NPM_TOKEN", Value: value, Set: true}, "pip.conf": {File: "../pip.conf"},
			}}
			r := request(t, dir, b)
			r.NoCache = true
			var output strings.Builder
			r.Line = func(_, line string) { output.WriteString(line + "\n") }
			if called == "builtin" {
				require.ErrorContains(t, build.Builtin{}.Check(r), "Dockerfile:2: RUN needs docker, podman or buildah")
				return
			}
			img, err := builder(t, called, &r).Build(t.Context(), r)
			if called == "docker legacy" || called == "docker" && !hasBuildKit(t) {
				var secret *build.SecretError
				require.ErrorAs(t, err, &secret)
				require.ErrorContains(t, err, "image.build.secrets.npm: docker's legacy builder knows no build secrets")
				return
			}
			require.NoError(t, err, output.String())
			got := look(t, img)
			for file, secret := range map[string]string{"/npm": value, "/pip": text} {
				sum := fmt.Sprintf("%x\n", sha256.Sum256([]byte(secret)))
				want := sha256.Sum256([]byte(sum))
				require.Equal(t, "file 0644 0 "+hex.EncodeToString(want[:])[:12], got.Files[file], "the step has read it")
			}
			raw, err := img.RawConfigFile()
			require.NoError(t, err)
			for _, secret := range []string{value, text} {
				require.NotContains(t, output.String(), secret)
				require.NotContains(t, string(raw), secret)
				r := mutate.Extract(img)
				all, err := io.ReadAll(r)
				require.NoError(t, err)
				require.NoError(t, r.Close())
				require.NotContains(t, string(all), secret)
			}
		})
	}
}
