package main

import (
	"os"
	"path/filepath"
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
