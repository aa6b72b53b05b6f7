package image_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// shop is a registry in memory that takes the newest password it has given out.
type shop struct {
	*httptest.Server
	mu     sync.Mutex
	writes int            // requests that are not reads
	puts   map[string]int // PUT requests, of "blobs" and of "manifests"
	given  int            // passwords
	valid  int            // the oldest password that is still taken
	fail   error
}

func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{valid: 1, puts: map[string]int{}}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pass, _ := r.BasicAuth()
		s.mu.Lock()
		refused := len(pass) < s.valid
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.writes++
		}
		if kind := strings.Split(r.URL.Path, "/"); r.Method == http.MethodPut && len(kind) > 3 {
			s.puts[kind[3]]++
		}
		s.mu.Unlock()
		if refused && strings.HasPrefix(r.UserAgent(), "Go-http-client") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// put returns how many blobs and manifests were put since the last time.
func (s *shop) put() (blobs, manifests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	blobs, manifests = s.puts["blobs"], s.puts["manifests"]
	clear(s.puts)
	return blobs, manifests
}

// Registry gives "*", "**" and so on as passwords.
func (s *shop) Registry(context.Context) (endpoint, username, password string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given++
	return s.URL, "AWS", strings.Repeat("*", s.given), s.fail
}

func (s *shop) has(t *testing.T, digest string) v1.Image {
	t.Helper()
	ref, err := name.NewDigest(strings.TrimPrefix(s.URL, "http://") + "/web@" + digest)
	require.NoError(t, err)
	img, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithUserAgent("other"))
	require.NoError(t, err)
	return img
}

// content reads a file of an image's last layer.
func content(t *testing.T, img v1.Image, path string) string {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	r, err := layers[len(layers)-1].Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		require.NoError(t, err, "there is no %s", path)
		if h.Name == path {
			text, err := io.ReadAll(archive)
			require.NoError(t, err)
			return string(text)
		}
	}
}

// job is a create of an image, with what was reported of it.
type job struct {
	shop   *shop
	root   string
	b      state.Build
	detail func(*image.Detail)
	o      image.ProviderOptions
	on     func(apply.Progress)

	mu     sync.Mutex
	phases []string
	lines  []string
	layers []apply.Layer
	last   apply.Progress // of a phase
}

func newJob(t *testing.T, files map[string]string, before *state.Before) *job {
	t.Helper()
	j := &job{shop: open(t), root: t.TempDir(), b: state.Build{Before: before}}
	j.o = image.ProviderOptions{Builder: "builtin", Temp: t.TempDir(), Push: push.Options{Backoff: time.Microsecond}}
	write(t, j.root, files)
	return j
}

// plan is the action that a plan would hold.
func (j *job) plan(t *testing.T) plan.Action {
	t.Helper()
	id, err := image.Identify(t.Context(), j.root, j.b, image.Options{})
	require.NoError(t, err)
	want := image.Desired(state.Spec{Service: "web", Dir: j.root, Image: state.Image{Build: &j.b}}, id)
	if j.detail != nil {
		d := want.Detail.(image.Detail)
		j.detail(&d)
		want.Detail = d
	}
	return plan.Action{ID: "create image", Op: plan.Create, Target: want.Address, Want: want}
}

func (j *job) run(t *testing.T, ctx context.Context, a plan.Action) (state.Outcome, error) {
	t.Helper()
	out, err := image.NewProvider(j.shop, j.o).Execute(ctx, a, apply.Env{Progress: func(p apply.Progress) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if p.Line != "" {
			j.lines = append(j.lines, p.Source+": "+p.Line)
		} else if p.Phase == "" {
			j.layers = append(j.layers, *p.Layer)
		} else if j.last = p; len(j.phases) == 0 || j.phases[len(j.phases)-1] != p.Phase {
			j.phases = append(j.phases, p.Phase)
		}
		if j.on != nil {
			j.on(p)
		}
	}})
	left, readErr := os.ReadDir(j.o.Temp)
	require.NoError(t, readErr)
	require.Empty(t, left, "temporary files stay behind")
	return out, err
}

// do runs the job as planned now, and wants nothing to be pushed if it fails.
func (j *job) do(t *testing.T) (state.Outcome, error) {
	t.Helper()
	out, err := j.run(t, t.Context(), j.plan(t))
	if err != nil {
		require.Zero(t, j.shop.writes, "something was pushed")
	}
	return out, err
}

func sh(script string, outputs ...string) *state.Before {
	return &state.Before{Run: []string{"/bin/sh", "-c", script}, Outputs: outputs}
}

const scratch = "FROM scratch\nCOPY made /\nCMD [\"/made\"]\n"

func skipWithoutShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
}

func TestExecute_runsTheHookBuildsAndPushes(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch}, sh("echo hello; echo 1 > made", "made"))
	out, err := j.do(t)
	require.NoError(t, err)
	require.Equal(t, "1\n", content(t, j.shop.has(t, out.ID), "made"))
	require.Regexp(t, `^looking for the image\|running /bin/sh\|building with builtin\|pushing$`, strings.Join(j.phases, "|"))
	require.Contains(t, j.lines, "before: hello")
	require.Contains(t, j.lines, "builtin: COPY made /")
	require.Equal(t, 1, j.shop.given, "one token is enough")
}

