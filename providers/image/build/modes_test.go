package build_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/state"
)

// TestBuilders_takeNothingFromAUmask builds files of which others may read nothing, and files
// that a group may write: the image is that of any other checkout.
func TestBuilders_takeNothingFromAUmask(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no permissions on disk")
	}
	files := map[string]string{"Dockerfile": "FROM scratch\nCOPY . /app/\nENTRYPOINT [\"/app/bin/run\"]\n", "bin/run": "x", "web/index.html": "hello", "web/link": "->index.html"}
	b := state.Build{Platform: "linux/amd64"}
	masks := map[string]fs.FileMode{"as they are mostly": 0o755, "umask 077": 0o700, "umask 002": 0o775}
	for _, called := range builders {
		t.Run(called, func(t *testing.T) {
			images := map[string]seen{}
			for name, mask := range masks {
				dir := checkout(t, files)
				require.NoError(t, filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
					switch {
					case err != nil || d.Type()&fs.ModeSymlink != 0:
						return err
					case d.IsDir() || d.Name() == "run":
						return os.Chmod(at, mask)
					}
					return os.Chmod(at, mask&0o666)
				}))
				r := request(t, dir, b)
				var lines []string
				r.Line = func(_, line string) { lines = append(lines, line) }
				img, err := builder(t, called, &r).Build(t.Context(), r)
				require.NoError(t, err, strings.Join(lines, "\n"))
				images[name] = look(t, img)
			}
			want := images["as they are mostly"]
			require.Contains(t, want.Files["/app/bin/run"], "file 0755 0 ")
			require.Contains(t, want.Files["/app/web/index.html"], "file 0644 0 ")
			for name, got := range images {
				require.Equal(t, want, got, name)
			}
		})
	}
}
