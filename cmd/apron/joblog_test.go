package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render/joblog/joblogtest"
	"github.com/apron-deploy/apron/reconcile/state"
)

// job runs a command in this process, as a step of a job with these variables.
func job(t *testing.T, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &errOut)
	a.lookup = func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	a.cache = ""
	code = a.run(t.Context(), args)
	return code, out.String(), errOut.String()
}

// words are what nobody can guess.
var words = regexp.MustCompile(`apron-[a-z2-7]{26}`)

// TestValidate_inActions is the whole stderr of a manifest that is wrong, in a directory
// below the root of its repository.
func TestValidate_inActions(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "services", "shop")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app", "Dockerfile"), []byte("FROM scratch\nEXPOSE 9000\n"), 0o644))
	manifest := filepath.Join(dir, "deploy.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte(`version: 1
service: shop
image: {build: {context: app}}
port: 8080
cpu: 300
memory: 512
health: {path: /health, timeout: "100%, ##[set-output name=fingerprint]forged"}
`), 0o644))
	code, stdout, stderr := job(t, map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": root}, "validate", "-f", manifest)
	require.Equal(t, exitUsage, code)
	require.Empty(t, stdout)
	obeyed, obeys := joblogtest.Read(stderr)
	require.True(t, obeys)
	for _, c := range obeyed {
		require.Equal(t, "services/shop/deploy.yaml", c.Properties["file"], "%v", c)
	}
	require.Len(t, obeyed, 2)
	golden(t, "validate-actions.txt", words.ReplaceAllString(strings.ReplaceAll(stderr, filepath.ToSlash(dir), "DIR"), "WORD"))
}

// TestValidate_warnsInActions: a warning stands where its text does, and is no error.
func TestValidate_warnsInActions(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+"env: {API_KEY: \"x, 50%: y\"}\n", built.tiny)
	code, _, stderr := job(t, map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": c.dir, "KEY": canary + "-value"}, "validate", "-f", filepath.Join(c.dir, "deploy.yaml"))
	require.Zero(t, code, stderr)
	obeyed, obeys := joblogtest.Read(stderr)
	require.True(t, obeys)
	require.Len(t, obeyed, 1, stderr)
	require.Equal(t, "warning", obeyed[0].Name)
	require.Equal(t, map[string]string{"file": "deploy.yaml", "line": "10", "col": "16", "title": "apron"}, obeyed[0].Properties)
	require.Contains(t, obeyed[0].Data, "env.API_KEY: ")
	require.Contains(t, obeyed[0].Data, "\nhint: ")
	require.NotContains(t, stderr, "50%")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// TestBuild_commandsNobodyObeys: what a build prints reaches the log, folded away, and the
// runner obeys none of it.
func TestBuild_commandsNobodyObeys(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	t.Parallel()
	hostile := []string{"::error::forged", "::set-output name=changes::false", "x ##[set-output name=fingerprint]forged", "##[add-mask]a",
		"::stop-commands::mine", "::endgroup::", "  ::add-path::/tmp"}
	c := newCheckout(t, strings.Replace(small, "context: app", `context: app, before: {run: [sh, hook.sh], inputs: [hook.sh], outputs: [made]}`, 1), built.tiny)
	c.write("app/hook.sh", "touch made\ncat <<'X'\n"+strings.Join(hostile, "\n")+"\nX\n")
	for _, end := range []string{"", "exit 1\n"} {
		c.write("app/hook.sh", "touch made\ncat <<'X'\n"+strings.Join(hostile, "\n")+"\nX\n"+end)
		vars := map[string]string{"GITHUB_ACTIONS": "true", "PATH": os.Getenv("PATH")}
		code, stdout, stderr := job(t, vars, "build", "--builder", "builtin", "-f", filepath.Join(c.dir, "deploy.yaml"))
		require.Equal(t, end == "", code == exitOK, stderr)
		for _, line := range hostile {
			require.Contains(t, stderr, strings.TrimSpace(line)+"\n", "as it was printed")
		}
		var names []string
		obeyed, obeys := joblogtest.Read(stdout + stderr)
		require.True(t, obeys)
		for _, c := range obeyed {
			if c.Properties["title"] != "apron" {
				names = append(names, c.Name)
			}
		}
		require.Subset(t, []string{"group", "endgroup"}, names, stderr)
		require.NotEmpty(t, names)
	}
}

// TestRender_commandsNobodyObeys: nor does the runner obey a result.
func TestRender_commandsNobodyObeys(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small+"env:\n  A: |\n    ::set-output name=changes::false\n  B: 'x ##[error]y'\n", built.tiny)
	manifest := filepath.Join(c.dir, "deploy.yaml")
	for _, format := range []string{"text", "json"} {
		_, plain, _ := job(t, map[string]string{}, "render", "--format", format, "-f", manifest)
		code, stdout, stderr := job(t, map[string]string{"GITHUB_ACTIONS": "true"}, "render", "--format", format, "-f", manifest)
		require.Zero(t, code, stderr)
		obeyed, _ := joblogtest.Read(stdout)
		require.Empty(t, obeyed)
		require.Contains(t, stdout, `##\u005berror]`)
		if format == "json" {
			require.JSONEq(t, plain, stdout)
		}
	}
}

