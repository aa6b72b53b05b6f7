package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest/yamltest"
	"github.com/apron-deploy/apron/providers/github/githubtest"
	"github.com/apron-deploy/apron/providers/gitlab/gitlabtest"
)

const (
	githubExample = "../../examples/github-actions"
	gitlabExample = "../../examples/gitlab-ci"
)

// run is one job of a workflow on a runner of its own.
func (j *ciJob) run(file, job string) (code int, out, summary string, outs map[string]string) {
	j.t.Helper()
	var w workflow
	yamltest.Read(j.t, filepath.Join(j.dir, ".github", "workflows", file), &w)
	require.Contains(j.t, w.Jobs, job)
	was := maps.Clone(j.vars)
	defer func() { j.vars = was }()
	temp := j.t.TempDir()
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH"} {
		j.vars[name] = filepath.Join(temp, name)
	}
	if w.Jobs[job].If != "" {
		require.Equal(j.t, "true", j.expand(w.Jobs[job].If))
	}
	code, out = j.steps(w.Jobs[job].Steps)
	text, err := os.ReadFile(j.vars["GITHUB_STEP_SUMMARY"])
	if err == nil {
		summary = string(text)
	}
	if text, err = os.ReadFile(j.vars["GITHUB_OUTPUT"]); err == nil {
		outs = outputs(j.t, string(text))
	}
	return code, out, summary, outs
}

