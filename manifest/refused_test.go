package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// TestLoad_tellsTheSoundFromTheWrong loads several manifests: what is wrong with one keeps
// no other from being there.
func TestLoad_tellsTheSoundFromTheWrong(t *testing.T) {
	sound := func(name string) string {
		return "version: 1\nservice: " + name + "\nregion: us-east-1\nimage: {build: {context: .}}\n"
	}
	for name, tc := range map[string]struct {
		files  map[string]string
		paths  []string // default: the directory
		sound  []string
		wrong  []string // "service file: number of mistakes"
		unread int
	}{
		"all sound": {files: map[string]string{"a.yaml": sound("app-a"), "b.yaml": sound("app-b")}, sound: []string{"app-a", "app-b"}},
		"a value": {
			files: map[string]string{"a.yaml": sound("app-a"), "b.yaml": sound("app-b") + "cpu: 300\nport: many\n"},
			sound: []string{"app-a"}, wrong: []string{"app-b b.yaml: 2"},
		},
		"one document of two": {
			files: map[string]string{"a.yaml": sound("app-a") + "---\n" + sound("app-b") + "cpu: 300\n"},
			sound: []string{"app-a"}, wrong: []string{"app-b a.yaml: 1"},
		},
		"text that is no YAML": {
			files: map[string]string{"a.yaml": sound("app-a"), "b.yaml": sound("app-b") + "\t- {"},
			sound: []string{"app-a"}, wrong: []string{" b.yaml: 1"},
		},
		"the same service twice": {
			files: map[string]string{"a.yaml": sound("app-a"), "b.yaml": sound("app-b"), "c.yaml": sound("app-a")},
			sound: []string{"app-b"}, wrong: []string{"app-a c.yaml: 1", "app-a a.yaml: 1"},
		},
		"the same service twice in one file": {
			files: map[string]string{"a.yaml": sound("app-a") + "---\n" + sound("app-a"), "b.yaml": sound("app-b")},
			sound: []string{"app-b"}, wrong: []string{"app-a a.yaml: 1", "app-a a.yaml: 1"},
		},
		"no such file": {
			files: map[string]string{"a.yaml": sound("app-a")}, paths: []string{"a.yaml", "z.yaml"},
			sound: []string{"app-a"}, unread: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600))
			for file, text := range tc.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			paths := []string{dir}
			if tc.paths != nil {
				paths = nil
				for _, p := range tc.paths {
					paths = append(paths, filepath.Join(dir, p))
				}
			}
			set, err := manifest.Load(manifest.Options{Paths: paths, LookupEnv: func(string) (string, bool) { return "", false }})
			var good, wrong []string
			for _, d := range set.Documents {
				good = append(good, d.Spec.Service)
			}
			for _, r := range set.Refused {
				wrong = append(wrong, fmt.Sprintf("%s %s: %d", r.Service, filepath.Base(r.File), len(r.Errors)))
				require.Error(t, r.Err())
			}
			require.Equal(t, tc.sound, good, "%v", err)
			require.Equal(t, tc.wrong, wrong)
			require.Len(t, set.Unread, tc.unread)
			require.Equal(t, len(tc.wrong)+tc.unread > 0, err != nil)
		})
	}
}
