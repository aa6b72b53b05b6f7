package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github/githubtest"
	"github.com/apron-deploy/apron/providers/gitlab/gitlabtest"
)

func TestPlan_comment(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, "fork")
	hub.Add("eve", "hello")
	c := newCheckout(t, small+"env: {HOST: \"${HOST}\", FILED: \"${FILED}\", OTHER: a, FORGED: \"<!-- apron:plan x -->\"}\n", built.tiny)
	c.write(".env", "KEY="+canary+"-value\nFILED=only-in-env-file\n")
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	summary := filepath.Join(t.TempDir(), "summary")
	w.vars = map[string]string{"GITHUB_TOKEN": "bot", "GITHUB_API_URL": hub.URL, "GITHUB_REPOSITORY": "o/r", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_STEP_SUMMARY": summary, "GITHUB_OUTPUT": summary + ".out", "HOST": "db.internal-4711"}

	code, out := w.run(t.Context(), "plan", "--comment", "--no-verify")
	require.Zero(t, code, out)
	require.Contains(t, out, "issuecomment-2")
	require.Len(t, hub.Comments(), 2)
	first := hub.Comments()[1].Body
	require.Contains(t, first, "```mermaid")
	require.Contains(t, first, "${HOST}")
	require.Contains(t, first, "${FILED}")
	require.NotContains(t, first, "only-in-env-file", "nor is an env file part of the repository")
	require.NotContains(t, first, "4711", "what came from the environment stays there")
	require.NotContains(t, first, canary)

	written, err := os.ReadFile(summary + ".out")
	require.NoError(t, err)
	told := outputs(t, string(written))
	require.Regexp(t, `^apron-[0-9a-f]{32}$`, told["fingerprint"])
	delete(told, "fingerprint")
	require.Equal(t, map[string]string{"changes": "true", "exit-code": "0", "outcome": "ok"}, told)

	hub.Add("eve", first) // forged: not the token's own, and later
	text, err := os.ReadFile(filepath.Join(c.dir, "deploy.yaml"))
	require.NoError(t, err)
	c.write("deploy.yaml", strings.Replace(string(text), "OTHER: a", "OTHER: b", 1))
	code, out = w.run(t.Context(), "plan", "--comment", "--no-verify", "--detailed-exitcode")
	require.Equal(t, 2, code, out)
	require.Len(t, hub.Comments(), 3)
	require.Contains(t, hub.Comments()[1].Body, "- not as before: `create apprunner/service/")
	require.Equal(t, first, hub.Comments()[2].Body)

	w.vars["GITHUB_TOKEN"] = "fork"
	code, out = w.run(t.Context(), "plan", "--comment", "--no-verify", "--detailed-exitcode")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "not shown in a comment")
	written, err = os.ReadFile(summary)
	require.NoError(t, err)
	require.Contains(t, string(written), "**Plan:")

	w.vars["GITHUB_REF"] = "refs/heads/main"
	code, out = w.run(t.Context(), "plan", "--comment", "--no-verify")
	require.Equal(t, 3, code, out)
	require.Contains(t, out, "no pull request")
}