// TestExamples_githubActions runs every script of the example: a pull request gets its
// comment, is approved, merged and applied; what nobody approved is refused, and carried out
// once somebody gives its fingerprint; and drift becomes an issue.
func TestExamples_githubActions(t *testing.T) {
	t.Parallel()
	pinned := githubFiles(t)["action.yml"].Inputs["version"].Default
	j := newCIJob(t, "github-actions", pinned)
	hub := githubtest.New(t)
	sum := exec.Command("go", "mod", "download", "-json", "github.com/apron-deploy/apron@"+pinned)
	for k, v := range j.vars {
		sum.Env = append(sum.Env, k+"="+v)
	}
	described, err := sum.Output()
	require.NoError(t, err)
	var module struct{ Sum string }
	require.NoError(t, json.Unmarshal(described, &module))
	maps.Copy(j.values, map[string]string{
		"github.token":         "apron[bot]",
		"vars.APRON_PLAN_ROLE": "arn:aws:iam::123456789012:role/plan", "vars.APRON_APPLY_ROLE": "arn:aws:iam::123456789012:role/apply", "vars.AWS_REGION": "us-east-1",
	})
	maps.Copy(j.vars, map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_API_URL": hub.URL, "GITHUB_WORKSPACE": j.dir})
	const push, dispatch = "github.event_name == 'push'", "github.event_name == 'workflow_dispatch'"
	const pull, queue = "github.event_name == 'pull_request'", "github.event_name == 'merge_group'"
	const own, fork = queue + " || github.event.pull_request.head.repo.full_name == github.repository", pull + " && github.event.pull_request.head.repo.full_name != github.repository"
	event := func(ref, sha string, is ...string) {
		j.vars["GITHUB_REF"], j.vars["GITHUB_SHA"] = ref, sha
		for _, condition := range []string{fork, own, push, dispatch, pull, queue} {
			j.values[condition] = fmt.Sprint(slices.Contains(is, condition))
		}
	}

	event("refs/pull/7/merge", "test-merge", own, pull)
	const action = ".github/actions/apron/action.yml"
	j.c.replace(action, `default: ""`, "default: h1:another")
	code, out, _, _ := j.run("plan.yml", "plan")
	require.Equal(t, 1, code, "an apron of another checksum is not installed: %s", out)
	require.Contains(t, out, "h1:another was expected")
	j.c.replace(action, "h1:another", module.Sum)
	code, out, _, outs := j.run("plan.yml", "plan")
	require.Zero(t, code, out)
	require.Len(t, hub.Comments(), 1)
	require.Contains(t, hub.Comments()[0].Body, "**Plan:")
	require.Equal(t, "true", outs["changes"])

	event("refs/pull/7/merge", "test-merge", fork, pull)
	values := maps.Clone(j.values)
	maps.DeleteFunc(j.values, func(name, _ string) bool { return strings.HasPrefix(name, "vars.") }) // which forks do not get
	code, out, summary, _ := j.run("plan.yml", "fork")
	j.values = values
	require.Zero(t, code, out)
	require.Contains(t, out, "service shop-production is valid")
	require.Contains(t, summary, "**Plan:")

	// A queue waits for the check of the plan. What it tries is no pull request, nor a fork's.
	shown := hub.Comments()
	event("refs/heads/gh-readonly-queue/main/pr-7-base-1", "queue-1", own, queue)
	code, out, summary, _ = j.run("plan.yml", "plan")
	require.Zero(t, code, out)
	require.Contains(t, summary, "**Plan:")
	require.Equal(t, shown, hub.Comments())

	hub.Review("bob", "APPROVED")
	hub.Merge("merge-1", 7)
	event("refs/heads/main", "merge-1", push)
	code, out, summary, outs = j.run("apply.yml", "apply")
	require.Zero(t, code, out)
	require.Contains(t, summary, "**Apply complete:")
	require.Contains(t, outs["url"], "http://shop-production.localhost:")

	text, err := os.ReadFile(filepath.Join(j.dir, "deploy.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(j.dir, "deploy.yaml"), []byte(strings.Replace(string(text), "max: 2", "max: 3", 1)), 0o644))
	event("refs/heads/main", "pushed-1", push)
	code, out, _, outs = j.run("apply.yml", "apply")
	require.Equal(t, exitUnapproved, code, out)
	j.values["inputs.fingerprint"] = outs["fingerprint"]
	event("refs/heads/main", "pushed-1", dispatch)
	code, out, summary, _ = j.run("apply.yml", "apply")
	require.Zero(t, code, out)
	require.Contains(t, summary, "**Apply complete:")

	event("refs/heads/main", "pushed-1")
	code, out, summary, _ = j.run("drift.yml", "drift")
	require.Zero(t, code, out)
	require.Contains(t, summary, "**No drift.**")
	require.Empty(t, hub.Issues())
	require.NoError(t, resizeByHand(t.Context(), j.c.config(), "shop-production", "512", "1024"))
	code, out, summary, outs = j.run("drift.yml", "drift")
	require.Zero(t, code, out)
	require.Contains(t, summary, "**Drift: 2 settings changed.**")
	require.Equal(t, "changes", outs["outcome"])
	require.Len(t, hub.Issues(), 1)
	require.NoError(t, resizeByHand(t.Context(), j.c.config(), "shop-production", "1024", "2048"))
	hub.ReadOnly("apron[bot]")
	code, out, _, _ = j.run("drift.yml", "drift")
	require.NotZero(t, code, "drift that nobody was told of is no success: %s", out)
	require.Contains(t, out, "the issue of shop-production is not kept")

	j.everyScript(githubScripts(t))
}

func githubFiles(t *testing.T) map[string]workflow {
	t.Helper()
	all := map[string]workflow{}
	for _, pattern := range []string{"workflows/*.yml", "actions/*/action.yml"} {
		files, err := filepath.Glob(filepath.Join(githubExample, ".github", pattern))
		require.NoError(t, err)
		for _, file := range files {
			var w workflow
			yamltest.Read(t, file, &w)
			all[filepath.Base(file)] = w
		}
	}
	require.Len(t, all, 4)
	return all
}

func githubScripts(t *testing.T) (all []string) {
	for _, w := range githubFiles(t) {
		steps := slices.Clone(w.Runs.Steps)
		for _, job := range w.Jobs {
			steps = append(steps, job.Steps...)
		}
		for _, s := range steps {
			if s.Run != "" {
				all = append(all, s.Run)
			}
		}
	}
	return all
}

// TestExamples_githubActionsAskForLittle: no workflow runs with the rights of the repository
// on the code of a fork, each names what it asks for, and two never do the same thing at once.
func TestExamples_githubActionsAskForLittle(t *testing.T) {
	t.Parallel()
	asks := map[string][]string{}
	for file, w := range githubFiles(t) {
		if len(w.Jobs) == 0 {
			continue
		}
		require.NotContains(t, fmt.Sprint(w.On), "pull_request_target", file)
		for name, job := range w.Jobs {
			require.NotContains(t, job.If, "repo.fork", "%s: %s: where the repository is a fork itself, that says so of its own branches", file, name)
		}
		if file == "plan.yml" {
			require.Equal(t, []any{"pull_request", "merge_group"}, w.On, "a queue waits for ever for a check that never runs")
		}
		require.NotNil(t, w.Permissions, file)
		require.Empty(t, w.Permissions, "%s: jobs ask for themselves", file)
		for name, job := range w.Jobs {
			require.NotNil(t, job.Permissions, "%s: %s", file, name)
			require.NotEmpty(t, job.Concurrency.Group, "%s: %s", file, name)
			asks[file+" "+name] = permitted(job.Permissions)
			if file == "apply.yml" { // else a third merge takes the place of the second, which waits
				require.Equal(t, "max", job.Concurrency.Queue)
				require.Equal(t, "false", job.Concurrency.CancelInProgress, "GitHub refuses both")
			}
			for _, s := range job.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout") {
					require.Equal(t, "false", s.With["persist-credentials"], file)
				}
			}
		}
	}
	require.Equal(t, map[string][]string{
		"plan.yml plan":   {"contents: read", "id-token: write", "pull-requests: write"},
		"plan.yml fork":   {"contents: read"},
		"apply.yml apply": {"contents: read", "id-token: write", "pull-requests: write"},
		"drift.yml drift": {"contents: read", "id-token: write", "issues: write"},
	}, asks)
}

// gitlabJobs are the jobs of the example, with what they inherit, and the version of apron that
// they install.
func gitlabJobs(t *testing.T) (map[string]gitlabJob, string) {
	t.Helper()
	var file map[string]any
	yamltest.Read(t, filepath.Join(gitlabExample, ".gitlab-ci.yml"), &file)
	get := func(name, key string) any {
		for name != "" {
			job, ok := file[name].(map[string]any)
			require.True(t, ok, name)
			if v, ok := job[key]; ok {
				return v
			}
			name, _ = job["extends"].(string)
		}
		return nil
	}
	var lines func(v any) []string
	lines = func(v any) (all []string) {
		for _, line := range v.([]any) {
			if text, ok := line.(string); ok {
				all = append(all, text)
				continue
			}
			from := line.([]any) // !reference
			all = append(all, lines(get(from[0].(string), from[1].(string)))...)
		}
		return all
	}
	global, _ := file["variables"].(map[string]any)
	require.NotNil(t, global, "the file has no variables of its own")
	jobs := map[string]gitlabJob{}
	for name, v := range file {
		if job, ok := v.(map[string]any); ok && job["script"] != nil {
			variables := maps.Clone(global)
			own, _ := get(name, "variables").(map[string]any)
			maps.Copy(variables, own)
			jobs[name] = gitlabJob{append(lines(get(name, "before_script")), lines(job["script"])...), variables, fmt.Sprint(job["rules"])}
		}
	}
	return jobs, fmt.Sprint(global["APRON_VERSION"])
}

type gitlabJob struct {
	lines     []string
	variables map[string]any
	rules     string
}

// TestExamples_gitlabCI runs every script of the example, as the jobs of a merge request,
// of the merge and of a schedule.
func TestExamples_gitlabCI(t *testing.T) {
	t.Parallel()
	jobs, pinned := gitlabJobs(t)
	j := newCIJob(t, "gitlab-ci", pinned)
	lab := gitlabtest.New(t)
	maps.Copy(j.vars, lab.Variables("bot"))
	maps.Copy(j.vars, map[string]string{"AWS_TOKEN": "a token", "CI_BUILDS_DIR": t.TempDir(),
		"APRON_PLAN_ROLE": "arn:aws:iam::123456789012:role/plan", "APRON_APPLY_ROLE": "arn:aws:iam::123456789012:role/apply"})
	ours := j.vars
	ran := map[string]bool{}
	for _, name := range []string{"fork", "comment", "plan", "apply", "drift"} {
		ran[name] = true
		require.NotEqual(t, "<nil>", jobs[name].rules, name)
		j.vars = maps.Clone(ours)
		if name == "fork" { // whose project has none of these
			for _, v := range []string{"AWS_TOKEN", "APRON_PLAN_ROLE", "APRON_APPLY_ROLE", "APRON_GITLAB_TOKEN"} {
				delete(j.vars, v)
			}
		}
		env := map[string]string{}
		for k, v := range jobs[name].variables {
			env[k] = os.Expand(fmt.Sprint(v), func(name string) string { return j.vars[name] })
		}
		code, out := j.script(strings.Join(jobs[name].lines, "\n"), []string{"-eo", "pipefail"}, env)
		require.Zero(t, code, "%s: %s", name, out)
		require.NotContains(t, out, canary)
	}
	require.Len(t, lab.Notes(), 1)
	require.Contains(t, lab.Notes()[0].Body, "**Plan:")
	for name := range jobs {
		require.True(t, ran[name], "%s has not run", name)
	}
}

// policy is a document of IAM.
type policy struct {
	Statement []struct {
		Sid, Effect      string
		Action, Resource any // a text, or several
		Condition        map[string]map[string]any
	}
}

func readPolicy(t *testing.T, file string) (p policy) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &p), file)
	return p
}

