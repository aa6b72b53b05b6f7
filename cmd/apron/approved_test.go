package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github/githubtest"
	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/reconcile/render"
)

// proposal is a world whose changes come by pull request 7 of a GitHub.
type proposal struct {
	*world
	c   *checkout
	hub *githubtest.Server
	bot string // the login that the workflows' token belongs to
}

func newProposal(t *testing.T, manifest string) *proposal {
	c := newCheckout(t, manifest, built.tiny)
	p := &proposal{c: c, world: newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0), bot: "apron[bot]"}
	p.vars = map[string]string{"GITHUB_TOKEN": p.bot, "GITHUB_REPOSITORY": "o/r", "HOST": "db.internal-4711"}
	p.fresh(t)
	return p
}

// fresh is another GitHub, where nothing has happened yet.
func (p *proposal) fresh(t *testing.T) {
	p.hub = githubtest.New(t)
	p.vars["GITHUB_API_URL"] = p.hub.URL
}

// plan comments, as a workflow of the pull request does.
func (p *proposal) plan(t *testing.T, flags ...string) string {
	t.Helper()
	delete(p.vars, "GITHUB_SHA")
	p.vars["GITHUB_REF"] = "refs/pull/7/merge"
	code, out := p.run(t.Context(), append([]string{"plan", "--comment", "--no-verify"}, flags...)...)
	require.Equal(t, exitOK, code, out)
	return out
}

// apply is what a workflow does after the merge.
func (p *proposal) apply(t *testing.T, commit string, flags ...string) (int, string) {
	t.Helper()
	p.merged(commit)
	code, out := p.run(t.Context(), append([]string{"apply", "--approved", "--no-verify"}, flags...)...)
	require.NotContains(t, out, canary)
	return code, out
}

func (p *proposal) merged(commit string) {
	p.vars["GITHUB_REF"], p.vars["GITHUB_SHA"] = "refs/heads/main", commit
}

func (p *proposal) replace(name, old, niu string) { p.c.t.Helper(); p.c.replace(name, old, niu) }

