package origin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/origin"
)

// bytesRead is how much this process has read from files up to now.
// https://man7.org/linux/man-pages/man5/proc_pid_io.5.html
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if os.Getenv("APRON_TEST_ENGINES") == "required" {
		require.NoError(t, err, "APRON_TEST_ENGINES=required")
	}
	if err != nil {
		t.Skipf("nobody counts what is read here: %v", err)
	}
	_, after, _ := strings.Cut(string(text), "rchar: ")
	_, err = fmt.Sscan(after, &n)
	require.NoError(t, err)
	return n
}

func TestResolve_readsACompressedArchiveTwiceAtMost(t *testing.T) {
	dir, o := checkout(t)
	img, err := random.Image(1100<<10, 12)
	require.NoError(t, err)
	save(t, filepath.Join(dir, "web.tar.gz"), true, map[string]v1.Image{"web:1": img})
	info, err := os.Stat(filepath.Join(dir, "web.tar.gz"))
	require.NoError(t, err)
	before := bytesRead(t)
	_, err = origin.Resolve(t.Context(), "./web.tar.gz", o)
	require.NoError(t, err)
	require.LessOrEqual(t, bytesRead(t)-before, 2*info.Size()+1<<20, "layers need not be read to be described")
}
