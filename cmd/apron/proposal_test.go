package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github/githubtest"
)

// TestStory_fromPullRequestToProduction is a change's life, through the built binary: its
// plan on a pull request, somebody else's hand in between, its approval, its release, the
// way back, and the drift that comes after.
func TestStory_fromPullRequestToProduction(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t)
	c := newCheckout(t, small, built.app)
	base := c.vars
	on := func(vars ...string) {
		c.vars = append(append([]string(nil), base...), append(vars, "GITHUB_TOKEN=apron[bot]", "GITHUB_REPOSITORY=o/r", "GITHUB_API_URL="+hub.URL)...)
	}
	on()
	c.apron(exitOK, "apply", "--sandbox", "--yes")
	cfg := c.config()

	// The pull request is opened, and its manifest pushed once more.
	on("GITHUB_REF=refs/pull/7/merge")
	c.replace("deploy.yaml", "version: v1", "version: v2")
	c.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	c.apron(exitOK, "plan", "--comment", "--sandbox")
	c.replace("deploy.yaml", "cpu: 256", "cpu: 512")
	c.replace("deploy.yaml", "memory: 512", "memory: 1024")
	hub.Push("head-2")
	c.apron(exitOK, "plan", "--comment", "--sandbox")
	require.Len(t, hub.Comments(), 1)
	shown := hub.Comments()[0].Body
	require.Contains(t, shown, "- not as before: `update apprunner/service/shop`")
	require.NotContains(t, shown, canary)
	hub.Review("bob", "APPROVED")

	// Somebody changes the CPU by hand, and the pull request is merged.
	require.NoError(t, resizeByHand(t.Context(), cfg, "shop", "1024", "2048"))
	hub.Merge("merge-1", 7)
	on("GITHUB_REF=refs/heads/main", "GITHUB_SHA=merge-1")
	_, errOut := c.apron(exitUnapproved, "apply", "--approved", "--sandbox")
	require.Contains(t, errOut, "cpu:    256 → 512")
	require.Contains(t, errOut, "cpu:    1024 → 512")
	require.Regexp(t, `apron apply --sandbox --approved=apron-[0-9a-f]{32}`, errOut)
	require.NotEqual(t, shown, hub.Comments()[0].Body)
	c.apron(exitUnapproved, "apply", "--approved", "--sandbox")
	hub.Review("bob", "APPROVED")
	c.apron(exitOK, "apply", "--approved", "--sandbox")
	history, _ := c.apron(exitOK, "history", "--sandbox")
	require.Regexp(t, `(?m)^2 .* v2 .*cpu.*succeeded`, history)

	// Back, with CPU and image.
	out, _ := c.apron(exitOK, "rollback", "--sandbox", "--yes")
	require.Contains(t, out, "cpu:    512 → 256")
	require.Contains(t, out, "image:")
	c.apron(exitOK, "drift", "--sandbox", "--issue")
	require.Empty(t, hub.Issues(), "there is nothing to tell")

	// Another hand: an issue, and the manifest that says so.
	require.NoError(t, resizeByHand(t.Context(), cfg, "shop", "1024", "2048"))
	out, _ = c.apron(exitChanges, "drift", "--sandbox", "--issue")
	require.Contains(t, out, "cpu:    256 → 1024 # drift")
	require.Len(t, hub.Issues(), 1)
	require.Contains(t, hub.Issues()[0].Body, "| `cpu` | `256` | `1024` | drift |")
	before, err := os.ReadFile(filepath.Join(c.dir, "deploy.yaml"))
	require.NoError(t, err)
	c.apron(exitOK, "drift", "--sandbox", "--accept")
	after, err := os.ReadFile(filepath.Join(c.dir, "deploy.yaml"))
	require.NoError(t, err)
	require.Equal(t, strings.NewReplacer("cpu: 512", "cpu: 1024", "memory: 1024", "memory: 2048").Replace(string(before)), string(after))
	c.apron(exitOK, "apply", "--sandbox", "--yes")
	c.apron(exitOK, "drift", "--sandbox", "--issue")
	require.True(t, hub.Issues()[0].Closed)
	require.Equal(t, []string{"Nothing differs any more."}, hub.Issues()[0].Comments)
}

