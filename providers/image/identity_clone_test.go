//go:build unix

package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
)

// git runs the real one, on the settings of nobody.
func git(t testing.TB, dir string, prepare func(*exec.Cmd), args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1"}
	if prepare != nil {
		prepare(cmd)
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v\n%s", args, out)
}

func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// TestIdentify_isTheSameInAFreshClone clones to another path, at another time, with
// another umask and, where that can be done, as another user.
func TestIdentify_isTheSameInAFreshClone(t *testing.T) {
	needGit(t)
	root := t.TempDir()
	write(t, root, map[string]string{
		"app/Dockerfile": "FROM scratch\nCOPY . /\n", "app/.dockerignore": "*.log\nmain.go\ngo.mod\n", "app/run.sh*": "exec app\n",
		"app/web/index": "<p>", "app/link": "->web/index", "app/main.go": "package main", "app/go.mod": "module app", "lib/lib.go": "package lib",
	})
	git(t, root, nil, "init", "-q")
	git(t, root, nil, "add", ".")
	git(t, root, nil, "commit", "-qm", "first")
	cache := filepath.Join(root, ".apron", "cache")
	long := time.Now().Add(-1000 * time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(root, "app/main.go"), long, long))
	want := identified(t, root, example(), cache)

	bundle := filepath.Join(t.TempDir(), "repository") // which a clone by others may read
	git(t, root, nil, "bundle", "create", "-q", bundle, "--all")
	data, err := os.ReadFile(bundle)
	require.NoError(t, err)

	as := map[string]*syscall.SysProcAttr{"the same user": nil}
	if os.Getuid() == 0 {
		as["another user"] = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	for who, user := range as {
		for _, umask := range []string{"000", "022", "077"} {
			t.Run(who+", umask "+umask, func(t *testing.T) {
				base, err := os.MkdirTemp("", "apron-clone") // which the other user can reach
				require.NoError(t, err)
				t.Cleanup(func() { _ = os.RemoveAll(base) })
				require.NoError(t, os.Chmod(base, 0o777))
				require.NoError(t, os.WriteFile(filepath.Join(base, "repository"), data, 0o644))
				git(t, base, func(c *exec.Cmd) {
					c.SysProcAttr = user
					c.Args = append([]string{"sh", "-c", `umask "$0" && exec "$@"`, umask}, c.Args...)
					c.Path = "/bin/sh"
				}, "clone", "-q", "repository", "some/where")
				clone := filepath.Join(base, "some", "where")
				if umask != "022" {
					was, err := os.Stat(filepath.Join(root, "app/web/index"))
					require.NoError(t, err)
					is, err := os.Stat(filepath.Join(clone, "app/web/index"))
					require.NoError(t, err)
					require.NotEqual(t, was.Mode(), is.Mode(), "the umask shows")
				}
				got := identified(t, clone, example(), filepath.Join(base, "cache"))
				require.Equal(t, want.Tag, got.Tag, "%v", image.Diff(want, got))
			})
		}
	}
}