func TestExecute_buildsNothingWhenTheTagIsThere(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch}, sh("echo $$ > made; mkdir -p ran; echo >> ran/times", "made", "ran"))
	first, err := j.do(t)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(j.root, "ran")))
	writes := j.shop.writes
	second, err := j.do(t)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, writes, j.shop.writes)
	require.NoDirExists(t, filepath.Join(j.root, "ran"), "the hook ran again")
}

// TestExecute_hidesCredentialsFromTheHook runs in a process that has them all.
func TestExecute_hidesCredentialsFromTheHook(t *testing.T) {
	skipWithoutShell(t)
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
		"CI_JOB_TOKEN", "CLERK_SECRET_KEY", "aws_lowercase"} {
		t.Setenv(name, "hidden")
	}
	t.Setenv("KEPT", "kept")
	t.Setenv("CLERK_SECRET_KEY_NOT", "kept")
	t.Setenv("AWS_REGION", "hidden")
	j := newJob(t, map[string]string{"Dockerfile": scratch}, sh("/usr/bin/env > made", "made"))
	j.b.Before.Env = map[string]string{"AWS_REGION": "named by the hook", "GOOS": "linux", "KEPT": "changed"}
	j.o.Withhold = []string{"CLERK_SECRET_KEY"}
	out, err := j.do(t)
	require.NoError(t, err)
	env := strings.Split(content(t, j.shop.has(t, out.ID), "made"), "\n")
	require.NotContains(t, strings.Join(env, "\n"), "hidden")
	require.Subset(t, env, []string{"AWS_REGION=named by the hook", "GOOS=linux", "KEPT=changed", "CLERK_SECRET_KEY_NOT=kept", "PATH=" + os.Getenv("PATH")})
}

func TestExecute_pushesNothingThatFails(t *testing.T) {
	skipWithoutShell(t)
	for name, tc := range map[string]struct {
		dockerfile string
		before     *state.Before
		builder    string
		want       string
	}{
		"a hook that fails":              {scratch, sh("echo why >&2; exit 3", "made"), "", "image.build.before.run: /bin/sh -c echo why >&2; exit 3: exit status 3; it printed last:\n  why"},
		"a hook that is not there":       {scratch, &state.Before{Run: []string{"no-such-program"}}, "", `"no-such-program" is not installed, or not in PATH`},
		"an output that is missing":      {scratch, sh("echo > made", "made", "dist/*.js"), "", `image.build.before.outputs[1]: the hook succeeded, but there is no "dist/*.js" in the context`},
		"a plain output that is missing": {scratch, sh("true", "made"), "", `outputs[0]: the hook succeeded, but there is no "made"`},
		"a hook that changes an input":   {scratch, sh("echo > made; echo '#' >> Dockerfile", "made"), "", "image.build.before changed what the image is made of: context Dockerfile; nothing was built"},
		"an undeclared output":           {scratch, sh("echo > made; echo > more", "made"), "", "changed what the image is made of: context more"},
		"a file that is missing":         {scratch, nil, "", "Dockerfile:2: COPY: there is no made in the context"},
		"nothing to run":                 {"FROM scratch\nCOPY Dockerfile /\n", nil, "", "neither ENTRYPOINT nor CMD"},
		"a builder nobody knows":         {scratch, nil, "kaniko", `builder "kaniko" is none of`},
		"a builder that cannot RUN":      {"FROM scratch\nRUN make\n", sh("echo > ran", "ran"), "", "Dockerfile:2: RUN needs docker, podman or buildah"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, map[string]string{"Dockerfile": tc.dockerfile}, tc.before)
			if tc.builder != "" {
				j.o.Builder = tc.builder
			}
			_, err := j.do(t)
			require.ErrorContains(t, err, tc.want)
			require.NoFileExists(t, filepath.Join(j.root, "ran"), "the hook ran, though no builder can go on")
		})
	}
}

func TestExecute_choosesABuilder(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // neither docker nor podman nor buildah
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\nCMD [\"/x\"]\n"}, nil)
	j.o.Builder = ""
	_, err := j.do(t)
	require.NoError(t, err)
	require.Contains(t, j.phases, "building with builtin")

	j = newJob(t, map[string]string{"Dockerfile": "FROM alpine\nRUN make\n"}, nil)
	j.o.Builder = "auto"
	_, err = j.do(t)
	var none *build.NoBuilderError
	require.ErrorAs(t, err, &none)
	require.EqualError(t, err, "Dockerfile:2: RUN needs docker, podman or buildah; the built-in builder executes and fetches nothing\n"+
		"  docker is not installed\n  podman is not installed\n  buildah is not installed")
	require.Contains(t, none.Hint(), "install and start docker")

	for _, name := range []string{"docker", "podman", "buildah"} {
		j.o.Builder = name
		_, err = j.do(t)
		require.EqualError(t, err, "builder "+name+" cannot be used: "+name+" is not installed")
	}
}

