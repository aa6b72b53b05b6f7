package foreign_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/manifest/foreign"
)

// TestRead_draftsLoad: apron's own loader takes each draft, with every overlay, once its
// variables are set.
func TestRead_draftsLoad(t *testing.T) {
	for _, s := range everySample(t) {
		t.Run(s.name, func(t *testing.T) {
			r, err := foreign.Read(s.files)
			require.NoError(t, err)
			set := loads(t, r)
			require.Len(t, set.Documents, len(r.Services))
			for _, d := range set.Documents {
				require.Empty(t, d.Unsupported)
			}
		})
	}
}

// TestRead_hidesSecrets: what is secret in the samples has "hush" in it, and no draft has.
func TestRead_hidesSecrets(t *testing.T) {
	sources := 0
	for _, s := range everySample(t) {
		r, err := foreign.Read(s.files)
		require.NoError(t, err)
		for _, f := range s.files {
			sources += strings.Count(string(f.Data), "hush")
		}
		all, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(string(all)), "hush", s.name)
		require.NotContains(t, strings.ToLower(string(r.Text())), "hush", s.name)
	}
	require.Greater(t, sources, 20)
}

// TestRead_isDeterministic: equal sources, equal drafts.
func TestRead_isDeterministic(t *testing.T) {
	for _, s := range everySample(t) {
		first, err := foreign.Read(s.files)
		require.NoError(t, err)
		for range 5 {
			again, err := foreign.Read(s.files)
			require.NoError(t, err)
			require.Equal(t, string(first.Text()), string(again.Text()), s.name)
		}
	}
}

// TestRead_crlf: the ends of lines of Windows change nothing.
func TestRead_crlf(t *testing.T) {
	for _, s := range everySample(t) {
		unix, err := foreign.Read(s.files)
		require.NoError(t, err)
		windows := sample{}
		for _, f := range s.files {
			windows.files = append(windows.files, foreign.File{Name: f.Name, Data: []byte("\ufeff" + strings.ReplaceAll(string(f.Data), "\n", "\r\n"))})
		}
		r, err := foreign.Read(windows.files)
		require.NoError(t, err, s.name)
		require.Equal(t, string(unix.Text()), strings.ReplaceAll(string(r.Text()), `\r\n`, `\n`), s.name)
	}
}

// TestRead_errors: each source under testdata/bad has an error that says where and what
// to do.
func TestRead_errors(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			require.NoError(t, err)
			var got strings.Builder
			for i, f := range a.Files {
				if f.Name == "want" {
					continue
				}
				_, err := foreign.Read([]foreign.File{{Name: f.Name, Data: f.Data}})
				var bad *manifest.Error
				var many *multierror.Error
				require.ErrorAs(t, err, &bad, "%s", f.Name)
				require.False(t, errorsAs(err, &many))
				got.WriteString(bad.Error() + "\n")
				if bad.Fix != "" {
					got.WriteString("hint: " + bad.Fix + "\n")
				}
				_ = i
			}
			want := &a.Files[len(a.Files)-1]
			require.Equal(t, "want", want.Name)
			if *update {
				want.Data = []byte(got.String())
				require.NoError(t, os.WriteFile(file, txtar.Format(a), 0o644))
			}
			require.Equal(t, string(want.Data), got.String())
		})
	}
}

func FuzzTerraform(f *testing.F)      { fuzz(f, "terraform", "main.tf") }
func FuzzCloudFormation(f *testing.F) { fuzz(f, "cloudformation", "template.yaml") }
func FuzzCopilot(f *testing.F)        { fuzz(f, "copilot", "manifest.yml") }
func FuzzWorkflow(f *testing.F)       { fuzz(f, "workflow", "deploy.yml") }
func FuzzCLI(f *testing.F)            { fuzz(f, "cli", "service.json") }

// fuzz: no source makes the reader panic, and what it drafts loads.
func fuzz(f *testing.F, format, name string) {
	for _, s := range samples(f, format) {
		for _, file := range s.files {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 20_000 {
			return // long ones only take long
		}
		r, err := foreign.Read([]foreign.File{{Name: name, Data: data}})
		if err != nil {
			var bad *manifest.Error
			require.ErrorAs(t, err, &bad)
			return
		}
		loads(t, r)
	})
}
