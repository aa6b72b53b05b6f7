//go:build unix

package image_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// large writes 100,000 files of 2 kB on average, and returns their paths.
func large(b *testing.B, root string) []string {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 4000)
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	long := time.Now().Add(-time.Hour)
	var names []string
	for d := range 1000 {
		dir := filepath.Join(root, fmt.Sprintf("package%02d", d/40), fmt.Sprintf("module%02d", d%40), "src")
		require.NoError(b, os.MkdirAll(dir, 0o755))
		for f := range 100 {
			name := filepath.Join(dir, fmt.Sprintf("a_file_of_some_name_%03d.py", f))
			from := random.IntN(len(text))
			require.NoError(b, os.WriteFile(name, text[from:], 0o644))
			require.NoError(b, os.Chtimes(name, long, long))
			names = append(names, name)
		}
	}
	require.NoError(b, os.WriteFile(filepath.Join(root, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644))
	return names
}

// BenchmarkIdentify holds a context of 100,000 files against the programs that everybody
// has. Read it in pairs, on a machine that does nothing else:
//
//	hash        no slower than   cat, one that reads in Go
//	unchanged   no slower than   git status (ratio at most 1)
//	rules       at most twice    no rules
func BenchmarkIdentify(b *testing.B) {
	root, cache := b.TempDir(), filepath.Join(b.TempDir(), "cache")
	names := large(b, root)
	identify := func(b *testing.B, cache string) {
		_, err := image.Identify(b.Context(), root, state.Build{}, image.Options{Cache: cache})
		require.NoError(b, err)
	}

	b.Run("one that reads in Go", func(b *testing.B) {
		buf := make([]byte, 128<<10)
		for b.Loop() {
			for _, name := range names {
				f, err := os.Open(name)
				require.NoError(b, err)
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
				require.NoError(b, err)
				require.NoError(b, f.Close())
			}
		}
	})
	b.Run("cat", func(b *testing.B) { // a few, one after the other: a command line has its limits
		if _, err := exec.LookPath("xargs"); err != nil {
			b.Skip(err)
		}
		list := []byte(strings.Join(names, "\x00"))
		for b.Loop() {
			cmd := exec.Command("xargs", "-0", "cat")
			cmd.Stdin, cmd.Stdout = bytes.NewReader(list), nil // nil is the null device
			require.NoError(b, cmd.Run())
		}
	})
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			identify(b, "")
		}
	})
	b.Run("hash and remember", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, os.RemoveAll(cache))
			identify(b, cache)
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		identify(b, cache)
		for b.Loop() {
			identify(b, cache)
		}
	})
	walk := func(b *testing.B) {
		for b.Loop() {
			c, err := source.Open(root, state.Build{}, source.Options{})
			require.NoError(b, err)
			files, err := c.Files(b.Context())
			require.NoError(b, err)
			require.Greater(b, len(files), len(names))
		}
	}
	b.Run("no rules", walk)
	require.NoError(b, os.WriteFile(filepath.Join(root, ".dockerignore"), []byte(rules()), 0o644))
	b.Run("rules", walk)
	require.NoError(b, os.Remove(filepath.Join(root, ".dockerignore")))

	needGit(b)
	git(b, root, nil, "init", "-q")
	git(b, root, nil, "add", ".")
	git(b, root, nil, "commit", "-qm", "first")
	b.Run("unchanged and git status", func(b *testing.B) { // in turns, so that a busy machine is busy for both
		var ours, theirs []time.Duration
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		identify(b, cache)
		for b.Loop() {
			ours = append(ours, took(func() { identify(b, cache) }))
			theirs = append(theirs, took(func() { git(b, root, nil, "status", "--porcelain") }))
		}
		slices.Sort(ours)
		slices.Sort(theirs)
		mid := len(ours) / 2
		b.ReportMetric(ours[mid].Seconds(), "unchanged-s")
		b.ReportMetric(theirs[mid].Seconds(), "git-status-s")
		b.ReportMetric(ours[mid].Seconds()/theirs[mid].Seconds(), "ratio")
	})
}

// rules are fifty, with exceptions, none of which gets hold of a file: there is as much
// to walk as without them.
func rules() string {
	list := []string{"**/node_modules", "!**/node_modules/keep", "**/*.pyc", "!**/kept.pyc", "**/__pycache__", "*.log", "!important.log", "**/*.log",
		"dist", "!dist/keep/**", "build/**", "docs/*.md", "!docs/README.md", "**/test_*.py", "!**/test_data/*.py", "[Tt]mp", "**/*.sw?"}
	for i := len(list); i < 50; i++ {
		switch i % 3 {
		case 0:
			list = append(list, fmt.Sprintf("tools/t%d", i))
		case 1:
			list = append(list, fmt.Sprintf("**/*.x%d", i))
		default:
			list = append(list, fmt.Sprintf("!**/keep%d", i))
		}
	}
	return strings.Join(list, "\n") + "\n"
}
