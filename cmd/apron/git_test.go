package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// runGit runs the real one in a directory, on the settings of nobody.
func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v\n%s", args, out)
	return strings.TrimSpace(string(out))
}

const versioned = `version: 1
service: website
region: us-east-1
target: apprunner
image:
  build: {context: .}
  version: ${git.tag}
env:
  BUILD: ${git.sha}${git.dirty:+-dirty}
  CLEAN: ${git.dirty:-yes}
`

// TestGit_namesTheVersion loads a manifest in a repository of the real git's, and holds
// the lock that every fork takes while it does.
func TestGit_namesTheVersion(t *testing.T) {
	dir := t.TempDir()
	runGit(t, dir, "init", "-q", "-b", "main")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deploy.yaml"), []byte(versioned), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o644))
	runGit(t, dir, "add", ".")
	runGit(t, dir, "commit", "-qm", "first")
	load := func() (*manifest.Set, error) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		return manifest.Load(manifest.Options{
			Paths: []string{filepath.Join(dir, "deploy.yaml")}, Git: gitFacts(dir),
			LookupEnv: func(string) (string, bool) { return "", false },
		})
	}
	version := func() string {
		t.Helper()
		set, err := load()
		require.NoError(t, err)
		return set.Documents[0].Spec.Image.Version
	}

	_, err := load()
	require.ErrorContains(t, err, "${git.tag} has no value here", "there is none yet")
	runGit(t, dir, "tag", "v1.9.0")
	require.Equal(t, "v1.9.0", version())
	runGit(t, dir, "tag", "-am", "annotated", "v1.10.0")
	require.Equal(t, "v1.10.0", version(), "the highest")
	runGit(t, dir, "gc", "-q")
	require.Equal(t, "v1.10.0", version(), "all in packs")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "untracked"), nil, 0o644))
	require.Equal(t, "v1.10.0", version(), "it is not tracked")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM SCRATCH\n"), 0o644))
	require.Equal(t, "v1.10.0-dirty", version())
	sha := runGit(t, dir, "rev-parse", "HEAD")
	facts := gitFacts(filepath.Join(dir, ".git", ".."))
	for name, want := range map[string]string{"sha": sha, "branch": "main", "tag": "v1.10.0-dirty", "dirty": "true"} {
		got, ok := facts(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	runGit(t, dir, "commit", "-qam", "second")
	_, err = load()
	require.ErrorContains(t, err, "${git.tag} has no value here", "the tag is of another commit")
	dirty, ok := gitFacts(dir)("dirty")
	require.True(t, ok)
	require.Empty(t, dirty)
}

func TestGit_isNotMadeUp(t *testing.T) {
	facts := gitFacts(t.TempDir())
	for _, name := range []string{"sha", "branch", "tag", "dirty", "other"} {
		value, ok := facts(name)
		require.False(t, ok, name)
		require.Empty(t, value, name)
	}
}
