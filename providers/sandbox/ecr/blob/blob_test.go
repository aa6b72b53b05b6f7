package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
)

const hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func TestStore_keepsWhatIsCommitted(t *testing.T) {
	dir := t.TempDir()
	s, err := blob.Open(dir)
	require.NoError(t, err)
	w, err := s.Create()
	require.NoError(t, err)
	for _, part := range []string{"he", "", "llo"} {
		_, err := w.ReadFrom(strings.NewReader(part))
		require.NoError(t, err)
	}
	require.Equal(t, int64(5), w.Size())
	_, _, err = s.Open(hello)
	require.ErrorIs(t, err, blob.ErrNotFound, "not before it is committed")
	require.NoError(t, w.Commit(hello))

	s, err = blob.Open(dir)
	require.NoError(t, err)
	f, size, err := s.Open(hello)
	require.NoError(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "hello", string(content))
	require.Equal(t, int64(5), size)

	again, err := s.Put([]byte("hello"))
	require.NoError(t, err)
	require.Equal(t, hello, again)
}

func TestWriter_refusesAnotherDigest(t *testing.T) {
	s, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	w, err := s.Create()
	require.NoError(t, err)
	_, err = w.ReadFrom(strings.NewReader("hullo"))
	require.NoError(t, err)
	require.ErrorIs(t, w.Commit(hello), blob.ErrDigest)
	w.Abort()
	w.Abort()
}

func TestWriter_goesOnAfterABrokenReader(t *testing.T) {
	s, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	w, err := s.Create()
	require.NoError(t, err)
	cut := errors.New("connection lost")
	_, err = w.ReadFrom(io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(cut)))
	require.ErrorIs(t, err, cut)
	require.Equal(t, int64(3), w.Size())
	_, err = w.ReadFrom(strings.NewReader("lo"))
	require.NoError(t, err)
	require.NoError(t, w.Commit(hello))
}

func TestStore_clearsUnfinishedWrites(t *testing.T) {
	dir := t.TempDir()
	s, err := blob.Open(dir)
	require.NoError(t, err)
	_, err = s.Create()
	require.NoError(t, err)
	_, err = blob.Open(dir)
	require.NoError(t, err)
	left, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStore_sweepsWhatNobodyWants(t *testing.T) {
	s, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	keep, err := s.Put([]byte("keep"))
	require.NoError(t, err)
	_, err = s.Put([]byte("drop it"))
	require.NoError(t, err)
	freed, err := s.Sweep(func(d string) bool { return d == keep })
	require.NoError(t, err)
	require.Equal(t, int64(7), freed)
	_, err = s.Read(keep)
	require.NoError(t, err)
}

func TestValid_knowsSHA256Only(t *testing.T) {
	require.True(t, blob.Valid(hello))
	for _, d := range []string{"", "sha256:", "sha256:12", strings.ToUpper(hello), "sha512" + hello[6:], hello + "0",
		"sha256:../../../../../../../../../../../../../../../../../../../etc/pass"} {
		require.False(t, blob.Valid(d), d)
	}
}