func TestExecute_refusesSourcesOtherThanThePlans(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch, "a": "", "b": ""}, sh("echo > made", "made"))
	a := j.plan(t)
	write(t, j.root, map[string]string{"a": "1", "c": "", "d": "", "e": ""})
	_, err := j.run(t, t.Context(), a)
	require.EqualError(t, err, "the sources changed since the plan: context a, context c, context d and 1 more; nothing was built")
	var changed *image.ChangedError
	require.ErrorAs(t, err, &changed)
	require.Equal(t, "run apply again", changed.Hint())
	require.NoFileExists(t, filepath.Join(j.root, "made"))
	require.Zero(t, j.shop.writes)
}

// TestExecute_pushesNoImageWhoseSourcesMoved saves a file while the image is built: its
// name would lie for ever, as tags do not move.
func TestExecute_pushesNoImageWhoseSourcesMoved(t *testing.T) {
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\nCMD [\"/x\"]\n", "a": "1"}, nil)
	j.on = func(p apply.Progress) {
		if p.Phase == "building with builtin" {
			write(t, j.root, map[string]string{"a": "2"})
		}
	}
	_, err := j.do(t)
	require.EqualError(t, err, "the sources changed while the image was built: context a; nothing was pushed")
}

func TestExecute_warnsOfAPortThatTheImageDoesNotExpose(t *testing.T) {
	const fix = ": set port: 80, unless the application follows PORT"
	for port, want := range map[int]string{
		8000: "apron: warning: port: the image exposes 80, and port is 8000" + fix,
		80:   "",
		0:    "apron: warning: port: the image exposes 80, and port is left out, which is 8080 to App Runner" + fix,
	} {
		j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nEXPOSE 80 9000/udp\nCOPY Dockerfile /\n"}, nil)
		j.detail = func(d *image.Detail) { d.Port, d.Command = port, true }
		_, err := j.do(t)
		require.NoError(t, err, "a start command is enough to run")
		if want == "" {
			require.NotContains(t, strings.Join(j.lines, "\n"), "warning")
		} else {
			require.Contains(t, j.lines, want)
		}
	}
}

func TestExecute_asksForANewTokenOnlyWhenOneHasExpired(t *testing.T) {
	j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\nCMD [\"/x\"]\n"}, nil)
	j.on = func(p apply.Progress) {
		if p.Phase == "building with builtin" { // it took twelve hours
			j.shop.mu.Lock()
			j.shop.valid = 2
			j.shop.mu.Unlock()
		}
	}
	_, err := j.do(t)
	require.NoError(t, err)
	require.Equal(t, 2, j.shop.given)
}

func TestExecute_saysThatNothingWasPushedWithoutARegistry(t *testing.T) {
	j := newJob(t, map[string]string{"Dockerfile": scratch}, nil)
	j.shop.fail = errors.New("ExpiredToken")
	_, err := j.do(t)
	require.EqualError(t, err, "log in to the registry: ExpiredToken; nothing was pushed")
}

func TestExecute_endsPromptlyWithItsContext(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch}, &state.Before{Run: []string{"/bin/sh", "-c", "echo ready; exec sleep 60"}})
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	j.on = func(p apply.Progress) {
		if p.Line == "ready" {
			cancel(why)
		}
	}
	a, start := j.plan(t), time.Now()
	_, err := j.run(t, ctx, a)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(start), 30*time.Second)
	require.Zero(t, j.shop.writes)
}

func TestProvider_createsImagesAndNothingElse(t *testing.T) {
	j := newJob(t, map[string]string{"Dockerfile": scratch}, nil)
	p := image.NewProvider(j.shop, j.o)
	require.Equal(t, []string{image.Type}, p.Types())
	live, notes, err := p.Observe(t.Context(), reconcile.Query{})
	require.NoError(t, err)
	require.Empty(t, live)
	require.Empty(t, notes)
	for _, op := range []plan.Op{plan.Update, plan.Delete} {
		a := j.plan(t)
		a.Op, a.ID = op, "x"
		_, err = p.Execute(t.Context(), a, apply.Env{})
		require.EqualError(t, err, "x: an image is only ever created")
	}
	require.Zero(t, j.shop.given)
}

// TestExecute_tellsWhatTheFilesOfSecretsHold before anything can print it, and what the hook
// has made before a builder can.
func TestExecute_tellsWhatTheFilesOfSecretsHold(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch, "npmrc": "of-file"}, sh("echo hello; printf of-hook > key; echo 1 > made", "made", "key"))
	j.b.Secrets = map[string]state.BuildSecret{"npm": {File: "npmrc"}, "key": {File: "key"}}
	var told []string
	j.o.Hide = func(values ...string) { told = append(told, fmt.Sprintf("%d lines: %v", len(j.lines), values)) }
	_, err := j.do(t)
	require.NoError(t, err)
	require.Equal(t, []string{"0 lines: [of-file]", "1 lines: [of-hook of-file]"}, told)
}
