package mapped_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/mapped"
)

func TestRead_isWhatWasInTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	for _, text := range []string{"", "short", string(make([]byte, 100_000))} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		data, done, err := mapped.Read(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name+".new", []byte("another"), 0o600))
		if runtime.GOOS != "windows" {
			require.NoError(t, os.Rename(name+".new", name))
		}
		require.Equal(t, text, string(data), "the old file is whole although another has taken its place")
		done()
	}
	_, _, err := mapped.Read(name + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = mapped.Read(t.TempDir())
	require.Error(t, err)
}

func TestGuard_isToldOfAFileThatIsCutShort(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(name, make([]byte, 100_000), 0o600))
	data, done, err := mapped.Read(name)
	require.NoError(t, err)
	defer done()
	last := func() error {
		if data[len(data)-1] != 0 {
			return os.ErrInvalid
		}
		return nil
	}
	require.NoError(t, mapped.Guard(last))
	require.NoError(t, os.Truncate(name, 0))
	if err := mapped.Guard(last); err != nil { // else it is a copy
		require.ErrorIs(t, err, mapped.ErrGone)
	} else {
		require.NotContains(t, []string{"linux", "darwin"}, runtime.GOOS)
	}
	require.Equal(t, os.ErrInvalid, mapped.Guard(func() error { return os.ErrInvalid }))
	require.Panics(t, func() {
		_ = mapped.Guard(func() error {
			var none *int
			*none = 1
			return nil
		})
	}, "a mistake of ours is none of the file's")
}