func texts(v any) (all []string) {
	if one, ok := v.(string); ok {
		return []string{one}
	}
	for _, text := range v.([]any) {
		all = append(all, text.(string))
	}
	return all
}

// actions are those that a policy allows.
func (p policy) actions() (all []string) {
	for _, s := range p.Statement {
		if s.Effect == "Allow" {
			all = append(all, texts(s.Action)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var (
	camel    = regexp.MustCompile(`\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b`)
	quoted   = regexp.MustCompile("`[^`]*`")
	prefixes = map[string]string{"App Runner": "apprunner", "ECR": "ecr", "IAM": "iam", "SSM": "ssm", "Secrets Manager": "secretsmanager", "CloudWatch Logs": "logs", "STS": "", "Resource Groups Tagging": "tag"}
)

// documented are the actions of the first table below a heading of `apron docs permissions`.
func documented(t *testing.T, text, heading string) (all []string) {
	t.Helper()
	_, text, found := strings.Cut(text, "\n## "+heading+"\n")
	require.True(t, found, heading)
	_, text, _ = strings.Cut(text, "|---")
	table, _, _ := strings.Cut(text, "\n\n")
	for _, row := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(row, "|")
		prefix, known := prefixes[strings.TrimSpace(cells[1])]
		require.True(t, known, row)
		for _, name := range camel.FindAllString(quoted.ReplaceAllString(cells[2], ""), -1) {
			if prefix != "" { // whoever has credentials may ask whose they are
				all = append(all, prefix+":"+name)
			}
		}
	}
	require.Greater(t, len(all), 10)
	return all
}

// TestExamples_rolesAreWhatTheDocsSay: the policies have every action of the tables, and none
// that the docs do not name.
func TestExamples_rolesAreWhatTheDocsSay(t *testing.T) {
	t.Parallel()
	text, err := docs.ReadFile("docs/permissions.md")
	require.NoError(t, err)
	for file, heading := range map[string]string{"policy-plan.json": "To plan", "policy-apply.json": "To apply, in addition"} {
		p := readPolicy(t, filepath.Join(githubExample, "aws", file))
		require.Subset(t, p.actions(), documented(t, string(text), heading), file)
		for _, action := range p.actions() {
			_, name, _ := strings.Cut(action, ":")
			require.Contains(t, string(text), name, file)
		}
		for _, s := range p.Statement {
			require.NotContains(t, texts(s.Action), "iam:*")
			if s.Effect == "Deny" {
				continue
			}
			for _, r := range texts(s.Resource) {
				if r == "*" { // what AWS cannot be asked for less than
					require.Subset(t, []string{"apprunner:ListServices", "apprunner:ListAutoScalingConfigurations", "ecr:GetAuthorizationToken", "servicequotas:GetServiceQuota", "tag:GetResources"}, texts(s.Action))
				}
			}
		}
	}
}

// TestExamples_plansReadNoValue: the key that Parameter Store encrypts with lets everybody in
// the account decrypt, so that not allowing it is not enough. The role that applies has the
// policy, too, and reads values to compare and to mask them.
func TestExamples_plansReadNoValue(t *testing.T) {
	t.Parallel()
	p := readPolicy(t, filepath.Join(githubExample, "aws", "policy-plan.json"))
	require.NotContains(t, p.actions(), "kms:Decrypt")
	denied := 0
	for _, s := range p.Statement {
		require.Contains(t, []string{"Allow", "Deny"}, s.Effect)
		if s.Effect != "Deny" {
			continue
		}
		denied++
		require.Equal(t, []string{"kms:Decrypt"}, texts(s.Action))
		require.Equal(t, []string{"*"}, texts(s.Resource))
		require.Equal(t, map[string]map[string]any{"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::ACCOUNT:role/apron-apply"}}, s.Condition)
	}
	require.Equal(t, 1, denied)
}

// TestExamples_rolesAttachWhatApronAttaches: a role that may attach any policy may make itself
// an administrator.
func TestExamples_rolesAttachWhatApronAttaches(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range readPolicy(t, filepath.Join(githubExample, "aws", "policy-apply.json")).Statement {
		if !slices.Contains(texts(s.Action), "iam:AttachRolePolicy") {
			continue
		}
		found++
		require.Equal(t, []string{"iam:AttachRolePolicy"}, texts(s.Action))
		require.Equal(t, map[string]map[string]any{"ArnEquals": {"iam:PolicyARN": []any{
			"arn:aws:iam::aws:policy/service-role/AWSAppRunnerServicePolicyForECRAccess", "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess",
		}}}, s.Condition)
	}
	require.Equal(t, 1, found)
}

// TestExamples_rolesAllowEveryCall: what the workflows run makes no call that its role may not
// make.
func TestExamples_rolesAllowEveryCall(t *testing.T) {
	t.Parallel()
	plans := readPolicy(t, filepath.Join(githubExample, "aws", "policy-plan.json")).actions()
	applies := append(slices.Clone(plans), readPolicy(t, filepath.Join(githubExample, "aws", "policy-apply.json")).actions()...)
	c := newCheckout(t, strings.Replace(small, "version: v1, ", "", 1), built.tiny)
	c.shared()
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	for _, step := range []struct {
		allowed []string
		args    []string
	}{
		{plans, []string{"plan"}}, {applies, []string{"apply", "--yes"}}, {plans, []string{"drift"}}, {plans, []string{"plan"}},
		{applies, []string{"apply", "--yes"}}, {plans, []string{"plan"}},
	} {
		if step.args[0] == "plan" && len(w.calls) > 0 {
			c.write("app/Dockerfile", smallDockerfile+fmt.Sprintf("LABEL n=%q\n", fmt.Sprint(len(w.calls))))
		}
		code, out := w.run(t.Context(), step.args...)
		require.Zero(t, code, out)
		for _, call := range w.calls {
			service, operation, _ := strings.Cut(call, " ")
			if service == "sts" || service == "registry" {
				continue
			}
			if service == "tagging" { // as requests are signed; policies have another word
				service = "tag"
			}
			require.Contains(t, step.allowed, service+":"+operation, "apron %v", step.args)
		}
	}
}

// TestExamples_trust: a role is there for one repository; the one that writes for one
// environment or branch of it.
func TestExamples_trust(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		githubExample + "/aws/trust-plan.json":  `{"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}, "StringLike": {"token.actions.githubusercontent.com:sub": ["repo:REPOSITORY:pull_request", "repo:REPOSITORY:ref:refs/heads/main", "repo:REPOSITORY:ref:refs/heads/gh-readonly-queue/main/*"]}}`,
		githubExample + "/aws/trust-apply.json": `{"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com", "token.actions.githubusercontent.com:sub": "repo:REPOSITORY:environment:production"}}`,
		gitlabExample + "/aws/trust-plan.json":  `{"StringEquals": {"gitlab.com:aud": "sts.amazonaws.com"}, "StringLike": {"gitlab.com:sub": "project_path:REPOSITORY:ref_type:branch:ref:*"}}`,
		gitlabExample + "/aws/trust-apply.json": `{"StringEquals": {"gitlab.com:aud": "sts.amazonaws.com", "gitlab.com:sub": "project_path:REPOSITORY:ref_type:branch:ref:main"}}`,
	} {
		p := readPolicy(t, file)
		require.Len(t, p.Statement, 1)
		got, err := json.Marshal(p.Statement[0].Condition)
		require.NoError(t, err)
		require.JSONEq(t, want, string(got), file)
	}
}
