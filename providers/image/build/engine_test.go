package build_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// engine returns a real engine, or skips the test with the reason why there is none.
func engine(t *testing.T, name string, r build.Request) build.Builder {
	t.Helper()
	b, err := build.Choose(t.Context(), name, r)
	if err != nil && os.Getenv("APRON_TEST_ENGINES") == "required" {
		require.NoError(t, err, "APRON_TEST_ENGINES=required")
	}
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		remove := []string{"image", "rm", "-f", r.Name}
		program := name
		switch name {
		case "buildah":
			remove = []string{"rmi", "-f", r.Name}
		case "buildx":
			program = "docker"
		}
		_ = exec.Command(program, remove...).Run()
	})
	return b
}

// contents lists the files of an image as the last layers leave them, directories aside.
func contents(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	files := map[string]string{}
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		r, err := l.Uncompressed()
		require.NoError(t, err)
		for archive := tar.NewReader(r); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			text, err := io.ReadAll(archive)
			require.NoError(t, err)
			switch h.Typeflag {
			case tar.TypeReg:
				files[h.Name] = fmt.Sprintf("%04o %d:%d %s", h.Mode&0o7777, h.Uid, h.Gid, text)
			case tar.TypeSymlink:
				files[h.Name] = "-> " + h.Linkname
			}
		}
		require.NoError(t, r.Close())
	}
	return files
}

// valid checks an image as it arrives elsewhere.
func valid(t *testing.T, img v1.Image) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(file, name.MustParseReference("apron.local/x:latest"), img))
	read, err := tarball.ImageFromPath(file, nil)
	require.NoError(t, err)
	require.NoError(t, validate.Image(read))
}

// TestEngines_buildWhatTheBuiltinBuilds holds every engine, and the built-in builder,
// against the same list. No base image is pulled.
func TestEngines_buildWhatTheBuiltinBuilds(t *testing.T) {
	files := map[string]string{
		"app/run.sh*":   "exec app",
		"app/web/index": "<p>",
		"app/web/a.log": "ignored",
		"app/link":      "->web/index",
		"app/.env":      "KEY=secret",
		"app/.git/HEAD": "never", "app/a/b/.git/HEAD": "never",
		"app/.apron/state":  "never",
		"app/made":          "by the hook",
		"app/Containerfile": "not this one",
		"docker/Dockerfile": "FROM scratch AS other\nCOPY made /other\nFROM scratch AS final\nARG KEY\nARG OTHER=x\nLABEL key=$KEY\nENV OTHER=$OTHER\n" +
			"WORKDIR /srv\nCOPY --chown=7:8 web ./web\nCOPY . /\nEXPOSE 8000\nUSER 65532\nENTRYPOINT [\"/run.sh\"]\nCMD [\"serve\"]\nFROM other\n",
		"docker/Dockerfile.dockerignore": "**/*.log\n!.env\n!.git\nDockerfile\n",
		".git/HEAD":                      "",
	}
	b := state.Build{Context: "app", Dockerfile: "../docker/Dockerfile", Target: "final", Platform: "linux/amd64",
		Args: map[string]string{"KEY": "value with spaces"}, Labels: map[string]string{"team": "ai"}}
	for _, engineName := range []string{"builtin", "docker", "podman", "buildah"} {
		t.Run(engineName, func(t *testing.T) {
			dir := checkout(t, files)
			c, err := source.Open(dir, b, source.Options{Exclude: []string{"app/.env"}})
			require.NoError(t, err)
			var lines []string
			r := build.Request{Context: c, Build: b, Spool: t.TempDir(), Name: "apron.local/test-" + engineName + ":latest", Environ: build.Environ(nil),
				Line: func(_, line string) { lines = append(lines, line) }}
			builder := engine(t, engineName, r)
			require.Equal(t, engineName, builder.Name())
			img, err := builder.Build(t.Context(), r)
			require.NoError(t, err, strings.Join(lines, "\n"))
			valid(t, img)
			require.NotEmpty(t, lines)

			got := contents(t, img)
			require.Equal(t, map[string]string{
				"run.sh": "0755 0:0 exec app", "web/index": "0644 0:0 <p>", "link": "-> web/index", "made": "0644 0:0 by the hook",
				"Containerfile": "0644 0:0 not this one", "srv/web/index": "0644 7:8 <p>",
			}, got)
			config, err := img.ConfigFile()
			require.NoError(t, err)
			require.Equal(t, []string{"/run.sh"}, config.Config.Entrypoint)
			require.Equal(t, []string{"serve"}, config.Config.Cmd)
			require.Equal(t, "/srv", config.Config.WorkingDir)
			require.Equal(t, "65532", config.Config.User)
			require.Contains(t, config.Config.ExposedPorts, "8000/tcp")
			require.Contains(t, config.Config.Env, "OTHER=x")
			require.Equal(t, map[string]string{"key": "value with spaces", "team": "ai"}, config.Config.Labels)
		})
	}
}

func TestChoose_prefersADockerThatAnswers(t *testing.T) {
	for desc, tc := range map[string]struct{ client, help, dockerfile, want string }{
		"buildx":                              {"28.2.2", "--iidfile", "FROM scratch\n", "docker"},
		"BuildKit within":                     {"20.10.24", "", "FROM scratch\n", "docker"},
		"legacy, and the built-in one can":    {"28.2.2", "", "FROM scratch\n", "builtin"},
		"legacy, and the built-in one cannot": {"28.2.2", "", "FROM scratch\nRUN [\"/x\"]\n", "docker"},
	} {
		t.Run(desc, func(t *testing.T) {
			fakeDocker(t, tc.client, tc.help)
			r := request(t, checkout(t, map[string]string{"Dockerfile": tc.dockerfile}), state.Build{})
			for _, auto := range []string{"", "auto"} {
				b, err := build.Choose(t.Context(), auto, r)
				require.NoError(t, err)
				require.Equal(t, tc.want, b.Name())
			}
		})
	}
}

