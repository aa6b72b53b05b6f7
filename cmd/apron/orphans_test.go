package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/source/git"
	"github.com/apron-deploy/apron/reconcile/orphan"
	"github.com/apron-deploy/apron/reconcile/render"
)

// shared makes a checkout a repository that others know as github.com/acme/shop. The URL has
// a token in it, as that of a CI job may have.
func (c *checkout) shared() {
	c.t.Helper()
	runGit(c.t, c.dir, "init", "-q", "-b", "main")
	runGit(c.t, c.dir, "remote", "add", "origin", "https://x-access-token:"+canary+"@github.com/acme/shop.git")
}

func (c *checkout) commit(message string) {
	c.t.Helper()
	runGit(c.t, c.dir, "add", "-A")
	runGit(c.t, c.dir, "commit", "-qm", message)
}

// orphansOf runs a command that prints JSON, and returns the orphans in it.
func (w *world) orphansOf(t *testing.T, code int, args ...string) render.Leftovers {
	t.Helper()
	got, out := w.run(t.Context(), append(args, "--json")...)
	require.Equal(t, code, got, out)
	var v render.Leftovers
	require.NoError(t, json.NewDecoder(strings.NewReader(out[strings.Index(out, "{\n"):])).Decode(&v), out)
	return v
}

func (w *world) tag(t *testing.T, service, key, value string) {
	t.Helper()
	info := w.Info()
	client := apprunnersdk.NewFromConfig(aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")})
	all, err := client.ListServices(t.Context(), &apprunnersdk.ListServicesInput{})
	require.NoError(t, err)
	for _, s := range all.ServiceSummaryList {
		if *s.ServiceName == service {
			_, err = client.TagResource(t.Context(), &apprunnersdk.TagResourceInput{ResourceArn: s.ServiceArn, Tags: []types.Tag{{Key: &key, Value: &value}}})
			require.NoError(t, err)
			return
		}
	}
	t.Fatalf("there is no service %s", service)
}

// TestOrphans_areListedAndNothingIsDoneToThem deploys a directory of three manifests, one of
// them for an environment, and lets a pull request delete two.
func TestOrphans_areListedAndNothingIsDoneToThem(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, patient, built.tiny)
	c.shared()
	c.write("more/api.yaml", strings.NewReplacer("service: shop", "service: shop-api", "context: app", "context: ../app").Replace(patient))
	c.write("more/.env", "KEY="+canary+"-more\n")
	c.write("web.yaml", strings.Replace(patient, "service: shop", "service: shop-web", 1)+"environments: {test: {service: shop-web-test}}\n")
	c.commit("three services")
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	w.vars = map[string]string{}
	for _, args := range [][]string{{"."}, {"more/api.yaml"}, {"web.yaml", "-e", "test"}} {
		w.manifest = args[0]
		code, out := w.run(t.Context(), append([]string{"apply", "--yes"}, args[1:]...)...)
		require.Equal(t, exitOK, code, out)
		require.NotContains(t, out, canary)
	}
	before := w.inventory()

	// All is as it should be: the manifests that a run is not about are there.
	for _, args := range [][]string{{"plan"}, {"plan", "--only", "shop"}, {"drift"}} {
		w.manifest = "."
		require.Empty(t, w.orphansOf(t, exitOK, args...), args)
		w.manifest = "more/api.yaml"
		require.Empty(t, w.orphansOf(t, exitOK, args[0]), args)
	}
	w.manifest = "deploy.yaml"
	fingerprint := func() string {
		output := filepath.Join(t.TempDir(), "output")
		require.NoError(t, os.WriteFile(output, nil, 0o644))
		w.vars["GITHUB_ACTIONS"], w.vars["GITHUB_OUTPUT"] = "true", output
		defer func() { delete(w.vars, "GITHUB_ACTIONS"); delete(w.vars, "GITHUB_OUTPUT") }()
		code, out := w.run(t.Context(), "plan", "--detailed-exitcode")
		require.Equal(t, exitOK, code, out)
		told, err := os.ReadFile(output)
		require.NoError(t, err)
		text := regexp.MustCompile(`\bapron-[0-9a-f]{32}\b`).FindString(string(told))
		require.NotEmpty(t, text, string(told))
		return text
	}
	approved := fingerprint()

	runGit(t, c.dir, "rm", "-q", "more/api.yaml")
	c.commit("no api")
	code, out := w.run(t.Context(), "plan", "--detailed-exitcode")
	require.Equal(t, exitOK, code, "an orphan is no change\n%s", out)
	require.Contains(t, out, "1 service has no manifest in this checkout any more. Nothing is done to it.\n  shop-api in us-east-1  http://shop-api.localhost")
	require.Contains(t, out, "      made from more/api.yaml, which this checkout does not have\n")
	require.NotContains(t, out, canary)
	require.Equal(t, approved, fingerprint(), "an approval holds")
	code, out = w.run(t.Context(), "plan", "--format", "markdown")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "| `shop-api` | `us-east-1` | `http://shop-api.localhost")
	found := w.orphansOf(t, exitOK, "drift")
	require.Len(t, found.Orphans, 1)
	require.Equal(t, "github.com/acme/shop more/api.yaml file", found.Orphans[0].Repository+" "+found.Orphans[0].Manifest+" "+found.Orphans[0].Reason)

	c.replace("web.yaml", "environments: {test: {service: shop-web-test}}\n", "")
	found = w.orphansOf(t, exitOK, "plan")
	require.Len(t, found.Orphans, 2)
	require.Equal(t, "shop-web-test test environment", found.Orphans[1].Service+" "+found.Orphans[1].Environment+" "+found.Orphans[1].Reason)
	c.replace("web.yaml", "service: shop-web", "service: shop-site")
	found = w.orphansOf(t, exitOK, "plan")
	require.Len(t, found.Orphans, 3)
	require.Equal(t, "shop-web service", found.Orphans[1].Service+" "+found.Orphans[1].Reason)

	code, out = w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	require.Equal(t, before, w.inventory(), "nothing is destroyed")

	// What a tag says may be anybody's, and where nobody may look nothing is known.
	for _, odd := range []string{"github.com/acme/shop:../../etc/passwd", "github.com/acme/shop:gone.yaml:a b", "github.com/acme/other:gone.yaml", "gone.yaml", "", "$(reboot)=@"} {
		w.tag(t, "shop-api", "apron:manifest", odd)
		require.Len(t, w.orphansOf(t, exitOK, "plan").Orphans, 2, odd)
	}
	w.tag(t, "shop-api", "apron:manifest", "github.com/acme/shop:more/api.yaml")
	w.tag(t, "shop-api", "apron:service", "shop-web")
	require.Len(t, w.orphansOf(t, exitOK, "plan").Orphans, 2, "it is not apron's")
	w.tag(t, "shop-api", "apron:service", "shop-api")
	w.deny("GetResources")
	code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "\nNote: orphans not checked: AccessDeniedException: User is not authorized to perform: GetResources (let the identity do this")
	require.Equal(t, 1, strings.Count(out, "orphans not checked"))
	w.deny("")

	// The command that deletes it is one that a shell runs, at the top of the repository.
	found = w.orphansOf(t, exitOK, "plan")
	bring, destroy, ok := strings.Cut(found.Orphans[0].Delete, " && ")
	require.True(t, ok)
	shell := exec.Command("sh", "-ec", bring)
	shell.Dir = c.dir
	said, err := shell.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Equal(t, "apron destroy -f 'more/api.yaml' --only shop-api", destroy)
	w.manifest = "more/api.yaml"
	code, out = w.run(t.Context(), "destroy", "--only", "shop-api", "--yes")
	require.Equal(t, exitOK, code, out)
	w.manifest = "deploy.yaml"
	require.Len(t, w.orphansOf(t, exitOK, "plan").Orphans, 2)
}

