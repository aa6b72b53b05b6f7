package manifest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The generator lives in a test, as it needs the source for the doc comments and the
// tables that nobody else needs.
func TestSchema_isGenerated(t *testing.T) {
	g := &generator{docs: comments(t, "schema.go"), defs: map[string]any{}}
	root := g.object(manifestType, "", false)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "apron manifest"
	root["$defs"] = g.defs
	got, err := json.MarshalIndent(root, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *Update {
		require.NoError(t, os.WriteFile("schema.json", got, 0o644))
		return
	}
	require.Equal(t, string(schema), string(got), "run go generate ./manifest")
}

// comments maps "Health.Path" and "Health" to their doc comments.
func comments(t *testing.T, file string) map[string]string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	docs := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || len(decl.Specs) == 0 {
			return true
		}
		spec, ok := decl.Specs[0].(*ast.TypeSpec)
		if !ok {
			return true
		}
		docs[spec.Name.Name] = prose(decl.Doc)
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			docs[spec.Name.Name+"."+field.Names[0].Name] = prose(field.Doc)
		}
		return true
	})
	return docs
}

func prose(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

type generator struct {
	docs map[string]string
	defs map[string]any
}

func (g *generator) object(t reflect.Type, path string, overlay bool) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range schemaFields(t) {
		if overlay && path == "" && (f.key == "version" || f.key == "environments") {
			continue
		}
		p := join(path, f.key)
		s := g.value(f.typ, f.tag, p, overlay)
		if overlay {
			s = map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
		} else if f.tag.Get("required") != "" {
			required = append(required, f.key)
		}
		s["description"] = strings.TrimSpace(g.docs[t.Name()+"."+t.Field(f.index).Name] + remark(p))
		properties[f.key] = s
	}
	o := map[string]any{
		"type": "object", "description": g.docs[t.Name()],
		"properties": properties, "additionalProperties": false,
	}
	if t == manifestType && !overlay {
		o["patternProperties"] = map[string]any{"^x-": true}
	}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// remark says what the table knows about a key.
func remark(path string) string {
	r, ok := rowOf(path)
	if !ok {
		return ""
	}
	text := ""
	if r.later {
		text = " Not supported yet."
	}
	for _, target := range []string{targetAppRunner, targetExpress} {
		switch r.on(target) {
		case approximated:
			text += " Approximated on " + targetName(target) + ": " + r.why + "."
		case impossible:
			text += " Not on " + targetName(target) + ": " + r.why + "."
		}
	}
	return text
}

func (g *generator) value(t reflect.Type, tag reflect.StructTag, path string, overlay bool) map[string]any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == manifestType:
		return g.ref(t, "", true)
	case structOf(t) == t && short(t) >= 0:
		f := t.Field(short(t))
		return map[string]any{"anyOf": []any{leafSchema(f.Type, f.Tag), g.ref(t, path, overlay)}}
	case structOf(t) == t:
		return g.ref(t, path, overlay)
	case t.Kind() == reflect.Map:
		s := map[string]any{
			"type": "object", "additionalProperties": g.value(t.Elem(), tag, path, overlay),
			"propertyNames": map[string]any{"pattern": keyFormats[tag.Get("keys")].pattern().String()},
		}
		if overlay {
			s["additionalProperties"] = map[string]any{"anyOf": []any{s["additionalProperties"], map[string]any{"type": "null"}}}
		}
		return most(s, "maxProperties", tag)
	case t.Kind() == reflect.Slice:
		return most(map[string]any{"type": "array", "items": g.value(t.Elem(), tag, path, false)}, "maxItems", tag)
	}
	return leafSchema(t, tag)
}

func most(s map[string]any, key string, tag reflect.StructTag) map[string]any {
	if n, err := strconv.Atoi(tag.Get("most")); err == nil {
		s[key] = n
	}
	return s
}