// outputs reads a file of outputs as the runner does.
// https://github.com/actions/runner/blob/main/src/Runner.Worker/FileCommandManager.cs
func outputs(t require.TestingT, text string) map[string]string {
	all := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		name, end, ok := strings.Cut(lines[i], "<<")
		require.True(t, ok, "%q", lines[i])
		var value []string
		for i++; lines[i] != end; i++ {
			value = append(value, lines[i])
		}
		all[name] = strings.Join(value, "\n")
	}
	return all
}

func TestOutput_cannotBeForged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		file := filepath.Join(dir, fmt.Sprint(n))
		a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
		a.lookup = func(name string) (string, bool) { return file, name == "GITHUB_OUTPUT" }
		value := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"\n", "fingerprint<<EOF", "EOF", "apron-", "apron-aaaaaaaaaaaaaaaaaaaaaaaaaa", "=", "x"})).Draw(t, "value"), "")
		require.NoError(t, a.output("url", value))
		require.NoError(t, a.output("version", "v1"))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"url": value, "version": "v1"}, outputs(t, string(text)))
	})
}

// TestSummarize_withinTheLimit: what several commands of a step leave is still shown.
func TestSummarize_withinTheLimit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "summary")
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
	a.lookup = func(name string) (string, bool) { return file, name == "GITHUB_STEP_SUMMARY" }
	for range 5 {
		require.NoError(t, a.summarizeText("**Plan.**\n\n"+strings.Repeat("a block\n\n", 40_000)))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), 1<<20)
	require.Greater(t, len(text), 1<<20-1000)
	require.Contains(t, string(text), "This is cut")
}

// TestApply_tellsTheJob: an apply leaves a summary and outputs, whether it did something,
// had nothing to do, or failed.
func TestApply_tellsTheJob(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	dir := t.TempDir()
	step := func(n string) { // what the runner gives each step
		w.vars = map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, n+".out"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, n+".md")}
	}
	read := func(n string) (string, map[string]string) {
		summary, err := os.ReadFile(filepath.Join(dir, n+".md"))
		require.NoError(t, err)
		out, err := os.ReadFile(filepath.Join(dir, n+".out"))
		require.NoError(t, err)
		return string(summary), outputs(t, string(out))
	}
	step("done")
	code, out := w.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Zero(t, code, out)
	summary, done := read("done")
	require.Regexp(t, `^\*\*Apply complete: \d+ added`, summary)
	require.Regexp(t, `^http://shop\.localhost:\d+$`, done["url"])
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, done["image"])
	require.Equal(t, "v1", done["version"])
	require.Equal(t, "0", done["exit-code"])
	require.Equal(t, "ok", done["outcome"])
	require.JSONEq(t, fmt.Sprintf(`[{"service": "shop", "url": %q, "version": "v1", "image": %q, "release": 1}]`, done["url"], done["image"]), done["services"])

	step("nothing")
	code, out = w.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Zero(t, code, out)
	summary, nothing := read("nothing")
	require.Contains(t, summary, "**No changes.**")
	require.Equal(t, done["url"], nothing["url"])
	require.Equal(t, done["image"], nothing["image"])

	step("clean")
	code, out = w.run(t.Context(), "drift")
	require.Zero(t, code, out)
	summary, clean := read("clean")
	require.Contains(t, summary, "**No drift.**")
	require.Equal(t, "ok", clean["outcome"])

	step("refused")
	c.replace("deploy.yaml", "cpu: 256", "cpu: 300")
	code, out = w.run(t.Context(), "plan")
	require.Equal(t, exitUsage, code, out)
	summary, refused := read("refused")
	require.Contains(t, summary, "- **Error**: `")
	require.Equal(t, map[string]string{"exit-code": "3", "outcome": "usage"}, refused)
	obeyed, _ := joblogtest.Read(out)
	require.Len(t, obeyed, 1)
	require.Equal(t, "error", obeyed[0].Name)
	require.NotEmpty(t, obeyed[0].Properties["line"])
}

