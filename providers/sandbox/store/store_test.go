package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/store"
)

type shelf struct{ Books map[string]int }

func open(t *testing.T, dir string) (*store.Store, *store.Doc[shelf]) {
	t.Helper()
	s, err := store.Open(dir)
	require.NoError(t, err)
	d, err := store.Load[shelf](s, "shelf")
	require.NoError(t, err)
	return s, d
}

func put(name string, n int) func(*shelf) error {
	return func(s *shelf) error {
		if s.Books == nil {
			s.Books = map[string]int{}
		}
		s.Books[name] = n
		return nil
	}
}

func count(d *store.Doc[shelf], name string) (n int) {
	d.View(func(s *shelf) { n = s.Books[name] })
	return n
}

func TestDoc_survivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	_, d := open(t, dir)
	require.NoError(t, d.Update(put("emma", 2)))

	_, again := open(t, dir)
	require.Equal(t, 2, count(again, "emma"))
	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "shelf.json"): 0o600} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, want, info.Mode().Perm(), name)
		}
	}
}

func TestDoc_undoesAFailedUpdate(t *testing.T) {
	_, d := open(t, t.TempDir())
	require.NoError(t, d.Update(put("emma", 2)))
	boom := errors.New("boom")
	err := d.Update(func(s *shelf) error {
		s.Books["emma"] = 9
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, 2, count(d, "emma"))
}

func TestDoc_undoesAnUpdateThatCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	_, d := open(t, dir)
	require.NoError(t, d.Update(put("emma", 2)))
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, d.Update(put("emma", 3)))
	require.Equal(t, 2, count(d, "emma"))
}

func TestLoad_saysHowToGetPastADamagedFile(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shelf.json"), []byte("{"), 0o600))
	_, err = store.Load[shelf](s, "shelf")
	require.ErrorContains(t, err, "reset the sandbox")
}

func TestBox_opensOnlyForItsOwner(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir)
	require.NoError(t, err)
	box, err := s.Box()
	require.NoError(t, err)
	sealed := box.Seal("/a", "hunter2")
	require.NotContains(t, sealed, "hunter2")

	again, err := s.Box() // the key is kept
	require.NoError(t, err)
	plain, err := again.Open("/a", sealed)
	require.NoError(t, err)
	require.Equal(t, "hunter2", plain)
	_, err = again.Open("/b", sealed)
	require.Error(t, err)
	_, err = again.Open("/a", "short")
	require.Error(t, err)
}