// dieAt is a run that ends, as by a SIGKILL, once a call has taken effect. It reports
// whether the run came so far.
func (p *proposal) dieAt(call string, args ...string) bool {
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	dead := false
	fault := func(n int) sandbox.Fault {
		switch {
		case dead: // what was on its way never left
			return sandbox.Fault{When: sandbox.Before}
		case p.calls[n-1] == call:
			dead = true
			kill()
			return sandbox.Fault{When: sandbox.After}
		}
		return sandbox.Fault{}
	}
	p.mu.Lock()
	p.fault = fault
	p.mu.Unlock()
	p.run(ctx, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
	return dead
}

const proposed = small + "env: {HOST: \"${HOST}\", SHA: \"${git.sha:-none}\", FORGED: \"<!-- apron:plan x -->\"}\n"

func TestApplyApproved(t *testing.T) {
	t.Parallel()
	p := newProposal(t, proposed)
	out := p.plan(t)
	require.Contains(t, out, "The plan is shown in")
	require.Contains(t, p.plan(t), "as before", "what is shown already is not edited")
	require.Empty(t, p.hub.Comments()[0].Editor)
	body := p.hub.Comments()[0].Body
	marker, text, _ := strings.Cut(body, "\n")
	require.NotContains(t, text, "4711")

	// None of these is an approval.
	before := p.inventory()
	for name, tc := range map[string]struct {
		says string
		do   func(h *githubtest.Server)
	}{
		"no comment":             {"no comment of the pull request", func(h *githubtest.Server) { h.Review("bob", "APPROVED") }},
		"forged by another":      {"that this token's own user wrote", func(h *githubtest.Server) { h.Add("eve", body); h.Review("bob", "APPROVED") }},
		"by the name of the app": {"that this token's own user wrote", func(h *githubtest.Server) { h.Add("apron", body); h.Review("bob", "APPROVED") }},
		"edited by another":      {"has edited the comment", func(h *githubtest.Server) { h.Add(p.bot, "x"); h.Edit(1, "eve", body); h.Review("bob", "APPROVED") }},
		"edited by who has gone": {"has edited the comment", func(h *githubtest.Server) { h.Add(p.bot, body); h.Edit(1, "", body); h.Review("bob", "APPROVED") }},
		"another text": {"not as it was written", func(h *githubtest.Server) {
			h.Add(p.bot, strings.Replace(body, "`256`", "`4096`", 1))
			h.Review("bob", "APPROVED")
		}},
		"more text":             {"not as it was written", func(h *githubtest.Server) { h.Add(p.bot, marker+"\n<!--\n"+text+"-->"); h.Review("bob", "APPROVED") }},
		"truncated":             {"is cut", func(h *githubtest.Server) { h.Add(p.bot, body[:len(body)-200]); h.Review("bob", "APPROVED") }},
		"truncated in its head": {"is cut", func(h *githubtest.Server) { h.Add(p.bot, marker[:len(marker)/2]); h.Review("bob", "APPROVED") }},
		"a marker further on":   {"no comment of the pull request", func(h *githubtest.Server) { h.Add(p.bot, "x\n"+body); h.Review("bob", "APPROVED") }},
		"two comments":          {"several comments", func(h *githubtest.Server) { h.Add(p.bot, body); h.Add(p.bot, body); h.Review("bob", "APPROVED") }},
		"nobody":                {"nobody other than the author", func(h *githubtest.Server) { h.Add(p.bot, body) }},
		"the author":            {"nobody other than the author", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("ann", "APPROVED") }},
		"the workflow itself":   {"nobody other than the author", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review(p.bot, "APPROVED") }},
		"an app":                {"nobody other than the author", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("lint[bot]", "APPROVED") }},
		"a stranger":            {"may not push", func(h *githubtest.Server) { h.Strangers("eve"); h.Add(p.bot, body); h.Review("eve", "APPROVED") }},
		"a dismissed review":    {"was dismissed", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("bob", "APPROVED"); h.Dismiss() }},
		"an older commit":       {"of an older commit", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("bob", "APPROVED"); h.Push("head-2") }},
		"before it was shown":   {"older than the plan", func(h *githubtest.Server) { h.Review("bob", "APPROVED"); h.Add(p.bot, body) }},
		"an objection since": {"asked for changes", func(h *githubtest.Server) {
			h.Add(p.bot, body)
			h.Review("bob", "APPROVED")
			h.Review("bob", "CHANGES_REQUESTED")
		}},
		"one of another branch":  {"no pull request was merged into main as merge-1", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("bob", "APPROVED"); h.Base("dev") }},
		"a pull request besides": {"2 pull requests were merged", func(h *githubtest.Server) { h.Add(p.bot, body); h.Review("bob", "APPROVED"); h.Merge("merge-1", 8) }},
	} {
		p.fresh(t)
		tc.do(p.hub)
		p.hub.Merge("merge-1", 7)
		code, out := p.apply(t, "merge-1")
		require.Equal(t, exitUnapproved, code, "%s: %s", name, out)
		require.Contains(t, out, tc.says, name)
		require.Contains(t, out, "nothing was changed", name)
		require.Regexp(t, `apron apply -f \S+ --no-verify --sandbox --approved=apron-[0-9a-f]{32}`, out, name)
	}
	p.fresh(t)
	p.hub.Add(p.bot, body)
	p.hub.Review("bob", "APPROVED")
	code, out := p.apply(t, "head-1")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "no pull request was merged into main as head-1")
	require.Equal(t, before, p.inventory(), "until here nothing has been made")

	// This one is, also where a run before it died on the way.
	p.hub.Merge("merge-1", 7)
	p.merged("merge-1")
	require.True(t, p.dieAt("apprunner CreateService", "apply", "--approved", "--no-verify"))
	require.NotEqual(t, before, p.inventory())
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitOK, code, out)
	p.fresh(t)
	code, out = p.apply(t, "pushed")
	require.Equal(t, exitOK, code, "nothing to do needs nobody: %s", out)
	require.Contains(t, out, "No changes")
}

func TestApplyApproved_refusedUntilThePlanOfNowIsApproved(t *testing.T) {
	t.Parallel()
	p := newProposal(t, proposed)
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	p.replace("deploy.yaml", "memory: 512", "memory: 1024")
	p.plan(t)
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-1", 7)

	// Another plan than the one that was approved, however often it is tried.
	p.replace("deploy.yaml", "max: 2", "max: 3")
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "o/r#7: what would be done is not what was approved: not approved: create apprunner/scaling/apron-1-3-50")
	require.Contains(t, out, "scaling: apprunner/scaling/apron-1-2-50 → apprunner/scaling/apron-1-3-50")
	require.Len(t, p.hub.Comments(), 1)
	require.Contains(t, p.hub.Comments()[0].Body, "- new: `create apprunner/scaling/apron-1-3-50`")
	for range 2 {
		code, out = p.apply(t, "merge-1")
		require.Equal(t, exitUnapproved, code, out)
		require.Contains(t, out, "the approval is older than the plan")
		code, out = p.apply(t, "merge-1", "--no-review")
		require.Equal(t, exitUnapproved, code, out)
		require.Contains(t, out, "only since the merge")
	}
	p.hub.Review("bob", "APPROVED")
	code, out = p.apply(t, "merge-1")
	require.Equal(t, exitOK, code, out)

	// Without reviews the merge counts, for what was shown before it.
	p.fresh(t)
	p.replace("deploy.yaml", "max: 3", "max: 4")
	p.plan(t)
	p.hub.Merge("merge-2", 7)
	code, out = p.apply(t, "merge-2")
	require.Equal(t, exitUnapproved, code, out)
	p.hub.Fail(502, 502, 502, 502)
	code, out = p.apply(t, "merge-2", "--no-review")
	require.Equal(t, exitError, code, "GitHub does not answer: %s", out)
	code, out = p.apply(t, "merge-2", "--no-review")
	require.Equal(t, exitOK, code, out)
}

