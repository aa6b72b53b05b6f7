package git_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/source/git"
)

// remote is a repository whose configuration is the given text.
func remote(t *testing.T, config string) *git.Repository {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "config"), []byte(config), 0o644))
	r, err := git.Open(dir)
	require.NoError(t, err)
	return r
}

func TestName_isTheSameForEveryProtocolAndHoldsNoSecret(t *testing.T) {
	for url, want := range map[string]string{
		"https://github.com/acme/shop.git":                      "github.com/acme/shop",
		"https://github.com/acme/shop":                          "github.com/acme/shop",
		"https://GitHub.com/acme/Shop/":                         "github.com/acme/Shop",
		"git@github.com:acme/shop.git":                          "github.com/acme/shop",
		"github.com:acme/shop":                                  "github.com/acme/shop",
		"ssh://git@github.com:22/acme/shop.git":                 "github.com/acme/shop",
		"git://git.example.com/a/b/c.git":                       "git.example.com/a/b/c",
		"https://ana:s3cret@github.com/acme/shop.git":           "github.com/acme/shop",
		"https://s3cret@github.com/acme/shop.git":               "github.com/acme/shop",
		"https://gitlab-ci-token:s3cret@gitlab.com/g/sub/p.git": "gitlab.com/g/sub/p",
		"https://example.com:8443/acme/shop.git":                "example.com/acme/shop",

		"https://ana:s3/cret@github.com/acme/shop.git": "",
		"https://ana:s3%cret@github.com/acme/shop.git": "",
		"https://s3c.ret/x@github.com/acme/shop.git":   "",
		"https://github.com/acme/shop.git?token=s3":    "",
		"https://github.com/acme/shop.git#s3cret":      "",
		"https://github.com/ana:s3cret/shop.git":       "",
		"ana:s3cret@github.com:acme/shop.git":          "",
		"a.na:s3cret@github.com:acme/shop.git":         "",
		"https://github.com/":                          "",
		"https://github.com/acme/../shop":              "",
		"https://github.com/acme//shop":                "",
		"https://intranet/acme/shop.git":               "",
		"work:acme/shop.git":                           "", // of somebody's ssh configuration
		"/srv/git/shop.git":                            "",
		"../shop.git":                                  "",
		"./a.b:c/shop.git":                             "",
		"file:///srv/git/shop.git":                     "",
		`C:\git\shop.git`:                              "",
		"ext::ssh://example.com/shop":                  "",
		"":                                             "",
	} {
		require.Equal(t, want, remote(t, "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = "+url+"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n").Name(), url)
	}
}

func TestName_isThatOfOriginOrOfTheOnlyRemote(t *testing.T) {
	section := func(name, url string) string { return "[remote \"" + name + "\"]\n\tURL=" + url + "\n" }
	a, b := "https://example.com/a.git", "https://example.com/b.git"
	for name, tc := range map[string]struct{ config, want string }{
		"none":               {"[core]\n", ""},
		"no configuration":   {"", ""},
		"the only one":       {section("upstream", a), "example.com/a"},
		"several":            {section("one", a) + section("two", b), ""},
		"origin of several":  {section("one", a) + section("origin", b), "example.com/b"},
		"the first of two":   {section("origin", a) + "\turl = " + b + "\n", "example.com/a"},
		"on one line":        {"[remote \"origin\"] url = " + a + "\n", "example.com/a"},
		"another section":    {"[branch \"origin\"]\n\turl = " + a + "\n", ""},
		"in quotes":          {section("origin", `"`+a+`"`), ""},
		"what is not read":   {section("origin", a+" \\"), ""},
		"a damaged section":  {"[remote \"origin\n" + section("origin", a), ""},
		"a push URL besides": {"[remote \"origin\"]\n\tpushurl = " + b + "\n\turl = " + a + "\n", "example.com/a"},
	} {
		require.Equal(t, tc.want, remote(t, tc.config).Name(), name)
	}
}

func TestName_isWhatGitWrites(t *testing.T) {
	p := newPlace(t)
	require.Empty(t, p.open().Name())
	p.git("remote", "add", "origin", "https://ana:s3cret@example.com/acme/shop.git")
	require.Equal(t, "example.com/acme/shop", p.open().Name())
	p.commit("a", "1")
	p.git("worktree", "add", "-q", "tree")
	linked, err := git.Open(filepath.Join(p.dir, "tree"))
	require.NoError(t, err)
	require.Equal(t, "example.com/acme/shop", linked.Name())
}

func TestSpared_isWhatASparseCheckoutLeavesOut(t *testing.T) {
	says := func(r *git.Repository, path string) string {
		spared, known := r.Spared(path)
		return map[[2]bool]string{{true, true}: "yes", {false, true}: "no", {false, false}: "unknown"}[[2]bool{spared, known}]
	}
	p := newPlace(t)
	require.Equal(t, "no", says(p.open(), "a/b"), "there is no index yet")
	p.commit("a/b", "1")
	p.commit("c/d", "1")
	require.NoError(t, os.Remove(filepath.Join(p.dir, "c", "d")))
	require.Equal(t, "no", says(p.open(), "c/d"), "it was deleted")
	p.git("checkout", "-q", "c/d")
	p.git("sparse-checkout", "set", "--sparse-index", "--cone", "c")
	require.NoFileExists(t, filepath.Join(p.dir, "a", "b"))
	require.Equal(t, "unknown", says(p.open(), "a/b"), "which the index has no room for")
	require.Equal(t, "no", says(p.open(), "c/d"))
	p.git("sparse-checkout", "set", "--no-sparse-index", "--cone", "c")
	require.Equal(t, "yes", says(p.open(), "a/b"))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, ".git", "index"), []byte("DIRC"), 0o644))
	require.Equal(t, "unknown", says(p.open(), "a/b"))
}
