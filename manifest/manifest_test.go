package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

// environment is the process's environment in tests.
var environment = map[string]string{
	"API_KEY":          "sk_live_0123456789abcdef",
	"CLERK_JWKS_URL":   "https://clerk.example.com/.well-known/jwks.json",
	"CLERK_SECRET_KEY": "sk_test_fedcba9876543210",
	"EMPTY":            "",
	"GITHUB_TOKEN":     "ghs_not-a-real-token",
	"INTERVAL":         "31337",
	"NUMBER":           "31337",
	"PASSWORD":         "correct horse battery staple",
	"PUBLISHABLE_KEY":  "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
	"RETURN":           "carriage\r",
}

func lookup(name string) (string, bool) { v, ok := environment[name]; return v, ok }

func git(name string) (string, bool) {
	v, ok := map[string]string{"sha": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", "branch": "main"}[name]
	return v, ok
}

// load loads a case: a manifest, or an archive with the files around it. A first line
// "# -e NAME", "# fallback", "# allow-secret-args", "# env-file NAME" or "# -f NAME" sets options.
func load(t *testing.T, file string) (*manifest.Set, error) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	files := &txtar.Archive{Files: []txtar.File{{Name: "deploy.yaml", Data: data}}, Comment: data}
	if filepath.Ext(file) == ".txtar" {
		files = txtar.Parse(data)
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".git"), 0o700))
	for _, f := range files.Files {
		name := filepath.Join(dir, f.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, f.Data, 0o600))
	}
	t.Chdir(dir)
	opts := manifest.Options{LookupEnv: lookup, Git: git}
	for line := range strings.Lines(string(files.Comment)) {
		words := strings.Fields(strings.TrimPrefix(line, "#"))
		if !strings.HasPrefix(line, "#") || len(words) == 0 {
			break
		}
		switch words[0] {
		case "-e":
			opts.Environment = words[1]
		case "-f":
			opts.Paths = append(opts.Paths, words[1])
		case "fallback":
			opts.FallbackEnvFile = true
		case "allow-secret-args":
			opts.AllowSecretArgs = true
		case "env-file":
			opts.EnvFiles = append(opts.EnvFiles, words[1])
		}
	}
	return manifest.Load(opts)
}

// report is what a person reads.
func report(set *manifest.Set, err error) string {
	var b strings.Builder
	say := func(kind, text, hint string) {
		fmt.Fprintf(&b, "%s: %s\n", kind, text)
		if hint != "" {
			fmt.Fprintf(&b, "hint: %s\n", hint)
		}
	}
	for _, e := range list(err) {
		say("error", e.Error(), e.Hint())
	}
	for _, w := range set.Warnings {
		say("warning", w.String(), w.Hint)
	}
	for _, n := range set.Notes {
		say("note", n, "")
	}
	return b.String()
}

// list returns the errors within err, each of which must be one of ours.
func list(err error) []*manifest.Error {
	var all *multierror.Error
	if !errors.As(err, &all) {
		return nil
	}
	var out []*manifest.Error
	for _, e := range all.Errors {
		out = append(out, e.(*manifest.Error))
	}
	return out
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *manifest.Update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test -update, and read what it writes")
	require.Equal(t, string(want), got)
}

func cases(t *testing.T, dir string) []string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	require.NoError(t, err)
	var files []string
	require.NoError(t, filepath.WalkDir(abs, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); ext == ".yaml" || ext == ".txtar" {
			files = append(files, path)
		}
		return err
	}))
	require.NotEmpty(t, files)
	return files
}

func stem(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) }

func TestLoad_explainsWhatIsWrong(t *testing.T) {
	for _, file := range cases(t, "testdata/bad") {
		t.Run(filepath.Base(stem(file)), func(t *testing.T) {
			set, err := load(t, file)
			require.Error(t, err)
			golden(t, stem(file)+".golden", report(set, err))
		})
	}
}

func TestLoad_readsWhatIsRight(t *testing.T) {
	for _, file := range cases(t, "testdata/ok") {
		t.Run(filepath.Base(stem(file)), func(t *testing.T) {
			set, err := load(t, file)
			require.NoError(t, err)
			var b bytes.Buffer
			b.WriteString(report(set, nil))
			for i := range set.Documents {
				d := &set.Documents[i]
				d.Spec.Dir = ""
				spec, err := json.MarshalIndent(d.Spec, "", "  ")
				require.NoError(t, err)
				fmt.Fprintf(&b, "--- %s\n%s\n", d.Spec.Service, prune(string(spec)))
				for _, u := range d.Unsupported {
					fmt.Fprintln(&b, u)
				}
				b.WriteString("---\n")
				require.NoError(t, manifest.Render(&b, d))
			}
			golden(t, stem(file)+".golden", b.String())
		})
	}
}

// prune drops the lines of settings that are left out.
func prune(spec string) string {
	var b strings.Builder
	for line := range strings.Lines(spec) {
		if v := strings.TrimSpace(line); !strings.HasSuffix(v, ": null,") && !strings.HasSuffix(v, ": null") && !strings.HasSuffix(v, `: "",`) && !strings.HasSuffix(v, ": false,") {
			b.WriteString(line)
		}
	}
	return b.String()
}
