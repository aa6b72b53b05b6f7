package image_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image"
)

// A disk that is full is one plain message, whichever write met it, and nothing is in the
// registry.
func TestExecute_saysThatTheDiskIsFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		if os.Getenv("APRON_TEST_ENGINES") == "required" {
			require.NoError(t, err, "APRON_TEST_ENGINES=required")
		}
		t.Skipf("needs a small disk of its own: mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	incompressible := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(incompressible)
	for name, content := range map[string][]byte{"in mid-file": incompressible, "at the end": incompressible[:63<<10]} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY big big2 /\nCMD [\"/big\"]\n", "big": string(content), "big2": "x"}, nil)
			j.o.Temp = disk
			_, err := j.run(t, t.Context(), j.plan(t))
			full, ok := errors.AsType[*image.SpaceError](err)
			require.True(t, ok, "%v", err)
			require.EqualError(t, err, "the disk with "+disk+", where layers are kept until they are pushed, is full; nothing was tagged")
			require.Contains(t, full.Hint(), "TMPDIR")
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Zero(t, j.shop.writes)
			left, err := os.ReadDir(disk)
			require.NoError(t, err)
			require.Empty(t, left, "what was kept is removed")
		})
	}
}
