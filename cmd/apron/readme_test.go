package main

import (
	"bufio"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// step is one command of a document, and what the document says it prints.
type step struct {
	command string
	shown   []string // lines; "..." stands for any number of them
	code    int      // from a last line such as [3]
}

var codeLine = regexp.MustCompile(`^\[(\d+)\]$`)

// steps reads the console blocks of a Markdown document.
func steps(t *testing.T, text string) []step {
	t.Helper()
	var all []step
	inside := false
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch command, ok := strings.CutPrefix(line, "$ "); {
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && ok:
			all = append(all, step{command: command})
		case inside:
			last := &all[len(all)-1]
			if m := codeLine.FindStringSubmatch(line); m != nil {
				last.code, _ = strconv.Atoi(m[1])
				continue
			}
			last.shown = append(last.shown, line)
		}
	}
	return all
}

// like turns what a document shows into a pattern: what differs from run to run may.
func like(shown []string) string {
	var b strings.Builder
	b.WriteString(`^`)
	for _, line := range shown {
		if line == "..." {
			b.WriteString(`(?s:.*?)`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(varying(line)), "VARIES", `\S+`) + `\n`)
	}
	b.WriteString(`$`)
	return b.String()
}

// someCommit is a commit in a history, which another clone does not have.
var someCommit = regexp.MustCompile(`(user/sandbox +)[0-9a-f]{7}\+?`)

func varying(line string) string {
	for _, d := range differing {
		line = d.pattern.ReplaceAllString(line, d.with)
	}
	line = someCommit.ReplaceAllString(line, "${1}VARIES")
	for _, word := range []string{"PORT", "HASH", "DIGEST", "UUID", "TIME", "TOOK"} {
		line = strings.ReplaceAll(line, word, "VARIES")
	}
	return regexp.MustCompile(` +`).ReplaceAllString(line, " ")
}

// TestReadme does what the README says, in a copy of this repository, and compares what
// happens with what it shows.
func TestReadme(t *testing.T) {
	for _, tool := range []string{"bash", "git", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("APRON_TEST_ENGINES") == "required" {
				t.Fatal(err)
			}
			t.Skipf("the README's commands need %s: %v", tool, err)
		}
	}
	t.Parallel()
	env := &testscript.Env{WorkDir: t.TempDir()}
	require.NoError(t, fill(env, map[string]string{"APRON_SANDBOX_ENGINE": storyEngine(), "GOFLAGS": "-trimpath -buildvcs=false", "CGO_ENABLED": "0", // as the tests' own, whatever the directory: nothing to compile
		"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "t", "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "t@example.com"}))
	root := env.Getenv("REPO")
	shell := func(command string) (string, int) {
		cmd := exec.Command("bash", "-c", command)
		cmd.Dir, cmd.Env = env.WorkDir, env.Vars
		out, err := cmd.CombinedOutput()
		return string(out), exitOf(t, err)
	}
	copyRepository(t, root, env.WorkDir)
	out, code := shell("git init -q && git add -A && git commit -qm copy")
	require.Zero(t, code, out)
	t.Cleanup(func() { shell("./apron sandbox stop") })

	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	all := steps(t, string(text))
	require.Greater(t, len(all), 10)
	for _, s := range all {
		out, code := shell(s.command)
		require.Equal(t, s.code, code, "$ %s\n%s", s.command, out)
		var seen strings.Builder
		for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
			seen.WriteString(varying(lines.Text()) + "\n")
		}
		require.Regexp(t, like(s.shown), strings.ReplaceAll(seen.String(), "VARIES", "-"), "$ %s", s.command)
	}
}

// copyRepository copies what a clone holds and the README's commands need.
func copyRepository(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{"cmd", "manifest", "providers", "reconcile", "examples", "go.mod", "go.sum", "deploy.yaml", ".gitignore"} {
		err := filepath.WalkDir(filepath.Join(from, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			switch {
			case d.IsDir() && d.Name() == ".apron", d.IsDir() && d.Name() == "node_modules":
				return filepath.SkipDir
			case d.IsDir():
				return os.MkdirAll(filepath.Join(to, rel), 0o755)
			case !d.Type().IsRegular():
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, rel), b, 0o644)
		})
		require.NoError(t, err)
	}
}