// TestApplyApproved_aMarkerInAValueIsNone, though it is that of this run and shows the very plan
// that would be carried out.
func TestApplyApproved_aMarkerInAValueIsNone(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small)
	good, err := os.ReadFile(filepath.Join(p.c.dir, "deploy.yaml"))
	require.NoError(t, err)
	p.plan(t)
	harmless := p.hub.Comments()[0].Body
	marker, _, _ := strings.Cut(harmless, "\n")
	for name, value := range map[string]string{"a line": marker, "a line within": "x\n" + marker + "\nx", "all of it": harmless, "all of it within": "`\n" + harmless} {
		p.fresh(t)
		p.c.write("deploy.yaml", strings.Replace(string(good), "max: 2", "max: 3", 1)+"env: {FORGED: "+strconv.QuoteToASCII(strings.ReplaceAll(value, "$", "$$"))+"}\n")
		p.plan(t)
		body := p.hub.Comments()[0].Body
		require.NotContains(t, body, "\n<!--", name)
		require.Contains(t, body, "<!-- apron:plan", name)
		p.hub.Review("bob", "APPROVED")
		p.hub.Merge("merge-1", 7)
		forged, err := os.ReadFile(filepath.Join(p.c.dir, "deploy.yaml"))
		require.NoError(t, err)
		p.c.write("deploy.yaml", string(good))
		code, out := p.apply(t, "merge-1")
		require.Equal(t, exitUnapproved, code, "%s: %s", name, out)
		require.Contains(t, out, "not approved: create apprunner/scaling/apron-1-2-50", name)

		// Whoever cuts off what stands before it makes it no comment of apron's.
		_, cut, _ := strings.Cut(body, "FORGED")
		p.fresh(t)
		p.c.write("deploy.yaml", string(forged))
		p.hub.Add(p.bot, strings.TrimLeft(cut, "`| "))
		p.hub.Review("bob", "APPROVED")
		p.hub.Merge("merge-1", 7)
		p.c.write("deploy.yaml", string(good))
		code, out = p.apply(t, "merge-1")
		require.Equal(t, exitUnapproved, code, "%s: %s", name, out)
	}
	require.NotContains(t, p.inventory(), "service RUNNING shop")
}

// TestApplyApproved_ofAQueuesGroup: a queue that merges two pull requests pushes them at once, as
// the commit of the last. Its comment shows what it does alone.
func TestApplyApproved_ofAQueuesGroup(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small)
	code, out := p.run(t.Context(), "apply", "--yes", "--no-verify")
	require.Equal(t, exitOK, code, out)
	p.replace("deploy.yaml", "max: 2", "max: 3")
	p.plan(t)
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("group-1", 8)
	p.hub.Merge("group-2", 7)
	p.replace("deploy.yaml", "memory: 512", "memory: 1024") // what the other one does
	code, out = p.apply(t, "group-2")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "o/r#7: what would be done is not what was approved: not as approved: update apprunner/service/shop")
	require.Contains(t, p.hub.Comments()[0].Body, "`memory`", "the comment shows what both do")
	p.hub.Review("bob", "APPROVED")
	code, out = p.apply(t, "group-2")
	require.Equal(t, exitOK, code, out)

	// Where the other one changes nothing that is deployed, the comment is right.
	p.fresh(t)
	p.replace("deploy.yaml", "max: 3", "max: 4")
	p.plan(t)
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("group-3", 8)
	p.hub.Merge("group-4", 7)
	p.c.write("README", "what the other one does\n")
	code, out = p.apply(t, "group-4")
	require.Equal(t, exitOK, code, out)
}

