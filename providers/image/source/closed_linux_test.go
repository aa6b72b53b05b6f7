package source_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestSelect_takesAFileOfADirectoryThatCannotBeListed is a user who may go through a
// directory to what is in it, and may not see what that is.
func TestSelect_takesAFileOfADirectoryThatCannotBeListed(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "d"), 0o755))
	for _, name := range []string{"Dockerfile", "d/x"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte("x"), 0o644))
	}
	c, err := source.Open(root, state.Build{}, source.Options{})
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(root, "d"), 0o111))
	if os.Geteuid() == 0 { // who may do everything, until this thread is somebody else
		for at := root; at != "/"; at = filepath.Dir(at) {
			info, err := os.Stat(at)
			require.NoError(t, err)
			if info.Mode()&0o11 != 0o11 {
				require.NoError(t, os.Chmod(at, info.Mode().Perm()|0o11))
				defer func() { _ = os.Chmod(at, info.Mode().Perm()) }()
			}
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		require.NoError(t, syscall.Setfsuid(65534))
		defer func() { require.NoError(t, syscall.Setfsuid(0)) }()
	}
	_, err = os.ReadDir(filepath.Join(root, "d"))
	require.ErrorIs(t, err, os.ErrPermission)
	files, err := c.Select(t.Context(), &state.Before{Inputs: []string{"d/x"}})
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "d/x", files[0].Path)
}