// TestOrphans_areNotAskedForWithoutARemote needs no permission where nothing can be known.
func TestOrphans_areNotAskedForWithoutARemote(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	code, out := w.run(t.Context(), "plan")
	require.Equal(t, exitOK, code, out)
	require.NotContains(t, out, "apron:manifest")
	require.NotContains(t, w.calls, "tagging GetResources")
	c.shared()
	code, out = w.run(t.Context(), "plan")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "+ tags.apron:manifest: github.com/acme/shop:deploy.yaml\n")
	require.Contains(t, w.calls, "tagging GetResources")
}

func TestLook_readsNothingOutsideOfTheWorkTree(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "work")
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("outside.yaml", "service: outside\n")
	write("work/.git/config", "")
	write("work/a.yaml", "service: a\nenvironments: {test: {}}\n")
	write("work/damaged.yaml", "service: [\n")
	write("work/long.yaml", "service: a\n"+strings.Repeat("#\n", maxNames/2))
	write("work/sub/b.yaml", "service: b-${PR}\n")
	for name, to := range map[string]string{"away.yaml": "../outside.yaml", "near.yaml": "a.yaml", "lost.yaml": "nowhere", "dir": ".."} {
		require.NoError(t, os.Symlink(to, filepath.Join(root, name)))
	}
	repo, err := git.Open(root)
	require.NoError(t, err)
	there := orphan.File{Presence: orphan.There}
	for file, want := range map[string]orphan.File{
		"a.yaml":           {Presence: orphan.There, Read: true, Services: []string{"a"}, Environments: []string{"test"}},
		"near.yaml":        {Presence: orphan.There, Read: true, Services: []string{"a"}, Environments: []string{"test"}},
		"sub/b.yaml":       {Presence: orphan.There, Read: true, Services: []string{"b-${PR}"}, Open: true},
		"damaged.yaml":     there,
		"gone.yaml":        {Presence: orphan.Gone},
		"sub/gone.yaml":    {Presence: orphan.Gone},
		"gone/a.yaml":      {Presence: orphan.Gone},
		"long.yaml":        {},
		"sub":              {},
		"away.yaml":        {},
		"lost.yaml":        {},
		"dir/outside.yaml": {},
		"../outside.yaml":  {},
	} {
		require.Equal(t, want, look(repo, file), file)
	}
}

// silent is a network that lets nothing through.
type silent struct{}

func (silent) Do(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAskForOrphans_doesNotWaitForWhoDoesNotAnswer(t *testing.T) {
	c := newCheckout(t, small, built.tiny)
	c.shared()
	synctest.Test(t, func(t *testing.T) {
		a := newApp(strings.NewReader(""), &strings.Builder{}, &strings.Builder{})
		a.lookup = func(string) (string, bool) { return "", false }
		a.files = []string{filepath.Join(c.dir, "deploy.yaml")}
		set, err := a.loadEach()
		require.NoError(t, err)
		s := &session{a: a, set: set, cfg: aws.Config{Region: "us-east-1", HTTPClient: silent{}, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}}
		require.Equal(t, render.Leftovers{Unchecked: "no answer within 15s"}, s.askForOrphans(t.Context())(wiring{}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, render.Leftovers{Unchecked: "context canceled"}, s.askForOrphans(ctx)(wiring{}))
	})
}
