package image_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/reconcile/apply"
)

func TestPrepare_writesNothingAndKeepsTheImageForThePush(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch}, sh("echo 1 > made; mkdir -p ran; echo >> ran/times", "made", "ran"))
	a := j.plan(t)
	p := image.NewProvider(j.shop, j.o)
	require.True(t, p.Prepares(a))

	discard, err := p.Prepare(t.Context(), a, apply.Env{})
	require.NoError(t, err)
	require.Zero(t, j.shop.writes)
	require.NoError(t, os.RemoveAll(filepath.Join(j.root, "ran")))

	out, err := p.Execute(t.Context(), a, apply.Env{})
	require.NoError(t, err)
	require.Equal(t, "1\n", content(t, j.shop.has(t, out.ID), "made"))
	require.NoDirExists(t, filepath.Join(j.root, "ran"), "it was built again")
	require.Equal(t, 1, j.shop.given, "one token is enough")
	requireEmpty(t, j.o.Temp)
	discard()

	discard, err = p.Prepare(t.Context(), a, apply.Env{})
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(j.root, "ran"), "what is there was built")
	again, err := p.Execute(t.Context(), a, apply.Env{})
	require.NoError(t, err)
	require.Equal(t, out, again)
	discard()
}

func TestPrepare_leavesNothingBehind(t *testing.T) {
	skipWithoutShell(t)
	j := newJob(t, map[string]string{"Dockerfile": scratch}, sh("echo 1 > made", "made"))
	p := image.NewProvider(j.shop, j.o)
	discard, err := p.Prepare(t.Context(), j.plan(t), apply.Env{})
	require.NoError(t, err)
	discard()
	requireEmpty(t, j.o.Temp)
	require.Zero(t, j.shop.writes)

	unfit := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}, nil)
	p = image.NewProvider(unfit.shop, unfit.o)
	_, err = p.Prepare(t.Context(), unfit.plan(t), apply.Env{})
	require.ErrorContains(t, err, "neither ENTRYPOINT nor CMD")
	requireEmpty(t, unfit.o.Temp)
	require.Zero(t, unfit.shop.writes)
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "temporary files stay behind")
}