// ref defines a schema type once, and once more for overlays.
func (g *generator) ref(t reflect.Type, path string, overlay bool) map[string]any {
	name := t.Name()
	if overlay {
		name += "Overlay"
	}
	if g.defs[name] == nil {
		g.defs[name] = true // against recursion
		g.defs[name] = g.object(t, path, overlay)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

// leafSchema is the schema of a single value, or of a text with variables in it.
func leafSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	or := func(pattern string) string { return "(?:" + pattern + `)|\$` }
	s := map[string]any{}
	switch {
	case t == reflect.TypeFor[CPU]():
		s["type"], s["pattern"] = []string{"number", "string"}, or(`^[0-9]+(\.[0-9]+)? ?([vV]?[cC][pP][uU]s?)?$`)
		s["examples"] = []any{256, "0.25 vCPU"}
	case t == reflect.TypeFor[Memory]():
		s["type"], s["pattern"] = []string{"number", "string"}, or(`^[0-9]+(\.[0-9]+)? ?([gGmM][iI]?[bB])?$`)
		s["examples"] = []any{512, "0.5 GB"}
	case t == durationType:
		s["type"], s["pattern"] = []string{"integer", "string"}, or(`^[0-9a-z. ]+$`)
		s["examples"] = []any{"10s"}
	case t == secretType:
		s["type"], s["pattern"] = "string", or(`^(env:|ssm:|secretsmanager:|arn:)`)
	case t == buildSecret:
		s["type"], s["pattern"] = "string", or(`^(env|file):`)
		s["examples"] = []any{"env:NPM_TOKEN", "file:.npmrc"}
	case t == reflect.TypeFor[Permission]():
		s["type"], s["pattern"] = "string", or(`^\S+\s+\S+$`)
	case t == valueType || t == argumentType:
		s["type"] = []string{"string", "number", "boolean"}
	case t.Kind() == reflect.Bool:
		s["anyOf"] = []any{map[string]any{"type": "boolean"}, variable()}
	case t.Kind() == reflect.Int:
		s["type"], s["pattern"] = []string{"integer", "string"}, or(`^[0-9]+$`)
	case tag.Get("enum") != "":
		s["anyOf"] = []any{map[string]any{"enum": strings.Split(tag.Get("enum"), "|")}, variable()}
	default:
		s["type"] = []string{"string", "number", "boolean"}
		if f, ok := formats[tag.Get("format")]; ok {
			s["pattern"] = or(f.pattern().String())
		}
	}
	if tag.Get("range") != "" && t.Kind() == reflect.Int || t == durationType {
		s["minimum"], s["maximum"] = limits(tag)
	}
	return s
}

func variable() map[string]any { return map[string]any{"type": "string", "pattern": `\$`} }

func TestTable_coversTheSchema(t *testing.T) {
	paths := map[string]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, path string) {
		for _, f := range schemaFields(typ) {
			p := join(path, f.key)
			paths[p] = true
			if _, ok := rowOf(strings.SplitN(p, ".", 2)[0]); !ok {
				t.Errorf("%s has no row", p)
			}
			if s := structOf(f.typ); s != nil && s != manifestType {
				walk(s, p)
			}
		}
	}
	walk(manifestType, "")
	seen := map[string]bool{}
	for _, r := range table {
		require.True(t, paths[r.path], "%s is not in the schema", r.path)
		require.False(t, seen[r.path], "%s has two rows", r.path)
		seen[r.path] = true
		if r.apprunner != yes || r.express != yes {
			require.NotEmpty(t, r.why, r.path)
		}
	}
}

func TestSchema_namesKnownFormats(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for _, f := range schemaFields(typ) {
			if name := f.tag.Get("format"); name != "" {
				require.Contains(t, formats, name)
			}
			if name := f.tag.Get("keys"); name != "" {
				require.Contains(t, keyFormats, name)
			}
			if s := structOf(f.typ); s != nil && s != manifestType {
				walk(s)
			}
		}
	}
	walk(manifestType)
}
