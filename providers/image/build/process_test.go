package build_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/state"
)

// hooked runs a hook in a context of some files and returns the lines that it printed. Where
// env is nil, its environment is that of the test.
func hooked(t *testing.T, files map[string]string, env []string, hook state.Before) ([]string, error) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no /bin/sh")
	}
	dir := checkout(t, files)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o644))
	r := request(t, dir, state.Build{Before: &hook})
	if env != nil {
		r.Environ = env
	}
	var lines []string
	r.Line = func(_, line string) { lines = append(lines, line) }
	err := build.Before(t.Context(), r)
	return lines, err
}

func shell(script string) state.Before { return state.Before{Run: []string{"/bin/sh", "-c", script}} }

// TestBefore_succeedsThoughItLeavesAProcessBehind has one that holds the hook's output open
// for longer than anybody waits for it.
func TestBefore_succeedsThoughItLeavesAProcessBehind(t *testing.T) {
	t.Parallel()
	for desc, tc := range map[string]struct{ script, want string }{
		"a hook that succeeds": {"echo done; /bin/sleep 9 &", ""},
		"a hook that fails":    {"echo done; /bin/sleep 9 & exit 3", "exit status 3; it printed last:\n  done"},
	} {
		t.Run(desc, func(t *testing.T) {
			t.Parallel()
			lines, err := hooked(t, nil, nil, shell(tc.script))
			require.Equal(t, []string{"done"}, lines)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// TestEnviron_withholdsWhatIsForApronAlone but for what a hook asks for by its name.
func TestEnviron_withholdsWhatIsForApronAlone(t *testing.T) {
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "GH_TOKEN", "gh_token", "ACTIONS_RUNTIME_TOKEN", "CI_JOB_TOKEN",
		"APRON_GITLAB_TOKEN", "APRON_SLACK_WEBHOOK", "APRON_NOTIFY_WEBHOOK", "APRON_BUILDER", "apron_lowercase", "CLERK_SECRET_KEY"} {
		t.Setenv(name, "withheld")
	}
	for _, name := range []string{"GH_TOKENS", "APRONS", "GITLAB_TOKEN", "NPM_TOKEN"} {
		t.Setenv(name, "kept")
	}
	env := build.Environ([]string{"CLERK_SECRET_KEY"})
	require.NotContains(t, strings.Join(env, "\n"), "withheld")
	require.Subset(t, env, []string{"GH_TOKENS=kept", "APRONS=kept", "GITLAB_TOKEN=kept", "NPM_TOKEN=kept"})

	hook := shell("/usr/bin/env")
	hook.Env = map[string]string{"GH_TOKEN": "named", "APRON_GITLAB_TOKEN": "named, too"}
	lines, err := hooked(t, nil, env, hook)
	require.NoError(t, err)
	require.Subset(t, lines, []string{"GH_TOKEN=named", "APRON_GITLAB_TOKEN=named, too"})
	require.NotContains(t, strings.Join(lines, "\n"), "withheld")
}

// TestDocker_getsSecretsInVariablesThatAreWithheld otherwise.
func TestDocker_getsSecretsInVariablesThatAreWithheld(t *testing.T) {
	t.Setenv("APRON_SECRET_0", "withheld")
	t.Setenv("APRON_GITLAB_TOKEN", "withheld")
	notes := fakeDocker(t, "28.2.2", pluginHelp)
	_, env := called(t, notes, "docker", request(t, checkout(t, map[string]string{"Dockerfile": "FROM scratch\n"}),
		state.Build{Secrets: map[string]state.BuildSecret{"npm": {Env: "TOKEN", Value: "of the build", Set: true}}}))
	require.Contains(t, env, "APRON_SECRET_0=of the build\n")
	require.NotContains(t, env, "withheld")
}

// TestBefore_findsItsCommandInItsOwnPATH though apron has another of that name, and one that
// the hook's PATH does not lead to.
func TestBefore_findsItsCommandInItsOwnPATH(t *testing.T) {
	const script = "#!/bin/sh\necho $0 ran\n"
	theirs := checkout(t, map[string]string{"tool*": "#!/bin/sh\necho apron\\'s\n", "other*": script})
	ours := checkout(t, map[string]string{"bin/tool*": script, "bin/no-program": script, "bin/directory/x": "", "second/tool*": script, "second/no-program*": script, "second/directory*": script})
	t.Setenv("PATH", theirs)
	t.Chdir(ours)
	bin, second := filepath.Join(ours, "bin"), filepath.Join(ours, "second")
	for desc, tc := range map[string]struct {
		path, command string
		want          string
		err           error
		why           string
	}{
		"the first that has it":          {path: bin + ":" + second, command: "tool", want: bin + "/tool ran"},
		"what cannot be executed":        {path: bin + ":" + second, command: "no-program", want: second + "/no-program ran"},
		"a directory of that name":       {path: bin + ":" + second, command: "directory", want: second + "/directory ran"},
		"only apron's has it":            {path: bin, command: "other", err: exec.ErrNotFound, why: `"other" is not installed, or not in PATH`},
		"an empty PATH":                  {path: "", command: "tool", err: exec.ErrNotFound, why: `"tool" is not installed, or not in PATH`},
		"an entry that is relative":      {path: "bin:" + second, command: "tool", err: exec.ErrDot, why: `"tool" is found by a relative directory in PATH; write the command's path, or an absolute directory`},
		"a relative one that lacks it":   {path: "none:" + second, command: "tool", want: second + "/tool ran"},
		"a path, from the context":       {path: second, command: "./in/context", want: "./in/context ran"},
		"a path that is absolute":        {path: second, command: bin + "/tool", want: bin + "/tool ran"},
		"a path that leads to no file":   {path: second, command: "bin/tool", err: os.ErrNotExist, why: "bin/tool"},
		"a path, though PATH has it":     {path: bin, command: "./tool", err: os.ErrNotExist, why: "./tool"},
		"the directory that apron is in": {path: ":" + filepath.Join(ours, "bin"), command: "tool", want: bin + "/tool ran"},
	} {
		t.Run(desc, func(t *testing.T) {
			lines, err := hooked(t, map[string]string{"in/context*": script}, nil, state.Before{Run: []string{tc.command}, Env: map[string]string{"PATH": tc.path}})
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
				require.ErrorContains(t, err, tc.why)
				require.Empty(t, lines)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{tc.want}, lines)
		})
	}
	t.Run("no PATH at all", func(t *testing.T) {
		lines, err := hooked(t, nil, []string{"LANG=C"}, state.Before{Run: []string{"tool"}})
		require.NoError(t, err)
		require.Equal(t, []string{"apron's"}, lines)
	})
}

// TestRun_cutsNoLine prints what is hidden later, where it is seen as a whole.
func TestRun_cutsNoLine(t *testing.T) {
	const hush = "correct-horse-battery-staple"
	const leftOut = "(a line of more than 1 MiB is left out)"
	within := func(n, at int) string {
		return strings.Repeat("é", at/2) + hush + strings.Repeat("x", n-at/2*2-len(hush))
	}
	for desc, tc := range map[string]struct{ printed, want []string }{
		"across 4 KiB":             {[]string{within(9<<10, 4<<10-10), "next"}, []string{within(9<<10, 4<<10-10), "next"}},
		"as long as may be":        {[]string{within(1<<20, 1<<20-len(hush)), "next"}, []string{within(1<<20, 1<<20-len(hush)), "next"}},
		"too long":                 {[]string{"before", within(1<<20+20, 1<<20-10), "next"}, []string{"before", leftOut, "next"}},
		"much too long":            {[]string{within(5<<20, 1<<20-10), within(3<<20, 1<<20), "next"}, []string{leftOut, leftOut, "next"}},
		"too long, and no end":     {[]string{within(2<<20, 1<<20-10)}, []string{leftOut}},
		"an end of another kind":   {[]string{within(2<<20, 100) + "\rnext"}, []string{leftOut, "next"}},
		"letters of several bytes": {[]string{strings.Repeat("✓", 50<<10)}, []string{strings.Repeat("✓", 50<<10)}},
	} {
		t.Run(desc, func(t *testing.T) {
			text := strings.TrimSuffix(strings.Join(tc.printed, "\n")+"\n", map[bool]string{true: "\n"}[strings.Contains(desc, "no end")])
			lines, err := hooked(t, map[string]string{"printed": text}, nil, shell("/bin/cat printed; exit 3"))
			require.True(t, equal(tc.want, lines), "got %d lines: %s", len(lines), shorten(lines))
			var failed *build.CommandError
			require.ErrorAs(t, err, &failed)
			require.Less(t, len(err.Error()), 256<<10, "an error is for people")
			require.Equal(t, len(tc.want), len(failed.Tail))
			for _, line := range failed.Tail {
				require.NotContains(t, strings.ReplaceAll(line, hush, ""), hush[:8])
			}
		})
	}
}

// equal compares without printing megabytes.
func equal(want, got []string) bool { return strings.Join(want, "\n") == strings.Join(got, "\n") }

func shorten(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line[:min(len(line), 40)] + "…\n")
	}
	return b.String()
}