// TestApply_tellsTheJobWhatRuns of a rollout that was rolled back: later steps would else
// announce a version that nobody gets, and deploy an image elsewhere that has failed.
func TestApply_tellsTheJobWhatRuns(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.app)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	file := filepath.Join(t.TempDir(), "outputs")
	apply := func(expect int) map[string]string {
		t.Helper()
		require.NoError(t, os.RemoveAll(file))
		w.vars = map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": file}
		code, out := w.run(t.Context(), "apply", "--yes")
		require.Equal(t, expect, code, out)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return outputs(t, string(text))
	}
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	first := apply(exitFailed)
	require.Equal(t, map[string]string{"image": "", "version": ""}, map[string]string{"image": first["image"], "version": first["version"]}, "nothing serves")

	c.replace("app/Dockerfile", "HEALTH=500", "HEALTH=200")
	good := apply(exitOK)
	require.Equal(t, "v1", good["version"])
	require.NotEmpty(t, good["image"])

	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	c.replace("deploy.yaml", "version: v1", "version: v2")
	bad := apply(exitFailed)
	require.Equal(t, good["image"], bad["image"])
	require.Empty(t, bad["version"])
	require.JSONEq(t, fmt.Sprintf(`[{"service": "shop", "url": %q, "version": "", "image": %q, "release": 3}]`, good["url"], good["image"]), bad["services"])
}

func TestDeployment(t *testing.T) {
	spec := state.Spec{Service: "web", Image: state.Image{Repository: "shop", Version: "v2"}}
	service, fresh, old := serviceAddress(spec), ecr.Image("shop", "src-new"), ecr.Image("shop", "src-old")
	live := state.Live{service: {Resource: state.Resource{Address: service, Fields: []state.Field{{Path: "image", Value: old.String(), Ref: true}}}}}
	tag := state.Observed{ID: "sha256:old", Resource: state.Resource{Address: ecr.Tag("shop", "live-web"), Fields: []state.Field{{Path: "image", Value: old.String(), Ref: true}}}}
	result := func(op plan.Op, target state.Address, status apply.Status, id string) apply.Result {
		return apply.Result{Action: plan.Action{Op: op, Target: target}, Status: status, Outcome: state.Outcome{ID: id}}
	}
	built := result(plan.Create, fresh, apply.Done, "sha256:new")
	for name, tc := range map[string]struct {
		live    []state.Observed
		recent  release.Recent
		results []apply.Result
		image   string
		version string
	}{
		"deployed":             {results: []apply.Result{built, result(plan.Update, service, apply.Done, "arn")}, image: "sha256:new", version: "v2"},
		"nothing to do":        {live: []state.Observed{{ID: "sha256:new", Resource: state.Resource{Address: fresh}}}, image: "sha256:new", version: "v2"},
		"rolled back":          {live: []state.Observed{tag}, results: []apply.Result{built, result(plan.Update, service, apply.Failed, "")}, image: "sha256:old"},
		"as the record has it": {recent: release.Recent{Success: &release.Record{Image: release.Image{Repository: "shop", Tag: "src-old", Digest: "sha256:old"}}}, results: []apply.Result{built, result(plan.Update, service, apply.Failed, "")}, image: "sha256:old"},
		"nobody knows it":      {results: []apply.Result{built, result(plan.Update, service, apply.Failed, "")}},
		"not built":            {live: []state.Observed{tag}, results: []apply.Result{result(plan.Create, fresh, apply.Failed, ""), result(plan.Update, service, apply.Skipped, "")}, image: "sha256:old"},
		"not verified": {live: []state.Observed{tag}, results: []apply.Result{built, result(plan.Update, service, apply.Done, "arn"),
			result(plan.Update, ecr.Tag("shop", "live-web"), apply.Failed, ""), result(plan.Create, ecr.Tag("shop", "v2"), apply.Skipped, "")}, image: "sha256:new"},
		"deleted, and not made again": {live: []state.Observed{tag}, results: []apply.Result{built, result(plan.Delete, service, apply.Done, ""), result(plan.Create, service, apply.Failed, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts{live: maps.Clone(live), recent: map[string]release.Recent{"web": tc.recent}}
			for _, o := range tc.live {
				f.live[o.Address] = o
			}
			image, version := deployment(spec, fresh, f, &apply.Report{Results: tc.results})
			require.Equal(t, tc.image, image)
			require.Equal(t, tc.version, version)
		})
	}
}