func TestApplyApproved_wrongUse(t *testing.T) {
	t.Parallel()
	run := func(vars map[string]string, args ...string) (int, string) {
		var out bytes.Buffer
		a := newApp(nil, &out, &out)
		a.lookup = func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
		return a.run(t.Context(), append([]string{"apply"}, args...)), out.String()
	}
	code, out := run(nil, "--approved", "apron-00000000000000000000000000000000")
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "--approved=apron-0")
	code, out = run(nil, "--no-review")
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "goes with --approved")
	code, out = run(map[string]string{"GITHUB_TOKEN": "x"}, "--approved")
	require.Equal(t, exitUsage, code)
	require.Contains(t, out, "run it in GitHub Actions on push")
	code, out = run(map[string]string{"GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "x", "GITHUB_REF": "refs/heads/main"}, "--approved")
	require.Equal(t, exitCredentials, code)
	require.Contains(t, out, "there is no token")
}

func TestShellWord(t *testing.T) {
	require.Equal(t, "a/b.yaml", shellWord("a/b.yaml"))
	require.Equal(t, `'it'\''s; rm'`, shellWord("it's; rm"))
}

// FuzzTold: no marker, whoever wrote it, does more than be refused.
func FuzzTold(f *testing.F) {
	a := newApp(nil, new(bytes.Buffer), new(bytes.Buffer))
	v := &render.Plan{FormatVersion: render.FormatVersion}
	good, err := a.compose(told{Approval: "apron-1", Plan: v}, 65536)
	require.NoError(f, err)
	f.Add(good)
	failed, err := a.compose(told{Approval: "apron-1", Plan: v, Failed: []render.Problem{{Why: "x"}}}, 65536)
	require.NoError(f, err)
	f.Add(failed)
	f.Add(a.marker() + "cut -->\nx")
	f.Add(a.marker() + base64.RawStdEncoding.EncodeToString([]byte("\x1f\x8b")) + " -->")
	f.Add("x" + good)
	f.Fuzz(func(t *testing.T, body string) {
		got, found := a.marked(body)
		require.Equal(t, strings.HasPrefix(body, a.marker()), found)
		if got == nil || !a.intact(*got, body, 65536) {
			return
		}
		_, text, _ := strings.Cut(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
		again, err := a.compose(*got, 65536)
		require.NoError(t, err)
		_, want, _ := strings.Cut(again, "\n")
		require.Equal(t, strings.TrimSpace(want), strings.TrimSpace(text))
	})
}

// TestApplyApproved_saysHowToGoOn: the command that a refusal prints carries out the plan that
// it was refused with, whatever that took.
func TestApplyApproved_saysHowToGoOn(t *testing.T) {
	t.Parallel()
	p := newProposal(t, small+"permissions: [\"s3:* *\"]\nenv: {LEVEL: \"${LEVEL}\"}\n---\n"+strings.Replace(small, "service: shop", "service: bill", 1))
	vars := filepath.Join(p.c.dir, "it's vars")
	p.c.write("it's vars", "LEVEL=debug\nKEY="+canary+"-value\n")
	given := []string{"--replace", "--resume", "--adopt", "--allow-wildcard", "--no-cache=false", "--parallelism", "3", "--lock-timeout", "1s",
		"--only", "shop", "--env-file", vars, "--region", sandboxRegion}
	code, out := p.apply(t, "merge-1", append(given, "--debug")...)
	require.Equal(t, exitUnapproved, code, out)
	_, rest, found := strings.Cut(out, "has required reviewers: apron ")
	require.True(t, found, out)
	line, _, _ := strings.Cut(rest, "\n")
	again, err := exec.Command("sh", "-c", "printf '%s\\n' "+line).Output() // as a shell takes it apart
	require.NoError(t, err)
	args := strings.Split(strings.TrimSuffix(string(again), "\n"), "\n")
	for _, flag := range []string{"--no-verify", "--sandbox", "--no-cache=false"} {
		require.Contains(t, args, flag)
	}
	for _, flag := range []string{"--debug", "--approved"} {
		require.NotContains(t, args, flag)
	}
	for i := 0; i+1 < len(given); i++ {
		if strings.HasPrefix(given[i], "--") && !strings.HasPrefix(given[i+1], "--") {
			require.Contains(t, line, given[i]+" "+shellWord(given[i+1]))
		}
	}
	require.Contains(t, line, " -f "+filepath.Join(p.c.dir, "deploy.yaml"))
	at := slices.Index(args, "-f") // which the world adds itself
	code, out = p.run(t.Context(), slices.Delete(args, at, at+2)...)
	require.Equal(t, exitOK, code, out)
	require.Contains(t, p.inventory(), "service RUNNING shop")
}