// fakeDocker puts a program called docker, and nothing else, into the PATH. It notes how it
// was called in the directory that fakeDocker returns.
func fakeDocker(t *testing.T, client, help string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	bin, notes := t.TempDir(), t.TempDir()
	img, err := build.Builtin{}.Build(t.Context(), request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\nCMD [\"/x\"]\n"}), state.Build{}))
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(filepath.Join(notes, "saved.tar"), name.MustParseReference("apron.local/x:latest"), img))
	for file, text := range inspected(t, img) {
		require.NoError(t, os.WriteFile(filepath.Join(notes, file), text, 0o600))
	}
	script := `#!/bin/sh
case "$1 $2" in
"image inspect") /bin/cat ` + notes + `/inspect; exit ;;
"version "*) echo "` + client + ` 20.10" ;;
"buildx build")
	test -n "` + help + `" || exit 1
	case "$*" in *--help*) echo "` + help + `"; exit ;; esac ;;
"buildx inspect") test -e ` + notes + `/driver && /bin/cat ` + notes + `/driver; exit ;;
"save "*) /bin/cat ` + notes + `/saved.tar; exit ;;
esac
case "$1 $2" in
"build "* | "buildx build")
	echo "$*" >` + notes + `/args
	/usr/bin/env >` + notes + `/env
	while test $# -gt 0; do
		case "$1" in
		--iidfile) echo sha256:1 >"$2" ;;
		--output) /bin/cat ` + notes + `/saved.tar >"${2#*dest=}" ;;
		-) /bin/cat >` + notes + `/context.tar ;;
		esac
		shift
	done ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o755))
	t.Setenv("PATH", bin)
	return notes
}

// inspected is what docker and podman say of an image, and what buildah does.
func inspected(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	id, err := img.ConfigName()
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	list, err := json.Marshal([]map[string]any{{"Id": id.String(), "RootFS": map[string]any{"Layers": config.RootFS.DiffIDs}}})
	require.NoError(t, err)
	one, err := json.Marshal(map[string]any{"FromImageID": id.Hex, "OCIv1": config})
	require.NoError(t, err)
	return map[string][]byte{"inspect": list, "inspect.buildah": one}
}

func TestDocker_isCalledAsItsVersionWants(t *testing.T) {
	for desc, tc := range map[string]struct {
		client, help string
		buildkit     string
		flags        []string
		stream       bool
	}{
		"buildx":                  {"28.2.2", "--iidfile --load --provenance --sbom", "1", []string{"--load", "--provenance=false", "--sbom=false"}, false},
		"an older buildx":         {"24.0.1", "--iidfile --load", "1", []string{"--load"}, false},
		"BuildKit within":         {"20.10.24+dfsg1", "", "1", nil, false},
		"the legacy builder only": {"28.2.2", "", "0", nil, true},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
			t.Setenv("CLERK_SECRET_KEY", "hidden")
			notes := fakeDocker(t, tc.client, tc.help)
			b := state.Build{Args: map[string]string{"KEY": "an-argument"}, Target: "final"}
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch AS final\n", "a": "1", ".env": "KEY=1"}), b)
			r.Environ = build.Environ([]string{"CLERK_SECRET_KEY"})
			builder, err := build.Choose(t.Context(), "docker", r)
			require.NoError(t, err)
			img, err := builder.Build(t.Context(), r)
			require.NoError(t, err)
			valid(t, img)
			require.Contains(t, contents(t, img), "Dockerfile")

			text, err := os.ReadFile(filepath.Join(notes, "args"))
			require.NoError(t, err)
			args := strings.Fields(string(text))
			require.Subset(t, args, append([]string{"--platform", "linux/amd64", "--target", "final", "--build-arg", "KEY", "-t", r.Name}, tc.flags...))
			require.NotContains(t, string(text), "an-argument", "others can read command lines")
			require.Equal(t, tc.stream, slices.Contains(args, "-"))
			env, err := os.ReadFile(filepath.Join(notes, "env"))
			require.NoError(t, err)
			require.Contains(t, string(env), "DOCKER_BUILDKIT="+tc.buildkit+"\n")
			require.Contains(t, string(env), "KEY=an-argument\n")
			require.NotContains(t, string(env), "hidden")
		})
	}
}

func TestDocker_takesNoArgumentsThatWouldChangeItself(t *testing.T) {
	fakeDocker(t, "28.2.2", "")
	for _, key := range []string{"PATH", "HOME", "DOCKER_HOST", "A=B", ""} {
		r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{Args: map[string]string{key: "x"}})
		builder, err := build.Choose(t.Context(), "docker", r)
		require.NoError(t, err)
		_, err = builder.Build(t.Context(), r)
		require.ErrorContains(t, err, "would change docker itself")
	}
}

// TestDocker_endsWithItsContext has a docker that never comes to an end, while its
// context still goes through the pipe.
func TestDocker_endsWithItsContext(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte(`#!/bin/sh
case "$1" in
version) echo "28.2.2 28.2.2" ;;
build) echo ready; exec /bin/sleep 60 ;;
*) exit 1 ;;
esac
`), 0o755))
	t.Setenv("PATH", bin)
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n", "large": strings.Repeat("x", 1<<20)}), state.Build{})
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	r.Line = func(_, line string) {
		if line == "ready" {
			cancel(why)
		}
	}
	builder, err := build.Choose(t.Context(), "docker", r)
	require.NoError(t, err)
	start := time.Now()
	_, err = builder.Build(ctx, r)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(start), 30*time.Second)
}
