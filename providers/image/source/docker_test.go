package source_test

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// docker runs the client, whose daemon the environment names.
func docker(ctx context.Context, dir string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Dir = dir
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("docker %s: %w\n%s", args[0], err, problem.String())
	}
	return out, err
}

// needDocker skips the test where no daemon answers, or the client has no buildx: the
// matcher of older clients takes some patterns for regular expressions.
func needDocker(t *testing.T) {
	t.Helper()
	_, err := docker(t.Context(), t.TempDir(), "version")
	if err == nil {
		_, err = docker(t.Context(), t.TempDir(), "buildx", "version")
	}
	if os.Getenv("APRON_TEST_ENGINES") == "required" {
		require.NoError(t, err, "APRON_TEST_ENGINES=required")
	}
	if err != nil {
		t.Skip(err)
	}
}

// tree is a context: files by path, where a text that starts with -> is a symlink.
type tree map[string]string

func (f tree) write(t require.TestingT, dir string) {
	for name, text := range f {
		at := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if to, ok := strings.CutPrefix(text, "->"); ok {
			require.NoError(t, os.Symlink(to, at))
			continue
		}
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
	}
}

// sent is what docker build, which is buildx since version 23, has in its context: the files that COPY . / puts into an
// image of nothing else.
func sent(t require.TestingT, ctx context.Context, dir string) []string {
	id, err := docker(ctx, dir, "buildx", "build", "--load", "-q", "--no-cache", ".")
	require.NoError(t, err)
	image := strings.TrimSpace(string(id))
	container, err := docker(ctx, dir, "create", image, "none")
	require.NoError(t, err)
	name := strings.TrimSpace(string(container))
	archive := filepath.Join(filepath.Dir(dir), "sent.tar")
	_, err = docker(ctx, dir, "export", "-o", archive, name)
	_, err2 := docker(ctx, dir, "rm", "-f", name)
	_, err3 := docker(ctx, dir, "rmi", "-f", image)
	require.NoError(t, err)
	require.NoError(t, err2)
	require.NoError(t, err3)
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	var names []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeDir && !runtimes[h.Name] {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return names
}

// runtimes are the files that docker puts into every container.
var runtimes = map[string]bool{".dockerenv": true, "etc/hostname": true, "etc/hosts": true, "etc/resolv.conf": true, "etc/mtab": true, "dev/console": true}

func listed(t require.TestingT, ctx context.Context, dir string) []string {
	c, err := source.Open(dir, state.Build{}, source.Options{})
	require.NoError(t, err)
	files, err := c.Files(ctx)
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	return names
}

// forest has a file for each rule of the documentation to get hold of, or to miss.
func forest(rules string) tree {
	f := tree{"Dockerfile": "FROM scratch\nCOPY . /\n", ".dockerignore": rules, "link": "->src", "src/link.md": "->../README.md", "src/gone": "->nowhere"}
	for _, name := range []string{
		"README.md", "README-secret.md", "CHANGES.md", "docs", "temp", "tempa", "temp.txt", "# comment", "!odd", "a b", "x?", "*.go", "main.go",
		"src/main.go", "src/temp", "src/tempb", "src/deep/temp", "src/deep/down/temp", "src/vendor/a/b.go", "src/.hidden/c", "src/a^b",
		"node_modules/a/index.js", "node_modules/keep/index.js", "node_modules/a/node_modules/b/x.js", "web/node_modules/a/index.js",
		"build/out/x", "build/keep", "dist/a.log", "dist/b.log", "logs/a.log", "a.log", ".env", "web/.env", "b.txt", "d.txt", "ünï/cödé",
	} {
		f[name] = name
	}
	return f
}

func TestFiles_areThoseThatDockerSends(t *testing.T) {
	needDocker(t)
	for name, rules := range map[string]string{
		"no rules":                           "",
		"the documentation's first":          "# comment\n*/temp*\n*/*/temp*\ntemp?\n",
		"its exceptions":                     "*.md\n!README*.md\nREADME-secret.md\n",
		"its exceptions in another order":    "*.md\nREADME-secret.md\n!README*.md\n",
		"everything but":                     "*\n!src\nsrc/vendor\n!src/vendor/a/b.go\n",
		"any depth":                          "**/node_modules\n**/*.log\n**/.env\n!dist/b.log\n",
		"below what is left out":             "node_modules\n!node_modules/keep\n!**/b/*.js\n",
		"the Dockerfile and the rules":       "Dockerfile\n.dockerignore\n",
		"slashes, spaces and what is odd":    "\ufeff/build/\n  dist  \n! dist/b.log\n\n\\!odd\na b\nx\\?\n\\*.go\nsrc/../logs\n./web//node_modules\n",
		"classes, links and other alphabets": "[a-c].txt\nlink\nsrc/gone\n**/a^b\nünï/c?dé\n",
		"stars that stand in a word":         "**b\nsrc**\n!src/d**n/**\nn*s/*/i*.js\n",
		"a parent, then a child, then again": "src\n!src/deep\nsrc/deep/down\n!src/deep/down/temp\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "context")
			forest(rules).write(t, dir)
			require.Equal(t, sent(t, t.Context(), dir), listed(t, t.Context(), dir), rules)
		})
	}
}

// TestFiles_areThoseThatDockerSendsOfAnyTree builds for two dozen generated trees and
// rules. The matcher alone is held against Docker's own with many more of them; here it
// is the walk, too, and what the client and the daemon add.
func TestFiles_areThoseThatDockerSendsOfAnyTree(t *testing.T) {
	needDocker(t)
	element := rapid.SampledFrom([]string{"a", "b", "ab", ".a", "b.go", "a^b", "Xb", "(b)"})
	piece := rapid.SampledFrom([]string{"a", "b", "ab", ".a", "b.go", "*", "**", "?", "a*", "*b", "*.go", "[ab]", "[^a]", "a^b", "**b", "(b)", "..", "."})
	root := t.TempDir()
	builds := 0
	passed, failed := true, false // what fails is built again, so that it can be made smaller
	rapid.Check(t, func(t *rapid.T) {
		failed = failed || !passed
		if builds++; builds > 24 && !failed {
			return
		}
		passed = false
		f := tree{}
		for range rapid.IntRange(4, 20).Draw(t, "files") {
			name := strings.Join(rapid.SliceOfN(element, 1, 4).Draw(t, "file"), "/")
			inTheWay := func(other string) bool {
				return name == other || strings.HasPrefix(name, other+"/") || strings.HasPrefix(other, name+"/")
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(f)), inTheWay) {
				f[name] = rapid.SampledFrom([]string{"x", "x", "->a", "->nowhere"}).Draw(t, "text")
			}
		}
		var rules []string
		for range rapid.IntRange(1, 8).Draw(t, "rules") {
			not := rapid.SampledFrom([]string{"", "", "!"}).Draw(t, "not")
			rules = append(rules, not+strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(t, "pieces"), "/"))
		}
		f["Dockerfile"], f[".dockerignore"], f["zz"] = "FROM scratch\nCOPY . /\n", strings.Join(rules, "\n")+"\n!zz\n", "docker sends no empty context"
		dir := filepath.Join(root, fmt.Sprint(builds), "context")
		f.write(t, dir)
		require.Equal(t, sent(t, t.Context(), dir), listed(t, t.Context(), dir), f[".dockerignore"])
		passed = true
	})
	require.Greater(t, builds, 8)
}
