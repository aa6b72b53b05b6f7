package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestApply_theManifestIsFrozenForTheRun has somebody edit the manifest and the env file while
// a terminal asks whether to go on.
func TestApply_theManifestIsFrozenForTheRun(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	asked := 0
	w.tty = func() string {
		asked++
		c.replace("deploy.yaml", "cpu: 256", "cpu: 512")
		c.replace("deploy.yaml", "memory: 512", "memory: 1024")
		c.replace("deploy.yaml", "service: shop", "service: other-shop")
		c.write(".env", "KEY="+canary+"-other\n")
		return "yes\n"
	}
	code, out := w.run(t.Context(), "apply")
	require.Equal(t, exitOK, code, out)
	require.Equal(t, 1, asked, "one question, and it was answered on a terminal")
	require.Contains(t, out, "Do this? Only yes is taken for a yes: ")
	require.Contains(t, out, "shop http://shop.localhost")
	require.NotContains(t, strings.Join(w.inventory(), "\n"), "other-shop")

	// What was shown is what is live, and what the record says.
	w.tty = nil
	c.replace("deploy.yaml", "service: other-shop", "service: shop")
	code, out = w.run(t.Context(), "history", "show", "1")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "cpu: 256")
	code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
	require.Equal(t, exitChanges, code, out)
	for _, change := range []string{`cpu: +256 → 512 # pending`, `memory: +512 → 1024 # pending`, `ssm/parameter//apron/shop/KEY`} {
		require.Regexp(t, change, out)
	}

	// An answer that is no yes changes nothing.
	w.tty = func() string { return "y\n" }
	code, out = w.run(t.Context(), "apply")
	require.Equal(t, exitUnapproved, code, out)
	require.Contains(t, out, "nobody said yes; nothing was changed")
}

// TestHiding_knowsTheManifestAsItWasRead: what is written into the file while a run goes on
// is no reason to show a value of the environment.
func TestHiding_knowsTheManifestAsItWasRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deploy.yaml")
	const text = "version: 1\nservice: shop\nregion: us-east-1\nimage: {from: \"public.ecr.aws/nginx/nginx:1.29\"}\nenv: {HOST: \"${HOST}\"}\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	a := newApp(strings.NewReader(""), io.Discard, io.Discard)
	a.files, a.lookup = []string{file}, func(name string) (string, bool) { return "db.internal-4711", name == "HOST" }
	set, err := a.load()
	require.NoError(t, err)
	s := &session{a: a, set: set}
	for _, d := range set.Documents {
		s.specs = append(s.specs, d.Spec)
	}
	require.NoError(t, os.WriteFile(file, []byte(text+"# db.internal-4711\n"), 0o600))
	hide, err := s.hiding()
	require.NoError(t, err)
	require.NotContains(t, hide("at db.internal-4711"), "4711")
	require.NoError(t, os.Remove(file))
	_, err = s.hiding()
	require.NoError(t, err)
}