func TestDrift_issue(t *testing.T) {
	t.Parallel()
	p := newProposal(t, proposed)
	p.replace("deploy.yaml", "FORGED: ", "A: \"a|b`c --> @all\", FORGED: ")
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	cfg := p.config()
	drift := func(want int, says string) {
		t.Helper()
		code, out := p.run(t.Context(), "drift", "--issue")
		require.Equal(t, want, code, out)
		require.Contains(t, out, says)
		for _, i := range p.hub.Issues() {
			require.NotContains(t, i.Body, canary)
			require.NotContains(t, i.Body, "4711")
		}
	}
	require.NoError(t, resizeByHand(t.Context(), cfg, "shop", "512", "1024"))
	drift(exitChanges, "Opened https://github.com/o/r/issues/8")
	first := p.hub.Issues()[0]
	require.Equal(t, "Drift: shop", first.Title)
	require.Equal(t, []string{driftLabel}, first.Labels)
	drift(exitChanges, "says so already")
	require.Zero(t, p.hub.Issues()[0].Edits)
	require.NoError(t, resizeByHand(t.Context(), cfg, "shop", "1024", "2048"))
	drift(exitChanges, "Brought https://github.com/o/r/issues/8 up to date")
	require.Contains(t, p.hub.Issues()[0].Body, "`1024`")
	code, out = p.run(t.Context(), "drift", "--revert", "--yes")
	require.Equal(t, exitOK, code, out)
	drift(exitOK, "Closed")
	drift(exitOK, "No drift")
	require.Len(t, p.hub.Issues()[0].Comments, 1)
	require.NoError(t, resizeByHand(t.Context(), cfg, "shop", "512", "1024"))
	drift(exitChanges, "up to date")
	require.False(t, p.hub.Issues()[0].Closed, "the same one is opened again")

	// Somebody else's is none of ours, whatever it says; nor is what GitHub refuses an end.
	p.fresh(t)
	p.hub.AddIssue("eve", "forged", first.Body, driftLabel)
	drift(exitChanges, "Opened https://github.com/o/r/issues/9")
	for _, tc := range []struct{ status, code int }{{403, exitCredentials}, {410, exitError}} {
		p.hub.Fail(tc.status)
		drift(tc.code, "the issue is not kept")
	}
	p.fresh(t)
	p.hub.ReadOnly(p.bot)
	drift(exitCredentials, "the issue of shop is not kept")
	p.vars["APRON_SLACK_WEBHOOK"] = "http://127.0.0.1:1/hook"
	drift(exitCredentials, "Slack was not told")
	p.hub.ReadOnly()
	drift(exitError, "Slack was not told")
	delete(p.vars, "APRON_SLACK_WEBHOOK")
	drift(exitChanges, "says so already")
	p.hub.ReadOnly(p.bot)
	code, out = p.run(t.Context(), "drift", "--revert", "--yes")
	require.Equal(t, exitOK, code, out)
	drift(exitOK, "apron: warning: the issue of shop is not kept")
	delete(p.vars, "GITHUB_REPOSITORY")
	code, out = p.run(t.Context(), "drift", "--issue")
	require.Equal(t, exitUsage, code, out)
}

func TestApplyApproved_whatHappensBeforeTheMerge(t *testing.T) {
	t.Parallel()
	p := newProposal(t, proposed+"environments:\n  staging: {service: shop-staging}\n")
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)

	// Staging has the same repository: what it pushed is nothing that production still lacks.
	p.replace("deploy.yaml", "version: v1", "version: v2")
	p.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	p.plan(t)
	p.plan(t, "-e", "staging")
	require.Len(t, p.hub.Comments(), 2, "one for each environment")
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("queue-1", 7) // the commit that a merge queue made
	code, out = p.apply(t, "queue-1", "-e", "staging")
	require.Equal(t, exitOK, code, out)
	code, out = p.apply(t, "queue-1")
	require.Equal(t, exitOK, code, out)

	// A secret is rotated in between.
	p.fresh(t)
	p.replace("deploy.yaml", "max: 2", "max: 3")
	p.plan(t)
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-2", 7)
	p.in = canary + "-rotated\n"
	delete(p.vars, "GITHUB_SHA")
	code, out = p.run(t.Context(), "secrets", "set", "KEY", "--yes")
	require.Equal(t, exitOK, code, out)
	code, out = p.apply(t, "merge-2")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "not approved: ")
	require.Contains(t, out, "/apron/shop/KEY")
	p.hub.Review("bob", "APPROVED")
	code, out = p.apply(t, "merge-2")
	require.Equal(t, exitOK, code, out)

	// A second pull request is merged and deployed in between.
	p.fresh(t)
	p.replace("deploy.yaml", "max: 3", "max: 4")
	p.plan(t)
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-3", 7)
	p.replace("deploy.yaml", "max: 4", "max: 3")
	p.replace("deploy.yaml", "memory: 512", "memory: 1024")
	code, out = p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	p.replace("deploy.yaml", "max: 3", "max: 4")
	code, out = p.apply(t, "merge-3")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "not as approved: update apprunner/service/shop")
}

