package main

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest/yamltest"
)

// workflow is what the examples use of GitHub's workflows and actions. A key that they use
// and that is not here is nothing that runs.
type workflow struct {
	On          any
	Permissions map[string]string
	Jobs        map[string]struct {
		If          string
		Permissions map[string]string
		Concurrency struct {
			Group, Queue     string
			CancelInProgress string `yaml:"cancel-in-progress"`
		}
		Env   map[string]string
		Steps []workflowStep
	}
	Inputs map[string]struct{ Default string } // of an action
	Runs   struct{ Steps []workflowStep }
}

type workflowStep struct {
	ID, If, Uses, Run, Shell string
	With, Env                map[string]string
}

// ciJob runs the steps of jobs in a checkout, one after the other, as a runner would.
type ciJob struct {
	t   *testing.T
	c   *checkout
	dir string // of the checkout
	// vars are those of the job, and what its steps add.
	vars map[string]string
	// values is what expressions stand for. One that is not here fails the test.
	values map[string]string
	// ran are the scripts that have run, whoever they belong to.
	ran map[string]bool
}

// script runs a text with bash, and returns its exit code and what it printed.
func (j *ciJob) script(text string, flags []string, env map[string]string) (int, string) {
	j.t.Helper()
	j.ran[text] = true
	cmd := exec.Command("bash", append(flags, "-c", text)...)
	cmd.Dir = j.dir
	for _, vars := range []map[string]string{j.vars, env} {
		for k, v := range vars {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	out, err := cmd.CombinedOutput()
	return exitOf(j.t, err), string(out)
}

var expression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`)

// expand puts the values of expressions into a text.
func (j *ciJob) expand(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		name := expression.FindStringSubmatch(e)[1]
		value, known := j.values[name]
		require.True(j.t, known, "the test knows no value of ${{ %s }}", name)
		return value
	})
}

// thirdParty are the actions of others that the examples use: the checkout, Go and the
// credentials are there already.
var thirdParty = []string{"actions/checkout@v4", "actions/setup-go@v5", "aws-actions/configure-aws-credentials@v4"}

// steps runs a job of a workflow, or an action, and returns its exit code and output. A script
// that fails ends it.
func (j *ciJob) steps(steps []workflowStep) (code int, out string) {
	j.t.Helper()
	for _, s := range steps {
		if s.If != "" && j.expand(s.If) != "true" {
			continue
		}
		env := map[string]string{}
		for k, v := range s.Env {
			env[k] = j.expand(v)
		}
		switch {
		case s.Run != "":
			require.NotContains(j.t, s.Run, "${{", "an expression within a script is a script of whoever decides its value")
			flags := []string{"-e"} // https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
			if s.Shell == "bash" {
				flags = []string{"--noprofile", "--norc", "-eo", "pipefail"}
			}
			var printed string
			code, printed = j.script(s.Run, flags, env)
			if out += printed; code != 0 {
				return code, out
			}
			j.paths()
		case strings.HasPrefix(s.Uses, "./"):
			var action workflow
			yamltest.Read(j.t, filepath.Join(j.dir, s.Uses, "action.yml"), &action)
			for name, in := range action.Inputs {
				j.values["inputs."+name] = in.Default
			}
			for name, v := range s.With {
				require.Contains(j.t, action.Inputs, name)
				j.values["inputs."+name] = j.expand(v)
			}
			var printed string
			code, printed = j.steps(action.Runs.Steps)
			if out += printed; code != 0 {
				return code, out
			}
		default:
			require.Contains(j.t, thirdParty, s.Uses)
		}
	}
	return code, out
}

// paths does what the runner does between two steps with what was added to GITHUB_PATH.
func (j *ciJob) paths() {
	added, err := os.ReadFile(j.vars["GITHUB_PATH"])
	if err != nil {
		return
	}
	for line := range strings.Lines(string(added)) {
		j.vars["PATH"] = strings.TrimSpace(line) + string(filepath.ListSeparator) + j.vars["PATH"]
	}
	require.NoError(j.t, os.Remove(j.vars["GITHUB_PATH"]))
}

// standIn is what the examples install in the tests' place of apron: it runs the apron under
// test, against the sandbox.
const standIn = `package main

import (
	"os"
	"syscall"
)

func main() {
	apron := os.Getenv("APRON_UNDER_TEST")
	panic(syscall.Exec(apron, append([]string{apron}, append(os.Args[1:], "--sandbox")...), os.Environ()))
}
`

// goProxy is a directory that Go downloads one version of apron from: the stand-in.
func goProxy(t *testing.T, version string) string {
	t.Helper()
	const module = "github.com/apron-deploy/apron"
	require.Regexp(t, `^v[0-9]+\.[0-9]+\.[0-9]+$`, version, "the example names no version of apron")
	dir := t.TempDir()
	at := filepath.Join(dir, filepath.FromSlash(module), "@v")
	require.NoError(t, os.MkdirAll(at, 0o755))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	mod := "module " + module + "\n\ngo 1.22\n"
	for name, text := range map[string]string{"go.mod": mod, "cmd/apron/main.go": standIn} {
		w, err := z.Create(module + "@" + version + "/" + name)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	for name, data := range map[string][]byte{".info": []byte(`{"Version":"` + version + `"}`), ".mod": []byte(mod), ".zip": b.Bytes()} {
		require.NoError(t, os.WriteFile(filepath.Join(at, version+name), data, 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(at, "list"), []byte(version+"\n"), 0o644))
	return "file://" + dir
}

// newCIJob is a checkout of an example beside a service, and what its runner has. It installs one
// version of apron.
func newCIJob(t *testing.T, example, version string) *ciJob {
	t.Helper()
	for _, tool := range []string{"bash", "sed", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("APRON_TEST_ENGINES") == "required" {
				t.Fatal(err)
			}
			t.Skipf("the examples need %s: %v", tool, err)
		}
	}
	c := newCheckout(t, small+"environments: {production: {service: shop-production, image: {repository: shop}}}\n", built.app)
	require.NoError(t, os.CopyFS(c.dir, os.DirFS(filepath.Join("..", "..", "examples", example))))
	env := &testscript.Env{Vars: c.vars}
	j := &ciJob{t: t, c: c, dir: c.dir, vars: map[string]string{}, values: map[string]string{}, ran: map[string]bool{}}
	for _, kv := range env.Vars {
		k, v, _ := strings.Cut(kv, "=")
		j.vars[k] = v
	}
	temp := t.TempDir()
	maps.Copy(j.vars, map[string]string{"APRON_UNDER_TEST": built.apron, "PATH": os.Getenv("PATH"), "GOPROXY": goProxy(t, version), "GONOSUMDB": "*", "GOTOOLCHAIN": "local",
		"GOMODCACHE": filepath.Join(temp, "mod"), "GOPATH": filepath.Join(temp, "go"), "GOFLAGS": "-modcacherw", "RUNNER_TEMP": temp})
	return j
}

// everyScript fails for scripts of the example that have not run.
func (j *ciJob) everyScript(all []string) {
	j.t.Helper()
	for _, s := range all {
		require.True(j.t, j.ran[s], "this has not run: %s", s)
	}
}

// permitted lists what a job may ask of its token.
func permitted(p map[string]string) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(p)) {
		all = append(all, k+": "+p[k])
	}
	return all
}
