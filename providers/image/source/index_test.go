package source_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// tracked is an entry of an index.
type tracked struct {
	name string
	mode uint32
}

// entries are in git's order. The file run.sh is executable here and not on disk.
var entries = []tracked{
	{"Dockerfile", 0o100644}, {"bin/run.sh", 0o100755}, {"bin/run.sh.txt", 0o100644}, {"link", 0o120000}, {"sub", 0o160000}, {"web/index", 0o100644},
}

// index writes git's index, with hashes of a length, in a version of its format.
// https://git-scm.com/docs/index-format
func index(version uint32, hash int, list []tracked) []byte {
	b := binary.BigEndian.AppendUint32([]byte("DIRC"), version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	last := ""
	for _, e := range list {
		start := len(b)
		b = append(b, make([]byte, 24)...)
		b = binary.BigEndian.AppendUint32(b, e.mode)
		b = append(b, make([]byte, 12)...)
		b = append(b, bytes.Repeat([]byte{0xab}, hash)...)
		flags := uint16(len(e.name))
		if version == 3 {
			flags |= 0x4000
		}
		b = binary.BigEndian.AppendUint16(b, flags)
		if version == 3 {
			b = append(b, 0, 0)
		}
		if version == 4 {
			keep := 0
			for keep < min(len(last), len(e.name)) && last[keep] == e.name[keep] {
				keep++
			}
			b = append(append(append(b, byte(len(last)-keep)), e.name[keep:]...), 0)
			last = e.name
			continue
		}
		b = append(b, e.name...)
		b = append(b, make([]byte, 8-(len(b)-start)%8)...)
	}
	return append(b, make([]byte, hash)...)
}

// repository has everything in the index, and another executable on disk.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"Dockerfile": 0o755, "bin/run.sh": 0o644, "bin/run.sh.txt": 0o755, "web/index": 0o644, "web/untracked": 0o755} {
		at := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte("x"), 0o644))
		require.NoError(t, os.Chmod(at, mode))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".git/config"), []byte("[core]\n\tfilemode = false\n"), 0o644))
	return root
}

func executables(t *testing.T, dir string) []string {
	t.Helper()
	c, err := source.Open(dir, state.Build{}, source.Options{})
	require.NoError(t, err)
	files, err := c.Files(t.Context())
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		if f.Exec {
			names = append(names, f.Path)
		}
	}
	return names
}

// TestFiles_areExecutableAsOnDisk has a repository on a disk whose bits git goes by: what is
// changed there and not staged yet changes the image.
func TestFiles_areExecutableAsOnDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no executable bits on disk")
	}
	for _, config := range []string{"", "[core]\n\tfilemode = true\n"} {
		root := repository(t)
		require.NoError(t, os.WriteFile(filepath.Join(root, ".git/index"), index(2, 20, entries), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(root, ".git/config"), []byte(config), 0o644))
		require.Equal(t, []string{"Dockerfile", "bin/run.sh.txt", "web/untracked"}, executables(t, root))
	}
}

func TestFiles_areExecutableWhereGitSaysSo(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no executable bits on disk")
	}
	for name, data := range map[string][]byte{
		"version 2":           index(2, 20, entries),
		"version 3":           index(3, 20, entries),
		"version 4":           index(4, 20, entries),
		"SHA-256":             index(2, 32, entries),
		"SHA-256, version 4":  index(4, 32, entries),
		"two stages of merge": index(2, 20, append([]tracked{{"Dockerfile", 0o100644}}, entries...)),
	} {
		t.Run(name, func(t *testing.T) {
			root := repository(t)
			require.NoError(t, os.WriteFile(filepath.Join(root, ".git/index"), data, 0o644))
			if strings.HasPrefix(name, "SHA-256") {
				require.NoError(t, os.WriteFile(filepath.Join(root, ".git/config"), []byte("[core]\n\tbare = false\n\tfileMode = false\n[extensions]\n\tobjectFormat = sha256\n"), 0o644))
			}
			require.Equal(t, []string{"bin/run.sh", "web/untracked"}, executables(t, root))
		})
	}

	t.Run("a linked work tree", func(t *testing.T) {
		root, elsewhere := repository(t), t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "index"), index(2, 20, entries), 0o644))
		require.NoError(t, os.RemoveAll(filepath.Join(root, ".git")))
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "config"), []byte("[core]\n\tfilemode = false\n"), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(root, ".git"), []byte("gitdir: "+elsewhere+"\n"), 0o644))
		require.Equal(t, []string{"bin/run.sh", "web/untracked"}, executables(t, root))
	})
}

