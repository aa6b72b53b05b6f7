package build_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// called builds with the docker that [fakeDocker] made and returns how it was called.
func called(t *testing.T, notes, builder string, r build.Request) (args []string, env string) {
	t.Helper()
	b, err := build.Choose(t.Context(), builder, r)
	require.NoError(t, err)
	_, err = b.Build(t.Context(), r)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(notes, "args"))
	require.NoError(t, err)
	all, err := os.ReadFile(filepath.Join(notes, "env"))
	require.NoError(t, err)
	return strings.Fields(string(text)), string(all)
}

const pluginHelp = "--iidfile --load --provenance --sbom"

func TestDocker_cachesWhereItsVersionCan(t *testing.T) {
	all := &state.Cache{From: []string{"gha", "registry:r.example/app:cache", "local:.apron/cache"}, To: []string{"gha:main", "registry:r.example/app:cache", "local:/var/cache/x"}}
	for desc, tc := range map[string]struct {
		client, help string
		want, told   []string // local caches are relative to CONTEXT
	}{
		"buildx": {"28.2.2", pluginHelp, []string{
			"--cache-from type=gha", "--cache-from type=registry,ref=r.example/app:cache", "--cache-from type=local,src=CONTEXT/.apron/cache",
			"--cache-to type=gha,scope=main,mode=max", "--cache-to type=registry,ref=r.example/app:cache,mode=max", "--cache-to type=local,dest=/var/cache/x,mode=max",
		}, nil},
		"BuildKit within": {"20.10.24", "", []string{"--cache-from r.example/app:cache"}, []string{
			`image.build.cache.from: docker without buildx does not know "gha" and builds without it`,
			`image.build.cache.from: docker without buildx does not know "local:.apron/cache" and builds without it`,
			`image.build.cache.to: docker without buildx does not know "gha:main" and builds without it`,
			`image.build.cache.to: docker without buildx does not know "registry:r.example/app:cache" and builds without it`,
			`image.build.cache.to: docker without buildx does not know "local:/var/cache/x" and builds without it`,
		}},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Setenv("ACTIONS_RUNTIME_TOKEN", "for-the-cache")
			t.Setenv("ACTIONS_RESULTS_URL", "https://results.example/")
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "for-nobody")
			notes := fakeDocker(t, tc.client, tc.help)
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{Cache: all})
			var told []string
			r.Line = func(_, line string) { told = append(told, line) }
			args, env := called(t, notes, "docker", r)
			for i, w := range tc.want {
				tc.want[i] = strings.ReplaceAll(w, "CONTEXT", r.Context.Dir)
			}
			var got []string
			for i, a := range args {
				if strings.HasPrefix(a, "--cache-") {
					got = append(got, a+" "+args[i+1])
				}
			}
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.told, told)
			require.Equal(t, tc.help != "", strings.Contains(env, "ACTIONS_RUNTIME_TOKEN=for-the-cache\n"), "only buildx can use it")
			require.NotContains(t, env, "for-nobody")

			for _, lacks := range []string{"ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN"} {
				t.Setenv(lacks, "")
				told = nil
				args, _ = called(t, notes, "docker", r)
				require.NotContains(t, strings.Join(args, " "), "type=gha", "buildx would drop it silently")
				if tc.help != "" {
					require.Len(t, told, 2)
					require.Contains(t, told[0], "image.build.cache.from: gha needs "+lacks)
					require.Contains(t, told[1], "image.build.cache.to: gha needs "+lacks)
				}
			}

			r.NoCache = true
			args, _ = called(t, notes, "docker", r)
			require.Contains(t, args, "--no-cache")
			require.NotContains(t, strings.Join(args, " "), "--cache-")
		})
	}
}

