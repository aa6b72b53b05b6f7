package runner

import (
	"archive/tar"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// extractInto extracts layers into a folder that lies beside a file which no layer may touch.
func extractInto(t tester, dir string, layers ...[]tarEntry) (tree string, err error) {
	t.Helper()
	tree = filepath.Join(dir, "tree")
	require.NoError(t, os.Mkdir(tree, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outside"), []byte("untouched"), 0o600))
	img := imageOf(t, layers...)
	err = extract(context.Background(), img, tree)
	left, e := os.ReadDir(dir)
	require.NoError(t, e)
	require.Len(t, left, 2, "nothing beside the tree")
	b, e := os.ReadFile(filepath.Join(dir, "outside"))
	require.NoError(t, e)
	require.Equal(t, "untouched", string(b))
	return tree, err
}

func TestExtract_neverLeavesTheTree(t *testing.T) {
	for name, tc := range map[string]struct {
		layer []tarEntry
		at    string // where the last entry went; "" for nowhere
		fails string
	}{
		"a name that climbs":                 {layer: []tarEntry{file("../../outside", "evil")}, at: "outside"},
		"an absolute name":                   {layer: []tarEntry{file("/outside", "evil")}, at: "outside"},
		"through a relative link":            {layer: []tarEntry{link("up", ".."), file("up/outside", "evil")}, at: "outside"},
		"through an absolute link":           {layer: []tarEntry{link("abs", "/"), file("abs/outside", "evil")}, at: "outside"},
		"through links to links":             {layer: []tarEntry{link("a", "b/.."), link("b", "../.."), file("a/outside", "evil")}, at: "outside"},
		"over a link":                        {layer: []tarEntry{link("outside", "../outside"), file("outside", "evil")}, at: "outside"},
		"a folder over a link":               {layer: []tarEntry{link("d", ".."), folder("d", 0o755), file("d/outside", "evil")}, at: "d/outside"},
		"a hard link to a climbing name":     {layer: []tarEntry{hardlink("got", "../outside")}, fails: "no such file"},
		"a hard link through a link":         {layer: []tarEntry{link("up", ".."), hardlink("got", "up/outside")}, fails: "no such file"},
		"a whiteout of the parent":           {layer: []tarEntry{folder("d", 0o755), file("d/.wh...", "")}, fails: "a whiteout of nothing"},
		"a whiteout through a link":          {layer: []tarEntry{link("up", ".."), file("up/.wh.outside", "")}},
		"an opaque folder through a link":    {layer: []tarEntry{link("up", "../.."), file("up/.wh..wh..opq", "")}},
		"links in a circle":                  {layer: []tarEntry{link("a", "b"), link("b", "a"), file("a/x", "evil")}, fails: "too many levels"},
		"a file where a folder is needed":    {layer: []tarEntry{file("f", "x"), file("f/x", "evil")}, fails: "not a directory"},
		"a device, which is left out":        {layer: []tarEntry{{Header: tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8}}}},
		"a link to itself, which is nothing": {layer: []tarEntry{file("f", "x"), hardlink("f", "f")}, at: "f"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := extractInto(t, t.TempDir(), tc.layer)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				return
			}
			require.NoError(t, err)
			if tc.at != "" {
				fi, err := os.Lstat(filepath.Join(tree, tc.at))
				require.NoError(t, err)
				require.True(t, fi.Mode().IsRegular())
			}
		})
	}
}

func TestExtract_whateverLayersSay_nothingOutsideChanges(t *testing.T) {
	parent := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "c", "..", "."})
		path := rapid.Custom(func(r *rapid.T) string {
			return strings.Join(rapid.SliceOfN(part, 1, 4).Draw(r, "parts"), "/")
		})
		entry := rapid.Custom(func(r *rapid.T) tarEntry {
			name := path.Draw(r, "name")
			switch rapid.IntRange(0, 5).Draw(r, "kind") {
			case 0:
				return folder(name, 0o755)
			case 1:
				return link(name, rapid.SampledFrom([]string{"", "/"}).Draw(r, "root")+path.Draw(r, "target"))
			case 2:
				return hardlink(name, path.Draw(r, "target"))
			case 3:
				return file(filepath.Join(name, ".wh."+rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "gone")), "")
			case 4:
				return file(filepath.Join(name, opaque), "")
			}
			return file(name, "inside")
		})
		var layers [][]tarEntry
		for range rapid.IntRange(1, 3).Draw(r, "layers") {
			layers = append(layers, rapid.SliceOfN(entry, 1, 8).Draw(r, "entries"))
		}
		dir, err := os.MkdirTemp(parent, "")
		require.NoError(r, err)
		_, _ = extractInto(r, dir, layers...) // looks outside, whatever became of it
		require.NoError(r, removeTree(dir))
	})
}

