package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
)

// TestSweep_diesAtEveryCall lets a first apply and a following one die at each of their
// calls to AWS that has an effect: before AWS takes it, and before its answer is there.
// What the next apply makes of it is what an apply that was never disturbed makes: nothing
// is missing and nothing is there twice.
func TestSweep_diesAtEveryCall(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	changed := newCheckout(t, small, built.tiny)
	changed.replace("deploy.yaml", "cpu: 256", "cpu: 1024")
	changed.replace("deploy.yaml", "memory: 512", "memory: 2048")
	changed.replace("deploy.yaml", "max: 2", "max: 3")
	changed.replace("deploy.yaml", "version: v1", "version: v2")
	changed.replace(".env", canary+"-value", canary+"-other")
	changed.replace("app/Dockerfile", "VERSION=one", "VERSION=two")
	applied := filepath.Join(t.TempDir(), "applied")
	w := newWorld(t, c, applied, 0)
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	w.end()
	t.Run("the first apply", func(t *testing.T) { sweep(t, c, "", "") })
	t.Run("a change of it all", func(t *testing.T) { sweep(t, changed, applied, "scaling revision 1 apron-1-2-50") })
}

// reading are the calls that change nothing.
var reading = regexp.MustCompile(`^\w+ (Get|List|Describe|BatchGet|BatchCheck|Filter|HEAD|GET)`)

// lockLeft is what a run leaves that died when it had nothing left to do but give its lock
// back: the next run that has something to do takes it over.
const lockLeft = "parameter version 1 /apron/lock/shop"

// sweep lets an apply of c die at each of its calls, in a sandbox that begins with a copy
// of the state in begin. replaced is the scaling configuration that a change leaves behind
// when its apply dies before deleting it: a later apply takes it for another manifest's,
// which may be about to use it, until it is an hour old.
func sweep(t *testing.T, c *checkout, begin, replaced string) {
	fresh := func(t *testing.T) *world {
		dir := filepath.Join(t.TempDir(), "state")
		if begin != "" {
			require.NoError(t, os.CopyFS(dir, os.DirFS(begin)))
		}
		return newWorld(t, c, dir, 0)
	}
	w := fresh(t)
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	calls, want := slices.Clone(w.calls), w.inventory()
	require.Greater(t, len(calls), 20)
	require.NotContains(t, want, replaced)
	for n, call := range calls {
		if n > 0 && reading.MatchString(call) {
			continue // to die before it is to die after the call with an effect that came before it
		}
		whens := map[sandbox.When]string{sandbox.Before: "before", sandbox.After: "after"}
		for when, name := range whens {
			t.Run(fmt.Sprintf("%s %d %s", name, n+1, call), func(t *testing.T) {
				t.Parallel()
				w := fresh(t)
				if !w.die(n+1, when, "apply", "--yes") {
					return // calls run side by side: this time there were fewer
				}
				code, out := w.run(t.Context(), "apply", "--yes")
				require.Equal(t, exitOK, code, out)
				got := slices.DeleteFunc(w.inventory(), func(s string) bool { return s == replaced || s == lockLeft })
				require.Equal(t, want, got)
				code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
				require.Equal(t, exitOK, code, out)
				code, out = w.run(t.Context(), "drift")
				require.Equal(t, exitOK, code, "the newest record tells of what is live: %s", out)
				require.NotContains(t, out, "no record")
			})
		}
	}
}