func TestDocker_getsSecretsThroughItsEnvironment(t *testing.T) {
	notes := fakeDocker(t, "28.2.2", pluginHelp)
	t.Setenv("SOURCE_DATE_EPOCH", "5") // of whoever calls apron, and no input of the image
	dir := checkout(t, map[string]string{"app/Dockerfile": "FROM scratch\n", "npmrc": "hidden-too"})
	b := state.Build{Context: "app", Args: map[string]string{"KEY": "value-1"}, Labels: map[string]string{"note": "value-2"}, Secrets: map[string]state.BuildSecret{
		"token": {Env: "TOKEN", Value: "hidden", Set: true}, "npmrc": {File: "../npmrc"},
	}}
	r := request(t, dir, b)
	args, env := called(t, notes, "docker", r)
	line := strings.Join(args, " ")
	require.Contains(t, line, "--secret id=npmrc,src="+filepath.Join(filepath.Dir(r.Context.Dir), "npmrc")+" --secret id=token,env=APRON_SECRET_1")
	require.Contains(t, env, "APRON_SECRET_1=hidden\n")
	for _, never := range []string{"hidden", "value-1", "value-2"} {
		require.NotContains(t, line, never)
	}
	require.NotContains(t, env, "SOURCE_DATE_EPOCH")
}

func TestSecrets_mustBeThere(t *testing.T) {
	fakeDocker(t, "28.2.2", pluginHelp)
	for desc, tc := range map[string]struct {
		secret    state.BuildSecret
		why, hint string
	}{
		"a variable without a value": {state.BuildSecret{Env: "NPM_TOKEN"}, "NPM_TOKEN is not set", "a file .env beside the manifest"},
		"no file":                    {state.BuildSecret{File: "npmrc"}, "there is no file npmrc", "relative to the build context"},
		"a directory":                {state.BuildSecret{File: "."}, ". is not a file", ""},
		"a path with a comma":        {state.BuildSecret{File: "a,b"}, "has a comma or a quote", "move it"},
	} {
		t.Run(desc, func(t *testing.T) {
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n", "a,b": ""}), state.Build{Secrets: map[string]state.BuildSecret{"npm": tc.secret}})
			b, err := build.Choose(t.Context(), "docker", r)
			require.NoError(t, err)
			_, err = b.Build(t.Context(), r)
			var secret *build.SecretError
			require.ErrorAs(t, err, &secret)
			require.ErrorContains(t, err, "image.build.secrets.npm: ")
			require.ErrorContains(t, err, tc.why)
			require.ErrorContains(t, err, "nothing was built")
			require.Contains(t, secret.Hint(), tc.hint)
		})
	}
}

// TestBuildx_usesRemoteInstances has a client and no daemon beside it.
func TestBuildx_usesRemoteInstances(t *testing.T) {
	notes := fakeDocker(t, "", pluginHelp)
	require.NoError(t, os.WriteFile(filepath.Join(notes, "driver"), []byte("Name:   remote\nDriver: remote\n"), 0o600))
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{Builder: "buildx:remote"})
	args, _ := called(t, notes, "auto", r)
	line := strings.Join(args, " ")
	require.True(t, strings.HasPrefix(line, "buildx build --provenance=false --sbom=false --output type=docker,dest="+r.Spool), line)
	require.Contains(t, line, "--builder remote ")
	require.NotContains(t, line, "--load")
}

func TestChoose_takesTheManifestsBuilderUnlessToldOtherwise(t *testing.T) {
	fakeDocker(t, "28.2.2", "")
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{Builder: "builtin"})
	for asked, want := range map[string]string{"": "builtin", "auto": "builtin", "docker": "docker"} {
		b, err := build.Choose(t.Context(), asked, r)
		require.NoError(t, err)
		require.Equal(t, want, b.Name())
	}
	_, err := build.Choose(t.Context(), "buildx", r)
	require.ErrorContains(t, err, "builder buildx cannot be used: docker has no buildx plugin")
	for _, wrong := range []string{"kaniko", "buildx:", "buildx:-x", "docker:x"} {
		_, err := build.Choose(t.Context(), wrong, r)
		require.ErrorContains(t, err, "is none of auto, docker, buildx, podman, buildah, builtin, buildx:INSTANCE")
	}
}

