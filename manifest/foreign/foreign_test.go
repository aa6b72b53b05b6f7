package foreign_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/foreign"
)

var update = flag.Bool("update", false, "rewrite golden files")

// formats are the directories of samples, by what their result says they are.
var formats = map[string]string{
	"cloudformation": "CloudFormation", "terraform": "Terraform", "copilot": "Copilot", "workflow": "GitHub Actions", "cli": "AWS CLI",
}

// sample is one source under testdata: a file, or the directory of a module.
type sample struct {
	name  string
	files []foreign.File
}

func samples(t testing.TB, format string) []sample {
	entries, err := os.ReadDir(filepath.Join("testdata", format))
	require.NoError(t, err)
	var all []sample
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".golden") {
			continue
		}
		s := sample{name: format + "/" + e.Name()}
		require.NoError(t, filepath.WalkDir(filepath.Join("testdata", format, e.Name()), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			s.files = append(s.files, foreign.File{Name: filepath.Base(path), Data: data})
			return err
		}))
		all = append(all, s)
	}
	return all
}

func everySample(t testing.TB) []sample {
	var all []sample
	for format := range formats {
		all = append(all, samples(t, format)...)
	}
	return all
}

// TestRead_samples holds what becomes of each sample, and that there are enough of them.
func TestRead_samples(t *testing.T) {
	for format, name := range formats {
		all := samples(t, format)
		t.Run(format, func(t *testing.T) { require.GreaterOrEqual(t, len(all), 10) })
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				r, err := foreign.Read(s.files)
				require.NoError(t, err)
				require.Equal(t, name, r.Format)
				golden := filepath.Join("testdata", s.name+".golden")
				if *update {
					require.NoError(t, os.WriteFile(golden, r.Text(), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), string(r.Text()))
			})
		}
	}
}

// loads loads a draft as apron does, each variable having the example of its shape.
func loads(t testing.TB, r *foreign.Result) *manifest.Set {
	t.Helper()
	examples := map[string]string{}
	for _, s := range r.Services {
		for _, v := range s.Variables {
			examples[v.Name] = v.Example
		}
	}
	set, err := manifest.Load(manifest.Options{
		Paths: []string{"deploy.yaml"}, AllowSecretArgs: true,
		LookupEnv: func(name string) (string, bool) { v, ok := examples[name]; return v, ok },
		Git:       func(string) (string, bool) { return "0a1b2c3", true },
		ReadFile: func(name string) ([]byte, error) {
			if name == "deploy.yaml" {
				return r.Text(), nil
			}
			return nil, fs.ErrNotExist
		},
	})
	var many *multierror.Error
	require.False(t, errorsAs(err, &many), "%v\n%s", err, r.Text())
	return set
}

func errorsAs(err error, target **multierror.Error) bool {
	m, ok := err.(*multierror.Error)
	*target = m
	return ok
}
