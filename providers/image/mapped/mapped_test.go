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
