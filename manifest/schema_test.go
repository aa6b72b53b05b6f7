package manifest_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/manifest"
)

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, c.AddResource("manifest.json", doc))
	s, err := c.Compile("manifest.json")
	require.NoError(t, err)
	return s
}

// documents decodes YAML as an editor does before it asks the schema.
func documents(t *testing.T, data []byte) []any {
	t.Helper()
	var docs []any
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF {
			return docs
		}
		require.NoError(t, err)
		docs = append(docs, v)
	}
}

func TestSchema_acceptsWhatLoadAccepts(t *testing.T) {
	s := compile(t)
	for _, file := range cases(t, "testdata/ok") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			files := []txtar.File{{Name: "deploy.yaml", Data: data}}
			if filepath.Ext(file) == ".txtar" {
				files = txtar.Parse(data).Files
			}
			for _, f := range files {
				if ext := filepath.Ext(f.Name); (ext != ".yaml" && ext != ".yml") || filepath.Base(f.Name) == "compose.yaml" {
					continue
				}
				for _, doc := range documents(t, f.Data) {
					require.NoError(t, s.Validate(doc))
				}
			}
		})
	}
}

func TestSchema_refuses(t *testing.T) {
	s := compile(t)
	for name, text := range map[string]string{
		"no service":      "version: 1",
		"another version": "{version: 2, service: web-app}",
		"an unknown key":  "{version: 1, service: web-app, servcie: x}",
		"a wrong type":    "{version: 1, service: web-app, env: [A=b]}",
		"a number":        "{version: 1, service: web-app, scaling: {min: 0}}",
		"a secret":        "{version: 1, service: web-app, secrets: {A: hunter2}}",
		"too many tags":   "{version: 1, service: web-app, image: {tags: [a, b, c, d, e]}}",
		"an enum":         "{version: 1, service: web-app, health: {protocol: http}}",
		"a null":          "{version: 1, service: web-app, port: null}",
		"an overlay":      "{version: 1, service: web-app, environments: {prod: {prot: 1}}}",
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, s.Validate(documents(t, []byte(text))[0]))
		})
	}
}