func TestPlan_commentOnGitLab(t *testing.T) {
	t.Parallel()
	lab := gitlabtest.New(t, "reader")
	lab.Add("eve", "hello")
	c := newCheckout(t, small+"env: {HOST: \"${HOST}\", OTHER: a}\n", built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	use := func(token string) {
		w.vars = lab.Variables(token)
		w.vars["HOST"] = "db.internal-4711"
	}
	plan := func() (int, string) {
		return w.run(t.Context(), "plan", "--comment", "--no-verify", "--detailed-exitcode")
	}
	use("bot")
	code, out := plan()
	require.Equal(t, exitChanges, code, out)
	require.Contains(t, out, "https://gitlab.example.com/g/p/-/merge_requests/7#note_2")
	first := lab.Notes()[1].Body
	require.Contains(t, first, "```mermaid")
	require.Contains(t, first, "${HOST}")
	require.NotContains(t, first, "4711")

	lab.Add("eve", first) // forged: not the token's own, and later
	code, out = plan()
	require.Equal(t, exitChanges, code, out)
	require.Contains(t, out, "#note_2, as before")
	c.replace("deploy.yaml", "OTHER: a", "OTHER: b")
	code, out = plan()
	require.Equal(t, exitChanges, code, out)
	require.Len(t, lab.Notes(), 3)
	require.Contains(t, lab.Notes()[1].Body, "- not as before: `create apprunner/service/")
	require.Equal(t, first, lab.Notes()[2].Body)

	for _, token := range []string{"reader", "expired", ""} {
		use(token)
		code, out = plan()
		require.Equal(t, exitChanges, code, out)
		require.Contains(t, out, "apron: warning: the plan is not shown in a comment", token)
	}
	delete(w.vars, "CI_MERGE_REQUEST_IID")
	code, out = plan()
	require.Equal(t, exitUsage, code, out)
	require.Contains(t, out, "no merge request")
}

// TestPlan_commentOfWhatCannotBePlanned: no comment goes on showing a plan of an older commit,
// as if it were that of the manifest that has become wrong.
func TestPlan_commentOfWhatCannotBePlanned(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small+"env: {HOST: \"${HOST}\"}\n")
	broken := func(says ...string) string {
		t.Helper()
		delete(p.vars, "GITHUB_SHA")
		p.vars["GITHUB_REF"] = "refs/pull/7/merge"
		code, out := p.run(t.Context(), "plan", "--comment", "--no-verify")
		require.Equal(t, exitUsage, code, out)
		for _, s := range says {
			require.Contains(t, out, s)
		}
		return out
	}
	good, err := os.ReadFile(filepath.Join(p.c.dir, "deploy.yaml"))
	require.NoError(t, err)
	p.replace("deploy.yaml", "cpu: 256", "cpu: 257")
	broken("is not a size")
	require.Empty(t, p.hub.Comments(), "there is nothing that is out of date")
	p.c.write("deploy.yaml", string(good))
	p.plan(t)
	shown := p.hub.Comments()[0].Body
	p.hub.Review("bob", "APPROVED")

	p.c.write("deploy.yaml", strings.Replace(string(good), "cpu: 256", "cpu: \"257 ${HOST} ${KEY} <!-- `x` -->\"", 1))
	broken("The comment https://github.com/o/r/pull/7#issuecomment-1 says that there is no plan")
	require.Len(t, p.hub.Comments(), 1)
	body := p.hub.Comments()[0].Body
	_, text, _ := strings.Cut(body, "\n")
	require.Contains(t, text, "The plan could not be made at this commit. This comment approves nothing")
	require.Contains(t, text, "deploy.yaml:6:6")
	require.Contains(t, text, `<!-- \x60x\x60 -->`, "code stays code")
	require.NotContains(t, text, "apron-1-2-50", "what it showed before is out of date")
	for _, not := range []string{"4711", canary, "Fingerprint"} {
		require.NotContains(t, text, not)
	}
	broken("says so already")
	require.Equal(t, body, p.hub.Comments()[0].Body)
	p.c.write("deploy.yaml", string(good))
	p.hub.Merge("merge-1", 7)
	p.hub.Review("bob", "APPROVED")
	for _, try := range []string{body, shown[:strings.IndexByte(shown, '\n')] + "\n" + text, body[:strings.IndexByte(body, '\n')] + shown[strings.IndexByte(shown, '\n'):]} {
		p.fresh(t)
		p.hub.Add(p.bot, try)
		p.hub.Review("bob", "APPROVED")
		p.hub.Merge("merge-1", 7)
		code, out := p.apply(t, "merge-1")
		require.Equal(t, exitUnapproved, code, out)
		require.Contains(t, out, "the comment that shows the plan")
	}

	// What comes next is compared with the last plan.
	p.fresh(t)
	p.plan(t)
	p.replace("deploy.yaml", "cpu: 256", "cpu: 257")
	broken()
	p.replace("deploy.yaml", "cpu: 257", "cpu: 512")
	p.replace("deploy.yaml", "memory: 512", "memory: 1024")
	p.plan(t)
	body = p.hub.Comments()[0].Body
	require.Contains(t, body, "- not as before: `create apprunner/service/shop`")
	require.Contains(t, body, "Fingerprint: ")
	require.Contains(t, p.plan(t), "as before")

	// Nor does one whose file is gone, or that GitHub does not let be edited; the exit code is
	// that of the manifest.
	p.hub.Fail(502, 502, 502, 502)
	require.NoError(t, os.Remove(filepath.Join(p.c.dir, "deploy.yaml")))
	broken("apron: warning: that there is no plan is not said in a comment")
	require.Equal(t, body, p.hub.Comments()[0].Body)
	broken("there is no such file")
	require.Contains(t, p.hub.Comments()[0].Body, "there is no such file")
}

// TestPlan_commentSaysWho: what was asked of CloudTrail stands where the plan does.
func TestPlan_commentSaysWho(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small)
	p.world.end()
	vars := p.vars
	p.world = newWorldAt(t, p.c, filepath.Join(t.TempDir(), "quick"), 0, 1e6) // so that CloudTrail is as quick
	p.vars = vars
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	require.NoError(t, resizeByHand(t.Context(), p.config(), "shop", "1024", "2048"))
	// CloudTrail counts in seconds, and so may have seen it before the release had ended.
	who := regexp.MustCompile("`(UpdateService by arn:aws:iam::123456789012:user/sandbox, |who changed it is not yet in CloudTrail)")
	p.plan(t)
	require.NotRegexp(t, who, p.hub.Comments()[0].Body, "nobody asked")
	p.vars["GITHUB_STEP_SUMMARY"] = filepath.Join(t.TempDir(), "summary")
	p.plan(t, "--explain=who")
	require.Regexp(t, who, p.hub.Comments()[0].Body)
	summary, err := os.ReadFile(p.vars["GITHUB_STEP_SUMMARY"])
	require.NoError(t, err)
	require.Regexp(t, who, string(summary))
	require.Contains(t, p.plan(t), "as before", "who does not ask takes nothing out of it")
	require.Contains(t, p.plan(t, "--explain=who"), "as before")

	// An approval is of what is done, whoever made it necessary.
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-1", 7)
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitOK, code, out)

	p.vars["GITHUB_STEP_SUMMARY"] = filepath.Join(t.TempDir(), "alone")
	require.NoError(t, resizeByHand(t.Context(), p.config(), "shop", "1024", "2048"))
	code, out = p.run(t.Context(), "plan", "--no-verify", "--explain=who")
	require.Equal(t, exitOK, code, out)
	summary, err = os.ReadFile(p.vars["GITHUB_STEP_SUMMARY"])
	require.NoError(t, err)
	require.Regexp(t, who, string(summary))
}