// TestChoose_avoidsTheLegacyBuilderForSecrets has nothing else that could build.
func TestChoose_avoidsTheLegacyBuilderForSecrets(t *testing.T) {
	fakeDocker(t, "28.2.2", "")
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\nRUN --mount=type=secret,id=npm x\n"}),
		state.Build{Secrets: map[string]state.BuildSecret{"npm": {Env: "TOKEN", Value: "x", Set: true}}})
	_, err := build.Choose(t.Context(), "", r)
	var none *build.NoBuilderError
	require.ErrorAs(t, err, &none)
	require.ErrorContains(t, err, "Dockerfile:2: RUN needs docker, podman or buildah")
	require.ErrorContains(t, err, "docker's legacy builder knows no build secrets")
	require.ErrorContains(t, err, "podman is not installed")
}

func TestDocker_followsDOCKER_BUILDKIT(t *testing.T) {
	notes := fakeDocker(t, "28.2.2", pluginHelp)
	r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{})
	r.Environ = append(r.Environ, "DOCKER_BUILDKIT=0")
	args, env := called(t, notes, "docker", r)
	require.Equal(t, "-", args[len(args)-1], "the legacy builder reads an archive")
	require.NotContains(t, strings.Join(args, " "), "--provenance")
	require.Contains(t, env, "DOCKER_BUILDKIT=0\n")
}

// TestOthers_cacheInARepository puts a podman into the PATH that notes what it is told.
// Podman and buildah refuse a tag: they tag each layer of a cache themselves.
func TestOthers_cacheInARepository(t *testing.T) {
	for engineName, want := range map[string]string{
		"podman":  "--cache-from r.example:5000/app --cache-to r.example/cache/app -f ",
		"buildah": "--cache-from r.example:5000/app --cache-to r.example/cache/app -f ",
	} {
		t.Run(engineName, func(t *testing.T) {
			fake, notes := fakeDocker(t, "", ""), t.TempDir()
			saved := filepath.Join(fake, "saved.tar")
			require.NoError(t, os.WriteFile(filepath.Join(notes, engineName), []byte(`#!/bin/sh
case "$*" in
"ps --quiet"|"containers --quiet") exit ;;
"build --help") echo "--identity-label --cache-to"; exit ;;
"image inspect"*) /bin/cat `+fake+`/inspect; exit ;;
inspect*) /bin/cat `+fake+`/inspect.buildah; exit ;;
build*) echo "$*" >`+notes+`/args ;;
save*) /bin/cat `+saved+` ;;
push*) /bin/cat `+saved+` ;;
esac
while test $# -gt 0; do
	case "$1" in
	--iidfile) echo sha256:1 >"$2" ;;
	esac
	shift
done
`), 0o755))
			t.Setenv("PATH", notes)
			r := request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}), state.Build{
				Cache: &state.Cache{From: []string{"gha", "registry:r.example:5000/app:cache"}, To: []string{"registry:r.example/cache/app"}},
			})
			var told []string
			r.Line = func(_, line string) { told = append(told, line) }
			b, err := build.Choose(t.Context(), engineName, r)
			require.NoError(t, err)
			_, err = b.Build(t.Context(), r)
			require.NoError(t, err)
			args, err := os.ReadFile(filepath.Join(notes, "args"))
			require.NoError(t, err)
			require.Contains(t, string(args), "--identity-label=false")
			require.Equal(t, engineName == "buildah", strings.Contains(string(args), " --layers "), "podman does so by itself")
			require.Contains(t, strings.ReplaceAll(string(args), "--ignorefile", "-f"), want)
			require.Equal(t, []string{`image.build.cache.from: ` + engineName + ` does not know "gha" and builds without it`}, told)
		})
	}
}
