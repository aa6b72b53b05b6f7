package runner

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sandboxVar makes this test binary a sandbox that is to be killed.
const sandboxVar = "APRON_TEST_SANDBOX"

// beSandbox runs one, where there are engines without a daemon.
var beSandbox func(engine string)

func TestMain(m *testing.M) {
	Init()
	if beSandbox != nil && os.Getenv(sandboxVar) != "" {
		beSandbox(os.Getenv(sandboxVar))
	}
	os.Exit(m.Run())
}

// open returns an engine, or skips the test and says why; if engines are required a
// skip is a failure.
func open(t *testing.T, name string) Engine {
	t.Helper()
	e, err := Detect(t.Context(), Options{Dir: t.TempDir(), Prefer: name, Label: t.Name()})
	if err != nil && os.Getenv("APRON_TEST_ENGINES") == "required" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, e.Close(ctx))
	})
	require.Equal(t, name, e.Name())
	return e
}

func TestDocker_conforms(t *testing.T) { testCLI(t, "docker") }
func TestPodman_conforms(t *testing.T) { testCLI(t, "podman") }

func testCLI(t *testing.T, name string) {
	e := open(t, name)
	c := e.(*cli)
	t.Log(e.Describe())
	t.Cleanup(func() { // runs before Close
		ids, err := c.run(context.Background(), "container", "ls", "-aq", "--filter", "label="+labelKey+"="+c.label)
		require.NoError(t, err)
		require.Empty(t, ids, "every instance was stopped")
	})
	t.Run("claims", func(t *testing.T) { runConformance(t, e, traits{limits: c.limits, isolated: true}) })
}

func TestCLI_closeRemovesEverything(t *testing.T) {
	for _, name := range []string{"docker", "podman"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, name)
			e, err := Detect(t.Context(), Options{Dir: dir, Prefer: name, Label: t.Name()})
			require.NoError(t, err)
			c := e.(*cli)
			start(t, e, Spec{ID: "x", Image: appImage(t), Env: []string{"MODE=ignores-term"}})
			require.NoError(t, e.Close(t.Context()))
			for _, what := range []string{"container", "image"} {
				args := []string{what, "ls", "-aq", "--filter", "label=" + labelKey + "=" + c.label}
				if what == "image" {
					args[4] = "reference=" + c.repo
				}
				out, err := c.run(t.Context(), args...)
				require.NoError(t, err)
				require.Empty(t, out)
			}
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
			_, err = e.Start(t.Context(), Spec{ID: "y", Image: appImage(t), Port: 8000})
			require.ErrorIs(t, err, errClosed)
		})
	}
}

func TestCLI_aLaterSandboxRemovesWhatACrashedOneLeft(t *testing.T) {
	for _, name := range []string{"docker", "podman"} {
		t.Run(name, func(t *testing.T) {
			e := open(t, name)
			i := start(t, e, Spec{ID: "left", Image: appImage(t)})
			i.get(t, "/")
			open(t, name) // the same label
			require.NotZero(t, i.wait(t).Code)
		})
	}
}

// fakeCLI puts a docker or podman into PATH that records how it was called.
func fakeCLI(t *testing.T, name, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/"+name, []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestDetect_saysWhyAPreferredEngineIsNotUsable(t *testing.T) {
	for name, tc := range map[string]struct{ script, host, want string }{
		"remote": {
			script: `case $1 in context) echo ssh://me@far.example:22;; *) echo Docker version 28;; esac`,
			want:   `docker is on another machine (ssh://far.example): the ports that it publishes cannot be reached here`,
		},
		"no daemon": {
			script: `case $1 in context) echo unix:///none;; version) echo "Cannot connect to the Docker daemon" >&2; exit 1;; *) echo Docker version 28;; esac`,
			want:   `Cannot connect to the Docker daemon`,
		},
		"podman's docker": {script: `echo podman version 5.0.0`, want: `the docker command here is podman's`},
		"windows": {
			script: `case $1 in context) echo unix:///none;; version) echo "28 windows amd64";; *) echo Docker version 28;; esac`,
			want:   `the daemon runs windows containers`,
		},
		"unusable": {
			script: `case $1 in context) echo unix:///none;; info) hostname;; version) echo "28 linux amd64";; --version) echo Docker version 28;;
run) echo "docker: Error response from daemon: no space left on device." >&2; exit 125;; load) cat >/dev/null;; esac`,
			want: `it answers but cannot run a container: no space left on device`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fakeCLI(t, "docker", tc.script)
			_, err := Detect(t.Context(), Options{Dir: t.TempDir(), Prefer: "docker", Label: t.Name()})
			require.ErrorContains(t, err, "engine docker: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestDetect_refusesAnUnknownEngine(t *testing.T) {
	_, err := Detect(t.Context(), Options{Dir: t.TempDir(), Prefer: "lxc"})
	require.ErrorContains(t, err, `engine "lxc": unknown`)
}

func TestCreate_showsNoValueOnACommandLine(t *testing.T) {
	log := t.TempDir() + "/log"
	fakeCLI(t, "docker", `echo "$@" >>`+log+`
for a; do case $a in */env-*) cat "$a" >>`+log+`.file; stat -c %a "$a" >>`+log+`.mode;; esac; done
printenv TOKEN >>`+log+`.env
case $1 in run) echo docker: no; exit 125;; container) exit 1;; esac
[ "$1" = load ] && cat >/dev/null; true`)
	path, err := exec.LookPath("docker")
	require.NoError(t, err)
	c := newCLI("docker", path, Options{Dir: t.TempDir(), Label: "x"})
	_, err = c.Start(t.Context(), Spec{ID: "1", Ref: "web:1", Image: appImage(t), Port: 1, Env: []string{
		"TOKEN=s3cret\nsecond line", "DOCKER_PASSWORD=hush",
	}})
	require.EqualError(t, err, "docker: start web:1: no")
	args, err := os.ReadFile(log)
	require.NoError(t, err)
	for _, secret := range []string{"s3cret", "second", "hush"} {
		require.NotContains(t, string(args), secret)
	}
	env, err := os.ReadFile(log + ".env")
	require.NoError(t, err)
	require.Equal(t, "s3cret\nsecond line\n", string(env))
	file, err := os.ReadFile(log + ".file")
	require.NoError(t, err)
	require.Equal(t, "DOCKER_PASSWORD=hush\n", string(file))
	mode, err := os.ReadFile(log + ".mode")
	require.NoError(t, err)
	require.Equal(t, "600\n", string(mode))
	left, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Empty(t, left, "the env file is gone")
}

func TestEnviron_refusesWhatCannotBePassed(t *testing.T) {
	for name, kv := range map[string]string{
		"no equals sign": "secret", "no name": "=secret", "a star, which podman expands": "A*=secret", "a comment": "#A=secret",
		"a zero byte": "A=secret\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newEnviron([]string{kv})
			require.ErrorContains(t, err, "environment variable")
			require.NotContains(t, strings.ReplaceAll(err.Error(), "A*", ""), "secret")
		})
	}
	e, err := newEnviron([]string{"GODEBUG=secret\nline"})
	require.NoError(t, err)
	_, _, err = e.forCLI()
	require.ErrorContains(t, err, `"GODEBUG"`)
	require.NotContains(t, err.Error(), "secret")
}
