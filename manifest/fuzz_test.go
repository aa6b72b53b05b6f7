package manifest_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// canary is the value of every variable while fuzzing.
const canary = "canary-4f9d1c"

func loadBytes(data, env []byte, environment string) (*manifest.Set, error) {
	return manifest.Load(manifest.Options{
		Environment: environment,
		// Errors would leave nothing to render.
		AllowSecretArgs: true,
		LookupEnv:       func(name string) (string, bool) { return canary, !strings.Contains(name, "UNSET") },
		Git:             git,
		ReadFile: func(name string) ([]byte, error) {
			switch {
			case name == "deploy.yaml":
				return data, nil
			case env != nil && filepath.Base(name) == ".env":
				return env, nil
			}
			return nil, fs.ErrNotExist
		},
	})
}

// FuzzLoad: the loader never panics, every error says where, and no value of the
// environment is in any text.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"testdata/ok", "testdata/bad"} {
		files, err := filepath.Glob(dir + "/*")
		require.NoError(f, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			switch filepath.Ext(file) {
			case ".yaml":
				f.Add(data, []byte(nil), "")
				f.Add(data, []byte(nil), "production")
			case ".txtar":
				a := txtar.Parse(data)
				f.Add(a.Files[0].Data, a.Files[len(a.Files)-1].Data, "")
			}
		}
	}
	f.Fuzz(func(t *testing.T, data, env []byte, environment string) {
		if bytes.Contains(data, []byte("canary")) || bytes.Contains(env, []byte("canary")) {
			return // it is written, not substituted
		}
		set, err := loadBytes(data, env, environment)
		for _, e := range list(err) {
			require.NotEmpty(t, e.File)
			require.NotEmpty(t, e.Msg)
			if e.Line == 0 {
				require.Contains(t, []string{"the manifest is empty", "is not UTF-8 text"}, e.Msg)
			} else {
				require.Positive(t, e.Column)
			}
		}
		require.NotContains(t, report(set, err), canary)
		for i := range set.Documents {
			d := &set.Documents[i]
			var b bytes.Buffer
			require.NoError(t, manifest.Render(&b, d))
			for _, s := range d.Spec.Secrets {
				if s.Set {
					require.NotContains(t, b.String(), canary)
				}
			}
		}
	})
}
