package image_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// write puts files below dir. A name that ends in * is executable, and a text that
// starts with -> is a symlink.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
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
}

// checkout is a repository whose application is in app and whose library is in lib.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, map[string]string{
		".git/HEAD":         "ref: refs/heads/main\n",
		"app/Dockerfile":    "FROM scratch\nARG VERSION\nCOPY . /\nCMD [\"/app\"]\n",
		"app/.dockerignore": "*.log\nmain.go\ngo.mod\n",
		"app/run.sh*":       "exec app\n",
		"app/web/index":     "<p>",
		"app/link":          "->web/index",
		"app/main.go":       "package main",
		"app/go.mod":        "module app",
		"lib/lib.go":        "package lib",
		"lib/lib_test.txt":  "x",
	})
	return root
}

func example() state.Build {
	return state.Build{
		Context: "app", Platform: "linux/amd64", Args: map[string]string{"VERSION": "1"}, Labels: map[string]string{"team": "ai"},
		Before: &state.Before{
			Run: []string{"go", "build", "-o", "app", "."}, Env: map[string]string{"CGO_ENABLED": "0"},
			Inputs: []string{"**/*.go", "go.mod", "../lib/**/*.go"}, Outputs: []string{"app", "gen/**"},
		},
	}
}

func tag(t *testing.T, root string, b state.Build, exclude ...string) string {
	t.Helper()
	id, err := image.Identify(t.Context(), root, b, image.Options{Exclude: exclude})
	require.NoError(t, err)
	require.Regexp(t, `^src-[0-9a-f]{20}$`, id.Tag)
	return id.Tag
}

// TestIdentify_isTheSameOnAnyMachine holds the very tag: a change of how inputs are
// hashed makes every user build anew, and must raise the version in front of them.
func TestIdentify_isTheSameOnAnyMachine(t *testing.T) {
	const want = "src-e5efddd7a12401347ade"
	require.Equal(t, want, tag(t, checkout(t), example()))
	require.Equal(t, want, tag(t, checkout(t), example()), "in another directory")
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "") // no git, no docker
	require.Equal(t, want, tag(t, checkout(t), example()), "without any program")
}

func TestIdentify_changesWithEveryInput(t *testing.T) {
	type change struct {
		files map[string]string
		edit  func(*state.Build)
		names []string // inputs that differ
	}
	for name, tc := range map[string]change{
		"a file's content":         {files: map[string]string{"app/web/index": "<b>"}, names: []string{"context web/index"}},
		"a file more":              {files: map[string]string{"app/web/more": ""}, names: []string{"context web/more"}},
		"the Dockerfile":           {files: map[string]string{"app/Dockerfile": "FROM scratch\n"}, names: []string{"context Dockerfile", "dockerfile"}},
		"what is ignored":          {files: map[string]string{"app/.dockerignore": "*.log\ngo.mod\n"}, names: []string{"context .dockerignore", "context main.go"}},
		"a build argument":         {edit: func(b *state.Build) { b.Args["VERSION"] = "2" }, names: []string{"arg VERSION"}},
		"one argument more":        {edit: func(b *state.Build) { b.Args["KEY"] = "" }, names: []string{"arg KEY"}},
		"no arguments":             {edit: func(b *state.Build) { b.Args = nil }, names: []string{"arg VERSION"}},
		"a label":                  {edit: func(b *state.Build) { b.Labels["team"] = "web" }, names: []string{"label team"}},
		"the target":               {edit: func(b *state.Build) { b.Target = "final" }, names: []string{"target"}},
		"the platform":             {edit: func(b *state.Build) { b.Platform = "linux/arm64" }, names: []string{"platform"}},
		"a build secret":           {edit: func(b *state.Build) { b.Secrets = map[string]state.BuildSecret{"npm": {Env: "NPM_TOKEN"}} }, names: []string{"secret npm"}},
		"the hook's command":       {edit: func(b *state.Build) { b.Before.Run[3] = "app2" }, names: []string{"before.run"}},
		"how the command is split": {edit: func(b *state.Build) { b.Before.Run = []string{"go build", "-o", "app", "."} }, names: []string{"before.run"}},
		"the hook's environment":   {edit: func(b *state.Build) { b.Before.Env["CGO_ENABLED"] = "1" }, names: []string{"before.env CGO_ENABLED"}},
		"the hook's outputs":       {edit: func(b *state.Build) { b.Before.Outputs = []string{"app"} }, names: []string{"before.outputs"}},
		"an input that is ignored": {files: map[string]string{"app/main.go": "package app"}, names: []string{"input main.go"}},
		"an input elsewhere":       {files: map[string]string{"lib/lib.go": "package x"}, names: []string{"input ../lib/lib.go"}},
		"an input more":            {files: map[string]string{"app/x/y.go": "package y"}, names: []string{"context x/y.go", "input x/y.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, b := checkout(t), example()
			before, err := image.Identify(t.Context(), root, b, image.Options{})
			require.NoError(t, err)
			write(t, root, tc.files)
			if tc.edit != nil {
				tc.edit(&b)
			}
			after, err := image.Identify(t.Context(), root, b, image.Options{})
			require.NoError(t, err)
			require.NotEqual(t, before.Tag, after.Tag)
			require.Equal(t, tc.names, image.Diff(before, after))
		})
	}
}