func TestExtract_keepsModesAndContents(t *testing.T) {
	tree, err := extractInto(t, t.TempDir(),
		[]tarEntry{folder("readonly", 0o555), file("readonly/below", "1"), link("lib", "/usr/lib"), folder("usr/lib", 0o755)},
		[]tarEntry{file("readonly/above", "2"), file("lib/x", "3"), folder("tmp", 0o777|0o1000)},
		[]tarEntry{file(".wh.usr", ""), file("usr/lib/y", "4")},
	)
	require.NoError(t, err)
	for at, want := range map[string]string{"readonly/below": "1", "readonly/above": "2", "usr/lib/y": "4"} {
		b, err := os.ReadFile(filepath.Join(tree, at))
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
	require.NoFileExists(t, filepath.Join(tree, "usr/lib/x"), "its layer is below the whiteout")
	fi, err := os.Stat(filepath.Join(tree, "tmp"))
	require.NoError(t, err)
	require.Equal(t, fs.ModeSticky|0o777, fi.Mode()&^fs.ModeDir)
	fi, err = os.Stat(filepath.Join(tree, "readonly"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o055), fi.Mode().Perm()&^0o700, "the owner is us unless we are root")

	dst := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, copyTree(t.Context(), tree, dst))
	require.Equal(t, listing(t, tree), listing(t, dst))
	for _, dir := range []string{tree, dst} {
		require.NoError(t, os.Chmod(filepath.Join(dir, "readonly"), 0o000))
		require.NoError(t, removeTree(dir), "whatever its modes")
	}
}

func TestExtract_stopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, extract(ctx, imageOf(t, []tarEntry{file("x", "")}), t.TempDir()), context.Canceled)
}

// listing is all that a tree is, but for times.
func listing(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		fi, err := d.Info()
		require.NoError(t, err)
		rel, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		text := ""
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			text = string(b)
		case fi.Mode()&fs.ModeSymlink != 0:
			text, err = os.Readlink(path)
			require.NoError(t, err)
		}
		all = append(all, rel+" "+fi.Mode().String()+" "+text)
		return nil
	}))
	return all
}

func TestUserOf_findsWhoRuns(t *testing.T) {
	tree, err := extractInto(t, t.TempDir(), []tarEntry{
		link("etc", "/real"), // found as inside
		file("real/passwd", "root:x:0:0::/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\nhomeless:x:7:7:::\nbroken line\n"),
		file("real/group", "root:x:0:\nnode:x:1001:\nweb:x:33:node,other\nall:x:44:other,node\n"),
	})
	require.NoError(t, err)
	root, err := os.OpenRoot(tree)
	require.NoError(t, err)
	defer root.Close()
	for spec, want := range map[string]user{
		"":          {home: "/root"},
		"root":      {home: "/root"},
		"node":      {uid: 1000, gid: 1001, groups: []int{33, 44}, home: "/home/node"},
		"1000":      {uid: 1000, gid: 1001, groups: []int{33, 44}, home: "/home/node"},
		"node:web":  {uid: 1000, gid: 33, home: "/home/node"},
		"1000:5":    {uid: 1000, gid: 5, home: "/home/node"},
		"4242":      {uid: 4242, home: "/"},
		"4242:4243": {uid: 4242, gid: 4243, home: "/"},
		"homeless":  {uid: 7, gid: 7, home: "/"},
	} {
		got, err := userOf(root, spec)
		require.NoError(t, err, spec)
		require.Equal(t, want, got, spec)
	}
	for spec, want := range map[string]string{
		"nobody":  `user "nobody" of the image: not in its /etc/passwd`,
		"-1":      `user "-1" of the image`,
		"node:no": `group "no" of the image: not in its /etc/group`,
	} {
		_, err := userOf(root, spec)
		require.ErrorContains(t, err, want)
	}
}