func TestFiles_areExecutableWhereTheDiskSaysSoIfGitCannotTell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no executable bits on disk")
	}
	root := repository(t)
	want := executables(t, root)
	require.Equal(t, []string{"Dockerfile", "bin/run.sh.txt", "web/untracked"}, want, "without an index")
	whole := index(4, 20, entries)
	for n := range len(whole) { // whatever is cut off, and without a panic
		require.NoError(t, os.WriteFile(filepath.Join(root, ".git/index"), whole[:n], 0o644))
		require.Equal(t, want, executables(t, root), "the first %d bytes", n)
	}
	for name, data := range map[string][]byte{
		"another version": index(5, 20, entries),
		"a strange mode":  index(2, 20, []tracked{{"Dockerfile", 0o777}}),
		"no order":        index(2, 20, []tracked{{"web", 0o100644}, {"Dockerfile", 0o100644}}),
		"no name":         index(2, 20, []tracked{{"", 0o100644}}),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, ".git/index"), data, 0o644))
		require.Equal(t, want, executables(t, root), name)
	}
}

// TestFiles_areInOrderWithGit has names of which neither the order of directories nor
// that of a walk is that of paths, in a context below the top. All are executable on
// disk; a third is so in the index, and a third not.
func TestFiles_areInOrderWithGit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no executable bits on disk")
	}
	root := t.TempDir()
	names := []string{"a-/x", "a-b", "a.d/x", "a/a", "a/m-", "a/m/y", "a/m0", "a0", "b/z"}
	list := []tracked{{"app", 0o120000}}
	var want []string
	for i, name := range names {
		at := filepath.Join(root, "app", filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, nil, 0o755))
		switch i % 3 {
		case 0:
			list = append(list, tracked{"app/" + name, 0o100644})
			continue
		case 1:
			list = append(list, tracked{"app/" + name, 0o100755})
		}
		want = append(want, name) // the last third is not tracked
	}
	list = append(list, tracked{"app0", 0o100644})
	require.NoError(t, os.WriteFile(filepath.Join(root, "app/Dockerfile"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(root, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".git/config"), []byte("[core]\n\tfilemode = false\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".git/index"), index(4, 20, list), 0o644))
	require.Equal(t, want, executables(t, filepath.Join(root, "app")))

	c, err := source.Open(filepath.Join(root, "app"), state.Build{}, source.Options{})
	require.NoError(t, err)
	files, err := c.Files(t.Context())
	require.NoError(t, err)
	var listed []string
	for _, f := range files {
		listed = append(listed, f.Path)
	}
	require.Equal(t, append([]string{"Dockerfile"}, names...), listed)
}

// TestOpen_refusesAHookOfUnknownInputs has ignore files that hide the sources from the image,
// and so would hide them from its name.
func TestOpen_refusesAHookOfUnknownInputs(t *testing.T) {
	for rules, refused := range map[string]bool{"*\n!app\n": true, "**\n!app\n": true, "/*\n!app": true, "node_modules\n*.md\n": false, "": false} {
		root := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(root, "Dockerfile"), []byte("FROM scratch\n"), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(root, ".dockerignore"), []byte(rules), 0o644))
		open := func(inputs []string) error {
			before := &state.Before{Run: []string{"go", "build"}, Inputs: inputs, Outputs: []string{"app"}}
			_, err := source.Open(root, state.Build{Before: before}, source.Options{})
			return err
		}
		require.NoError(t, open([]string{"**/*.go"}), rules)
		require.NoError(t, open([]string{}), "somebody said that there are none: %s", rules)
		if !refused {
			require.NoError(t, open(nil), rules)
			continue
		}
		var wrong *source.Error
		require.ErrorAs(t, open(nil), &wrong, rules)
		require.Equal(t, "image.build.before.inputs", wrong.Key)
	}
}