// TestIdentify_stays when only the way to the image changes.
func TestIdentify_stays(t *testing.T) {
	root, b := checkout(t), example()
	b.Secrets = map[string]state.BuildSecret{"npm": {Env: "NPM_TOKEN", Value: "old", Set: true}}
	before := tag(t, root, b)
	for name, edit := range map[string]func(*state.Build){
		"with a new value of a secret": func(b *state.Build) { b.Secrets["npm"] = state.BuildSecret{Env: "NPM_TOKEN", Value: "new", Set: true} },
		"with a secret from elsewhere": func(b *state.Build) { b.Secrets["npm"] = state.BuildSecret{File: "../npmrc"} },
		"with a cache":                 func(b *state.Build) { b.Cache = &state.Cache{From: []string{"gha"}, To: []string{"gha"}} },
		"with another builder":         func(b *state.Build) { b.Builder = "podman" },
	} {
		t.Run(name, func(t *testing.T) {
			edit(&b)
			require.Equal(t, before, tag(t, root, b))
		})
	}
}

func TestIdentify_changesWithModesLinksAndRemovals(t *testing.T) {
	root := checkout(t)
	seen := []string{tag(t, root, example())}
	changed := func(why string) {
		t.Helper()
		now := tag(t, root, example())
		require.NotContains(t, seen, now, why)
		seen = append(seen, now)
	}
	require.NoError(t, os.Remove(filepath.Join(root, "app/web/index")))
	changed("a file less; the link to it now leads nowhere, which is nobody's business")
	require.NoError(t, os.Remove(filepath.Join(root, "app/link")))
	changed("a symlink less")
	write(t, root, map[string]string{"app/link": "->web"})
	changed("a symlink to somewhere else")
	require.NoError(t, os.Remove(filepath.Join(root, "app/link")))
	write(t, root, map[string]string{"app/link": "web"})
	changed("a file that holds what the symlink's target was")
	require.NoError(t, os.Rename(filepath.Join(root, "app/link"), filepath.Join(root, "app/link2")))
	changed("another name")
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(filepath.Join(root, "app/run.sh"), 0o644))
		changed("no longer executable")
	}
}

