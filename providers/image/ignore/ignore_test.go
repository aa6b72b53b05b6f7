package ignore_test

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/providers/image/ignore"
)

// ignored asks m about a file, entering every directory on the way.
func ignored(m *ignore.Matcher, name string) bool {
	var d ignore.Dir
	for i, c := range name {
		if c == '/' {
			d = m.Enter(d, name[:i])
		}
	}
	return m.Ignores(d, name)
}

func TestMatcher_followsDockersDocumentation(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		in   []string
		out  []string
	}{
		"a comment, one level, two levels, one character": {
			file: "# comment\n*/temp*\n*/*/temp*\ntemp?\n",
			out:  []string{"somedir/temporary.txt", "somedir/temp", "somedir/subdir/temporary.txt", "tempa", "tempb"},
			in:   []string{"temporary.txt", "temp", "a/b/c/temp", "# comment"},
		},
		"any depth": {
			file: "**/*.go",
			out:  []string{"main.go", "a/b/c.go"},
			in:   []string{"go", "main.gox", "a.go.txt"},
		},
		"an exception": {
			file: "*.md\n!README.md",
			out:  []string{"CHANGES.md"},
			in:   []string{"README.md", "docs/x.md"},
		},
		"all READMEs but one": {
			file: "*.md\n!README*.md\nREADME-secret.md",
			out:  []string{"README-secret.md", "x.md"},
			in:   []string{"README.md", "README-de.md"},
		},
		"the last pattern that matches decides": {
			file: "*.md\nREADME-secret.md\n!README*.md",
			out:  []string{"x.md"},
			in:   []string{"README-secret.md"},
		},
		"everything but": {
			file: "*\n!src\nsrc/vendor",
			out:  []string{"x", "y/z", "src/vendor/a/b"},
			in:   []string{"src/main.go", "src/a/b.go"},
		},
		"an exception below what is left out": {
			file: "node_modules\n!node_modules/keep/**",
			out:  []string{"node_modules/a/b.js"},
			in:   []string{"node_modules/keep/c.js"},
		},
		"slashes, spaces and a byte order mark": {
			file: "\ufeff/build/\n  dist  \n! dist/keep\n\n",
			out:  []string{"build/x", "dist/y"},
			in:   []string{"dist/keep", "a/build"},
		},
		"a directory's name matches only whole": {
			file: "docs",
			out:  []string{"docs", "docs/a"},
			in:   []string{"docs2", "a/docs"},
		},
		"classes and escapes": {
			file: "[a-c].txt\n\\*.go\nx\\?",
			out:  []string{"b.txt", "*.go", "x?"},
			in:   []string{"d.txt", "main.go", "xy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			patterns, err := ignore.Parse(strings.NewReader(tc.file))
			require.NoError(t, err)
			m, err := ignore.New(patterns)
			require.NoError(t, err)
			for _, p := range tc.in {
				require.False(t, ignored(m, p), "%s stays in", p)
			}
			for _, p := range tc.out {
				require.True(t, ignored(m, p), "%s is left out", p)
			}
		})
	}
}

func TestNew_refusesWhatIsNoPattern(t *testing.T) {
	for _, p := range []string{"!", "[", "a[", `x\`} {
		_, err := ignore.New([]string{p})
		require.Error(t, err, p)
	}
}

// docker walks to name as BuildKit does and returns the verdict of Docker's own matcher.
func docker(t *rapid.T, pm *patternmatcher.PatternMatcher, name string) bool {
	var info patternmatcher.MatchInfo
	var out bool
	var err error
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '/' {
			out, info, err = pm.MatchesUsingParentResults(name[:i], info)
			require.NoError(t, err)
		}
	}
	return out
}

var (
	piece    = rapid.SampledFrom([]string{"a", "b", "ab", ".a", "a.b", "b.go", "*", "**", "?", "a*", "*b", "*.go", "a*b", "[ab]", "[^a]", "a^b", `\*`, "a**", "**b", "{a}", "(b)", "?b", "*?", "*??", "?*?", "é", "€.g?"})
	element  = rapid.SampledFrom([]string{"a", "b", "ab", ".a", "a.b", "b.go", "a^b", "*", "aXb", "{a}", "(b)", "é", "€", "€.go"})
	patterns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		not := rapid.SampledFrom([]string{"", "", "!"}).Draw(t, "not")
		return not + strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(t, "pieces"), "/")
	}), 1, 90)
	file = rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(element, 1, 4).Draw(t, "elements"), "/")
	})
)

func TestMatcher_agreesWithDockersOwn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Docker's matcher takes backslashes there")
	}
	rapid.Check(t, func(t *rapid.T) {
		list := patterns.Draw(t, "patterns") // some, or more than a machine word has bits
		pm, err := patternmatcher.New(list)
		m, err2 := ignore.New(list)
		require.Equal(t, err == nil, err2 == nil, "%v, %v", err, err2)
		if err != nil {
			return
		}
		name := path.Clean(file.Draw(t, "file"))
		require.Equal(t, docker(t, pm, name), ignored(m, name), "%q on %q", list, name)
	})
}

func TestMatcher_sealsOnlyWhatNothingCanReachAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := ignore.New(patterns.Draw(t, "patterns"))
		require.NoError(t, err)
		name := file.Draw(t, "file")
		var d ignore.Dir
		for i, c := range name {
			if c != '/' {
				continue
			}
			if d = m.Enter(d, name[:i]); m.Sealed(d, name[:i]) {
				require.True(t, ignored(m, name), "%s was sealed at %s", name, name[:i])
				return
			}
		}
	})
}

func TestMatcher_sealsTheUsual(t *testing.T) {
	for _, tc := range []struct {
		patterns []string
		dir      string
		want     bool
	}{
		{[]string{"node_modules"}, "node_modules", true},
		{[]string{"node_modules", "!src/**"}, "node_modules", true},
		{[]string{"node_modules", "!node_modules/x"}, "node_modules", false},
		{[]string{"*", "!src"}, "src", false},
		{[]string{"*", "!src"}, "srcs", true},
		{[]string{"*", "!**/*.go"}, "docs", false},
	} {
		m, err := ignore.New(tc.patterns)
		require.NoError(t, err)
		require.Equal(t, tc.want, m.Sealed(m.Enter(ignore.Dir{}, tc.dir), tc.dir), "%q on %s", tc.patterns, tc.dir)
	}
}

// usual is a .dockerignore of fifty patterns, in the shapes people write.
func usual() []string {
	list := []string{"**/node_modules", "**/.git", ".git", "**/*.pyc", "**/__pycache__", "*.log", "**/*.log", "dist", "build/**", "docs/*.md", "**/test_*.py", "[Tt]mp", "**/*.sw?"}
	for i := len(list); i < 50; i++ {
		list = append(list, fmt.Sprintf("tools/t%d", i), fmt.Sprintf("**/*.x%d", i))
	}
	return list[:50]
}

func BenchmarkMatcher(b *testing.B) {
	m, err := ignore.New(usual())
	require.NoError(b, err)
	d := m.Enter(m.Enter(ignore.Dir{}, "src"), "src/package")
	b.ReportAllocs()
	for b.Loop() {
		m.Ignores(d, "src/package/module_with_a_name.py")
	}
}

func BenchmarkMatcher_dockersOwn(b *testing.B) {
	pm, err := patternmatcher.New(usual())
	require.NoError(b, err)
	_, info, _ := pm.MatchesUsingParentResults("src/package", patternmatcher.MatchInfo{})
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = pm.MatchesUsingParentResults("src/package/module_with_a_name.py", info)
	}
}
