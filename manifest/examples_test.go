package manifest_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// below returns the files of that name under examples, however deep. What a build leaves
// there is not looked at.
func below(t *testing.T, name string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.FromSlash("../examples"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return filepath.SkipDir
		case d.Name() == name:
			files = append(files, path)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

func TestExamples_workAsTheyAre(t *testing.T) {
	schema := compile(t)
	first := map[string]string{} // manifests by service
	for _, file := range append(below(t, "deploy.yaml"), filepath.FromSlash("../deploy.yaml")) {
		t.Run(file, func(t *testing.T) {
			for _, doc := range documents(t, read(t, file)) {
				require.NoError(t, schema.Validate(doc))
			}
			set, err := manifest.Load(manifest.Options{
				Paths: []string{file}, FallbackEnvFile: true,
				LookupEnv: func(string) (string, bool) { return "", false },
				ReadFile: func(name string) ([]byte, error) {
					if filepath.Base(name) == ".env" { // whoever tries an example has one
						return nil, fs.ErrNotExist
					}
					return os.ReadFile(name)
				},
			})
			require.NoError(t, err)
			require.Len(t, set.EnvFiles, 1, "an example comes with an .env.example")
			require.Empty(t, set.Warnings, "an example has nothing to be ashamed of")
			for _, d := range set.Documents {
				require.Empty(t, d.Unsupported, "an example shows only what works")
				for name, s := range d.Spec.Secrets {
					require.True(t, s.Set, "%s has no value in .env.example", name)
				}
				require.Empty(t, first[d.Spec.Service], "another example has a service of that name")
				first[d.Spec.Service] = file
			}
		})
	}
}

// A lock file says what is installed, by its hash, and leaves to npm's configuration where
// it comes from: npm install --omit-lockfile-registry-resolved writes it so.
func TestExamples_lockFilesNameNoRegistry(t *testing.T) {
	for _, file := range below(t, "package-lock.json") {
		var lock struct {
			Packages map[string]struct{ Resolved, Integrity string }
		}
		require.NoError(t, json.Unmarshal(read(t, file), &lock))
		require.Greater(t, len(lock.Packages), 1)
		for name, p := range lock.Packages {
			if name == "" { // the example itself
				continue
			}
			require.Empty(t, p.Resolved, name)
			require.Regexp(t, `^sha512-`, p.Integrity, name)
		}
	}
}
