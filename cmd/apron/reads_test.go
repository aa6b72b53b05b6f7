package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reads are the commands that look and do nothing else.
var reads = [][]string{{"validate"}, {"render"}, {"schema"}, {"plan"}, {"plan", "--json"}, {"status"}, {"drift"}, {"history"}}

// later are those that need something to have happened.
var later = [][]string{{"logs"}, {"logs", "--deployment"}}

// TestReads_startNoProcess holds the lock that every fork takes while it runs each command
// that only looks, on a manifest that would like programs to run. The manifest's hook
// says so in a file, too.
func TestReads_startNoProcess(t *testing.T) {
	c := newCheckout(t, small, built.tiny)
	c.replace("deploy.yaml", "build: {context: app}", "build: {context: app, before: {run: [touch, ran], inputs: [Dockerfile], outputs: [ran]}}")
	c.shared()
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	for _, args := range reads {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		syscall.ForkLock.RLock()
		code, out := w.run(ctx, args...)
		syscall.ForkLock.RUnlock()
		require.NoError(t, ctx.Err(), "apron %v", args)
		cancel()
		require.Contains(t, []int{exitOK, exitChanges}, code, "apron %v\n%s", args, out)
		require.NoFileExists(t, filepath.Join(c.dir, "app", "ran"))
	}
}

// TestReads_callNothingThatWrites looks at what reached AWS.
func TestReads_callNothingThatWrites(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, small, built.tiny)
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	look := func(commands [][]string) {
		t.Helper()
		for _, args := range commands {
			before := files(t, c.dir)
			code, out := w.run(t.Context(), args...)
			require.Contains(t, []int{exitOK, exitChanges}, code, "apron %v\n%s", args, out) // nothing is live yet: that differs
			for _, call := range w.calls {
				_, operation, _ := strings.Cut(call, " ")
				require.Regexp(t, "^(Get|List|Describe|Batch(Get|Check)|Filter)", operation, "apron %v", args)
			}
			require.Equal(t, before, files(t, c.dir), "apron %v", args)
		}
	}
	look(reads)
	code, out := w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitOK, code, out)
	look(slices.Concat(reads, later))
}

// files lists what is below a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		all = append(all, path)
		return err
	}))
	return all
}
