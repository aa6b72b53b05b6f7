package manifest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
)

func TestDocument_Held(t *testing.T) {
	const text = "# here\nKEY=first\n\nKEY='last'\nEMPTY=\nEVEN=\"${KEY}\"\n"
	set, err := manifest.Load(manifest.Options{
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"KEY": "exported\r", "ALONE": "alone", "EMPTY": "", "EVEN": ""}[name]
			return v, ok
		},
		ReadFile: func(name string) ([]byte, error) {
			switch name {
			case "deploy.yaml":
				return []byte("version: 1\nservice: shop\n"), nil
			case ".env":
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}})
	require.NoError(t, err)
	d := set.Documents[0]
	require.Equal(t, []manifest.Held{{Value: "exported"}, {Value: "last", File: ".env", Line: 4}}, d.Held("KEY"))
	require.Equal(t, []manifest.Held{{Value: "alone"}}, d.Held("ALONE"))
	require.Equal(t, []manifest.Held{{Value: "exported", File: ".env", Line: 6}}, d.Held("EVEN"))
	require.Empty(t, d.Held("EMPTY"))
	require.Empty(t, d.Held("NOBODY"))
	require.Empty(t, (&manifest.Document{}).Held("KEY"))
}

func TestReadEnvFile_isTheFileBeforeAnythingElse(t *testing.T) {
	exported := func(name string) (string, bool) {
		v, ok := map[string]string{"PASSWORD": "exported", "HOST": "db.example.com"}[name]
		return v, ok
	}
	file := func(text string) func(string) ([]byte, error) {
		return func(name string) ([]byte, error) {
			if name != "prod.env" {
				return nil, os.ErrNotExist
			}
			return []byte(text), nil
		}
	}
	got, err := manifest.ReadEnvFile("prod.env", exported, file("PASSWORD=of-file\nURL=\"postgres://${PASSWORD}@${HOST}\"\nEMPTY=\nHOST\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]manifest.Held{
		"PASSWORD": {Value: "of-file", File: "prod.env", Line: 1},
		"URL":      {Value: "postgres://of-file@db.example.com", File: "prod.env", Line: 2},
		"EMPTY":    {File: "prod.env", Line: 3},
	}, got)

	_, err = manifest.ReadEnvFile("prod.env", exported, file("A=${NOBODY}\nB='open\n"))
	require.ErrorContains(t, err, "prod.env:1:1: A: NOBODY is not set")
	require.ErrorContains(t, err, "prod.env:2:1: B: a quote is never closed")
	_, err = manifest.ReadEnvFile("none.env", exported, file(""))
	require.EqualError(t, err, "none.env: there is no such file")
}