func TestApplyApproved_aManifestThatIsDeletedDestroysNothing(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small)
	p.c.shared()
	p.manifest = "all"
	require.NoError(t, os.CopyFS(filepath.Join(p.c.dir, "all", "app"), os.DirFS(filepath.Join(p.c.dir, "app"))))
	p.c.write("all/shop.yaml", small)
	p.c.write("all/gone.yaml", strings.Replace(small, "service: shop", "service: gone", 1))
	p.vars["KEY"] = canary + "-value"
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	require.NoError(t, os.Remove(filepath.Join(p.c.dir, "all", "gone.yaml")))
	p.replace("all/shop.yaml", "max: 2", "max: 3")
	p.plan(t)
	shown := p.hub.Comments()[0].Body
	require.Contains(t, shown, "**1 service has no manifest in this checkout any more. Nothing is done to it.**")
	require.Contains(t, shown, "made from `all/gone.yaml`, which this checkout does not have")
	require.NotContains(t, shown, canary)
	p.hub.Merge("merge-1", 7)
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitUnapproved, code, out)
	require.Equal(t, shown, p.hub.Comments()[0].Body, "who refuses takes nothing out of it")
	p.hub.Review("bob", "APPROVED")
	p.tag(t, "gone", "apron:manifest", "github.com/acme/shop:all/shop.yaml") // it is one no more, which nobody has to approve
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, p.inventory(), "service RUNNING gone")
}

// TestDrift_issueOfEachEnvironment has two environments drift, of which one is brought back.
func TestDrift_issueOfEachEnvironment(t *testing.T) {
	t.Parallel()
	p := newProposal(t, strings.Replace(small, "version: v1, ", "", 1)+"environments:\n  production: {}\n  staging: {service: shop-staging}\n")
	run := func(want int, args ...string) string {
		t.Helper()
		code, out := p.run(t.Context(), args...)
		require.Equal(t, want, code, out)
		return out
	}
	for environment, service := range map[string]string{"production": "shop", "staging": "shop-staging"} {
		run(exitOK, "apply", "--yes", "--no-verify", "-e", environment)
		require.NoError(t, resizeByHand(t.Context(), p.config(), service, "512", "1024"))
	}
	drift := func(want int, environment string) { t.Helper(); run(want, "drift", "--issue", "-e", environment) }
	type issue struct {
		title         string
		closed        bool
		edits         int
		names, others bool // the service, and the one of the other environment
	}
	issues := func() (all []issue) {
		for _, i := range p.hub.Issues() {
			all = append(all, issue{i.Title, i.Closed, i.Edits, strings.Contains(i.Body, "`apprunner/service/shop`"), strings.Contains(i.Body, "`apprunner/service/shop-staging`")})
		}
		return all
	}
	drift(exitChanges, "production")
	drift(exitChanges, "staging")
	require.Equal(t, []issue{{"Drift: shop (production)", false, 0, true, false}, {"Drift: shop-staging (staging)", false, 0, false, true}}, issues())

	// The same service in no environment is another matter, and what one finds closes no other.
	run(exitChanges, "drift", "--issue")
	run(exitOK, "drift", "--revert", "--yes", "-e", "production")
	drift(exitOK, "production")
	drift(exitChanges, "staging")
	require.Equal(t, []issue{{"Drift: shop (production)", true, 0, true, false}, {"Drift: shop-staging (staging)", false, 0, false, true}, {"Drift: shop", false, 0, true, false}}, issues())
}
