package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarker(t *testing.T) {
	t.Parallel()
	marker := func(environment string, files, only []string) string {
		a := newApp(nil, new(bytes.Buffer), new(bytes.Buffer))
		a.environment, a.files, a.only = environment, files, only
		return a.marker()
	}
	here, err := filepath.Abs("one.yaml")
	require.NoError(t, err)
	seen := map[string]int{}
	for i, same := range [][]string{
		{marker("", []string{"one.yaml"}, nil), marker("", []string{"./one.yaml"}, nil), marker("", []string{"../apron//one.yaml"}, nil), marker("", []string{here}, nil), marker("", []string{"one.yaml", "./one.yaml"}, nil)},
		{marker("", nil, nil), marker("", []string{"deploy.yaml"}, nil)},
		{marker("", []string{"docs/one.yaml"}, nil)},
		{marker("", []string{"one.yaml", "two.yaml"}, nil), marker("", []string{"two.yaml", "one.yaml"}, nil)},
		{marker("production", []string{"one.yaml"}, nil)},
		{marker("", []string{"one.yaml"}, []string{"shop"}), marker("", []string{"one.yaml"}, []string{"shop", "shop"})},
		{marker("", []string{"one.yaml"}, []string{"shopapi"})},
		{marker("", []string{"one.yaml"}, []string{"api", "shop"}), marker("", []string{"one.yaml"}, []string{"shop", "api"})},
		{marker("", []string{"one.yaml", "shop"}, nil)},
	} {
		for j, m := range same {
			require.Equal(t, same[0], m, "%d.%d", i, j)
		}
		before, known := seen[same[0]]
		require.False(t, known, "%d is as %d", i, before)
		seen[same[0]] = i
	}
}

// TestApplyApproved_ofTwoDirectories: each manifest of a repository has its own comment, though
// both are called the same where they are planned; and so has each service of one. It changes
// its working directory, so that nothing runs beside it.
func TestApplyApproved_ofTwoDirectories(t *testing.T) {
	p := newProposal(t, small)
	require.NoError(t, os.Mkdir(filepath.Join(p.c.dir, ".git"), 0o755))
	p.vars["KEY"] = canary + "-value"
	for dir, text := range map[string]string{"a": strings.Replace(small, "service: shop", "service: bill", 1), "b": small + "---\n" + strings.Replace(small, "service: shop", "service: shopapi", 1)} {
		p.c.write("mono/"+dir+"/deploy.yaml", text)
		require.NoError(t, os.CopyFS(filepath.Join(p.c.dir, "mono", dir, "app"), os.DirFS(filepath.Join(p.c.dir, "app"))))
	}
	p.dir = ""
	in := func(dir, file string) {
		t.Chdir(filepath.Join(p.c.dir, "mono", dir))
		p.manifest = file
	}
	in("a", "deploy.yaml")
	p.plan(t)
	in("b", "deploy.yaml")
	p.plan(t, "--only", "shop")
	p.plan(t, "--only", "shopapi")
	in(".", "./a/../a/deploy.yaml")
	require.Contains(t, p.plan(t), "as before")
	comments := p.hub.Comments()
	require.Len(t, comments, 3)
	for i, says := range []string{"manifest `mono/a/deploy.yaml`", "service `shop`", "service `shopapi`"} {
		require.Contains(t, comments[i].Body, says)
	}
	p.hub.Review("bob", "APPROVED")
	p.hub.Merge("merge-1", 7)
	in("b", "deploy.yaml")
	for _, only := range []string{"shop", "shopapi"} {
		code, out := p.apply(t, "merge-1", "--only", only)
		require.Equal(t, exitOK, code, out)
	}
	in("a", "deploy.yaml")
	code, out := p.apply(t, "merge-1")
	require.Equal(t, exitOK, code, out)
}