func TestIdentify_staysWhenNothingThatCountsChanges(t *testing.T) {
	root := checkout(t)
	want := tag(t, root, example())
	write(t, root, map[string]string{
		"app/debug.log":    "ignored",
		"app/.git/index":   "never part of a context",
		"app/web/.git":     "gitdir: ../../.git/modules/web",
		"app/.apron/state": "never",
		".apron/state":     "never",
		"app/.env":         "KEY=1",
		"app/.env.local":   "->../secrets.env",
		"secrets.env":      "KEY=2",
		"app/app":          "an output",
		"app/gen/a/b.go":   "an output, though an input's pattern matches it",
		"lib/other.txt":    "outside of the context, and no input",
		"lib/.git/x.go":    "never",
		"README.md":        "outside",
	})
	require.NoError(t, os.MkdirAll(filepath.Join(root, "app/empty/dir"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(root, "app/web/index"), 0o600))
	exclude := []string{"app/.env", filepath.Join(root, "app", ".env.local")}
	require.Equal(t, want, tag(t, root, example(), exclude...))
	require.NotEqual(t, want, tag(t, root, example()), "env files count unless they were read")

	b := example()
	b.Platform, b.Dockerfile = "", "Dockerfile" // the defaults
	require.Equal(t, want, tag(t, root, b, exclude...))
}

// TestIdentify_findsEnvFilesBehindSymlinks has a repository that is reached through a
// symlink, as temporary directories on macOS are.
func TestIdentify_findsEnvFilesBehindSymlinks(t *testing.T) {
	root := checkout(t)
	want := tag(t, root, example())
	write(t, root, map[string]string{"app/.env": "->../secrets.env", "secrets.env": "KEY=2"})
	alias := filepath.Join(t.TempDir(), "alias")
	require.NoError(t, os.Symlink(root, alias))
	require.Equal(t, want, tag(t, alias, example(), filepath.Join(alias, "app", ".env")))
}

func TestIdentify_followsASymlinkNowhere(t *testing.T) {
	root, outside := checkout(t), t.TempDir()
	write(t, outside, map[string]string{"secret.go": "1", "Dockerfile": "FROM scratch\n", ".dockerignore": "x\n"})
	write(t, root, map[string]string{"app/out": "->" + outside})
	b := example()
	b.Before.Inputs = []string{"**/*.go", "out"}
	want := tag(t, root, b)
	write(t, outside, map[string]string{"secret.go": "2", "more.go": ""})
	require.Equal(t, want, tag(t, root, b))
}

func TestIdentify_refusesADockerfileThatIsNone(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing in it":          {"# empty\n", "app/Dockerfile:1: file with no instructions"},
		"no such instruction":    {"FROM scratch\nCOPPY a /\n", "app/Dockerfile:2: "},
		"a builder's own matter": {"FROM scratch\nRUN make\n", ""},
		"another frontend's":     {"# syntax=example.com/other\nNONSENSE\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, map[string]string{"app/Dockerfile": tc.text})
			_, err := image.Identify(t.Context(), root, state.Build{Context: "app", Dockerfile: "Dockerfile"}, image.Options{})
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			var wrong *build.ParseError
			require.ErrorAs(t, err, &wrong)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestIdentify_readsNothingOutsideOfTheRepository(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, map[string]string{"secret.go": "1", "Dockerfile": "FROM scratch\n", "rules": "x\n"})
	inputs := func(patterns ...string) func(*state.Build) {
		return func(b *state.Build) { b.Before.Inputs = patterns }
	}
	for name, tc := range map[string]struct {
		files map[string]string
		edit  func(*state.Build)
		want  string
	}{
		"an input above it":               {nil, inputs("*.go", "../../x.go"), `image.build.before.inputs[1]: "../../x.go" does not lie in the repository`},
		"an input above it, in disguise":  {nil, inputs("web/../../../x.go"), "does not lie in the repository"},
		"a pattern above it":              {nil, inputs("!../../**"), "does not lie in the repository"},
		"an absolute input":               {nil, inputs(outside + "/secret.go"), "does not lie in the repository"},
		"an input through a symlink":      {map[string]string{"app/out": "->" + outside}, inputs("out/secret.go"), `"out/secret.go" leads through the symlink`},
		"a pattern through a symlink":     {map[string]string{"app/out": "->" + outside}, inputs("out/*.go"), `"out/*.go" leads through the symlink`},
		"an input that is missing":        {nil, inputs("x.go"), `image.build.before.inputs[0]: there is no "x.go"`},
		"an output above it":              {nil, func(b *state.Build) { b.Before.Outputs = []string{"../../x"} }, "image.build.before.outputs[0]"},
		"a context above it":              {nil, func(b *state.Build) { b.Context = ".." }, `image.build.context: ".." leads out of the repository`},
		"an absolute context":             {nil, func(b *state.Build) { b.Context = outside }, "is absolute"},
		"a context behind a symlink":      {map[string]string{"ctx": "->" + outside}, func(b *state.Build) { b.Context = "ctx" }, "leads out of the repository"},
		"a context that is missing":       {nil, func(b *state.Build) { b.Context = "api" }, `there is no directory "api"`},
		"a Dockerfile above it":           {nil, func(b *state.Build) { b.Dockerfile = "../../Dockerfile" }, "image.build.dockerfile"},
		"a Dockerfile behind a symlink":   {map[string]string{"app/D": "->" + outside + "/Dockerfile"}, func(b *state.Build) { b.Dockerfile = "D" }, `"D" leads out of the repository`},
		"a Dockerfile that is missing":    {nil, func(b *state.Build) { b.Dockerfile = "D" }, `there is no "D" in the context "app"`},
		"an ignore file behind a symlink": {map[string]string{"app/Dockerfile.dockerignore": "->" + outside + "/rules"}, nil, "leads out of the repository"},
	} {
		t.Run(name, func(t *testing.T) {
			root, b := checkout(t), example()
			write(t, root, tc.files)
			if tc.edit != nil {
				tc.edit(&b)
			}
			_, err := image.Identify(t.Context(), root, b, image.Options{})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestIdentify_takesInputsOfAContextWithOddNames(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{".git/HEAD": "", "a[b]/Dockerfile": "FROM scratch\n", "a[b]/.dockerignore": "*.go\n", "a[b]/x.go": "1", "a[b]/.env": "K=1", "a[b]/#env": "K=2", "a[b]/!env": "K=3", "ab/y.go": ""})
	b := state.Build{Context: "a[b]", Before: &state.Before{Run: []string{"make"}, Inputs: []string{"*.go", "../ab/y.go"}, Outputs: []string{"out"}}}
	id, err := image.Identify(t.Context(), root, b, image.Options{Exclude: []string{"a[b]/.env", "a[b]/#env", "a[b]/!env"}})
	require.NoError(t, err)
	var names []string
	for _, in := range id.Inputs {
		names = append(names, in.Name)
	}
	require.True(t, slices.IsSorted(names))
	require.Subset(t, names, []string{"input x.go", "input ../ab/y.go", "context Dockerfile"})
	require.NotContains(t, names, "context .env")
	require.NotContains(t, names, "context #env")
	b.Before.Inputs = []string{"z.go"}
	_, err = image.Identify(t.Context(), root, b, image.Options{})
	require.ErrorContains(t, err, `there is no "z.go"`)
}

func TestIdentify_endsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := image.Identify(ctx, checkout(t), example(), image.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestDesired_isOneImageInItsRepository(t *testing.T) {
	b := example()
	b.Platform = ""
	port := 8000
	spec := state.Spec{Service: "web", Dir: "/repo", Image: state.Image{Build: &b}, Port: &port}
	r := image.Desired(spec, image.Identity{Tag: "src-1"})
	require.Equal(t, image.Address("web", "src-1"), r.Address)
	require.Equal(t, image.Type, r.Address.Target+"/"+r.Address.Kind)
	d := r.Detail.(image.Detail)
	require.Equal(t, "/repo", d.Dir)
	require.Equal(t, 8000, d.Port)
	require.False(t, d.Command)
	require.Equal(t, "platform", r.Fields[0].Path)
	require.Equal(t, "linux/amd64", r.Fields[0].Value)
	require.True(t, r.Fields[1].Ref && r.Fields[1].Order, "the repository comes first")
	require.Equal(t, state.Address{Target: "ecr", Kind: "repository", Name: "web"}.String(), r.Fields[1].Value)

	command := "serve"
	spec.Image.Repository, spec.Command = "shared", &command
	r = image.Desired(spec, image.Identity{Tag: "src-1"})
	require.Equal(t, image.Address("shared", "src-1"), r.Address)
	require.True(t, r.Detail.(image.Detail).Command)
}

func TestEnvFiles_areNamedButExamples(t *testing.T) {
	id := image.Identity{Inputs: []image.Input{{Name: "arg .env"}, {Name: "context .env"}, {Name: "context .env.example"}, {Name: "context .envrc"},
		{Name: "context api/.env.production"}, {Name: "context main.go"}, {Name: "input .env"}}}
	require.Equal(t, []string{".env", "api/.env.production"}, id.EnvFiles())
}
