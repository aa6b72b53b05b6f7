package foreign_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/manifest/foreign"
)

// sourceLeaf is a value as a source writes it, found by a walk that shares nothing with
// the package: yaml.v3's nodes, which JSON has as well, and HCL's own.
type sourceLeaf struct {
	file         string
	line, column int
	path         []string // keys and indices, from the top
	text         string
	from, to     int // its bytes, where another can stand; else 0
}

func (l sourceLeaf) String() string {
	return fmt.Sprintf("%s:%d:%d %s = %q", l.file, l.line, l.column, strings.Join(l.path, "."), l.text)
}

func leavesOf(t testing.TB, s sample) []sourceLeaf {
	var all []sourceLeaf
	for _, f := range s.files {
		if strings.HasPrefix(s.name, "terraform/") {
			all = append(all, hclLeaves(t, f)...)
			continue
		}
		var y yaml.Node
		// JSON's surrogate pairs are the one thing in it that YAML does not have.
		require.NoError(t, yaml.Unmarshal(bytes.ReplaceAll(f.Data, []byte(`\ud83c\udf55`), []byte("a surrogate!")), &y))
		yamlLeaves(f, &y, nil, &all)
	}
	return all
}

func yamlLeaves(f foreign.File, y *yaml.Node, path []string, all *[]sourceLeaf) {
	switch y.Kind {
	case yaml.DocumentNode:
		yamlLeaves(f, y.Content[0], path, all)
	case yaml.MappingNode:
		for i := 0; i+1 < len(y.Content); i += 2 {
			yamlLeaves(f, y.Content[i+1], append(path[:len(path):len(path)], y.Content[i].Value), all)
		}
	case yaml.SequenceNode:
		for i, item := range y.Content {
			yamlLeaves(f, item, append(path[:len(path):len(path)], fmt.Sprint(i)), all)
		}
	case yaml.ScalarNode:
		l := sourceLeaf{file: f.Name, line: y.Line, column: y.Column, path: path, text: y.Value}
		lines := bytes.SplitAfter(f.Data, []byte("\n"))
		start := len(bytes.Join(lines[:y.Line-1], nil)) + len(string([]rune(string(lines[y.Line-1]))[:y.Column-1]))
		line, _, _ := bytes.Cut(f.Data[start:], []byte("\n"))
		if i := bytes.Index(line, []byte(y.Value)); i >= 0 && y.Value != "" && y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			l.from, l.to = start+i, start+i+len(y.Value)
		}
		l.text = strings.ReplaceAll(l.text, "a surrogate!", "🍕")
		*all = append(*all, l)
	}
}

func hclLeaves(t testing.TB, f foreign.File) []sourceLeaf {
	parsed, diags := hclsyntax.ParseConfig(f.Data, f.Name, hcl.InitialPos)
	require.False(t, diags.HasErrors())
	var all []sourceLeaf
	var body func(b *hclsyntax.Body, path []string)
	var expression func(e hclsyntax.Expression, path []string)
	add := func(e hclsyntax.Expression, path []string, text string) {
		r := e.Range()
		l := sourceLeaf{file: f.Name, line: r.Start.Line, column: r.Start.Column, path: path, text: text}
		l.from, l.to = r.Start.Byte, r.End.Byte
		if i := bytes.Index(f.Data[l.from:l.to], []byte(text)); i >= 0 && text != "" {
			l.from, l.to = l.from+i, l.from+i+len(text)
		}
		all = append(all, l)
	}
	expression = func(e hclsyntax.Expression, path []string) {
		at := func(s string) []string { return append(path[:len(path):len(path)], s) }
		switch x := e.(type) {
		case *hclsyntax.ObjectConsExpr:
			for _, item := range x.Items {
				key := hcl.ExprAsKeyword(item.KeyExpr)
				if v, diags := item.KeyExpr.Value(nil); key == "" && !diags.HasErrors() {
					key = v.AsString()
				}
				expression(item.ValueExpr, at(key))
			}
		case *hclsyntax.TupleConsExpr:
			for i, item := range x.Exprs {
				expression(item, at(fmt.Sprint(i)))
			}
		case *hclsyntax.FunctionCallExpr:
			if x.Name == "merge" || x.Name == "concat" {
				for _, a := range x.Args {
					expression(a, path)
				}
				return
			}
			add(e, path, "")
		default:
			text := ""
			if v, diags := e.Value(nil); !diags.HasErrors() && v.Type().IsPrimitiveType() && !v.IsNull() {
				text = string(f.Data[e.Range().Start.Byte:e.Range().End.Byte])
				text = strings.Trim(text, `"`)
			}
			add(e, path, text)
		}
	}
	body = func(b *hclsyntax.Body, path []string) {
		for name, a := range b.Attributes {
			expression(a.Expr, append(path[:len(path):len(path)], name))
		}
		for _, inner := range b.Blocks {
			body(inner.Body, append(append(path[:len(path):len(path)], inner.Type), inner.Labels...))
		}
	}
	body(parsed.Body.(*hclsyntax.Body), nil)
	return all
}

// structural are leaves that say what a thing is and not how it is set.
func structural(s sample, l sourceLeaf) bool {
	last := l.path[len(l.path)-1]
	switch {
	case strings.HasPrefix(s.name, "cloudformation/"):
		return last == "Type" && len(l.path) == 3 || last == "Name" || last == "Key" // of pairs, which become keys
	case strings.HasPrefix(s.name, "cli/"):
		return last == "Key" || last == "Name"
	}
	return false
}

// toldOf reports whether a note is about a leaf: at its very place, or about something
// that it is a part of.
func toldOf(r *foreign.Result, l sourceLeaf) bool {
	for _, s := range r.Services {
		for _, n := range s.Notes {
			if n.Place.File == l.file && n.Place.Line == l.line && n.Place.Column == l.column {
				return true
			}
			key := strings.NewReplacer("[", ".", "]", "", `"`, "").Replace(n.Key)
			if within(strings.Split(strings.TrimPrefix(key, "resource."), "."), l.path) {
				return true
			}
		}
	}
	return false
}

func within(key, path []string) bool {
	joined := strings.Join(path, ".")
	joined = strings.TrimPrefix(strings.TrimPrefix(joined, "resource."), "locals.")
	k := strings.TrimPrefix(strings.Join(key, "."), "local.")
	k = strings.TrimPrefix(k, "terraform.tfvars.")
	return k != "" && (joined == k || strings.HasPrefix(joined, k+"."))
}

// drafted is the text of the manifests without their comments.
func drafted(r *foreign.Result) string {
	return regexp.MustCompile(`(?m)^# .*\n`).ReplaceAllString(string(r.Text()), "")
}

// shown reports whether the words of a value are in a text.
func shown(text, value string) bool {
	for _, word := range regexp.MustCompile(`[\s,"\[\]{}:]+`).Split(value, -1) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// canary is what leaves are replaced by. Variables that are named after it are in capitals.
const canary = "canary7"

// TestRead_accountsForEachLeaf: of each value of a source there is a note, or it is in the
// draft: put another one in its place, and that one is, or
// the draft is another.
func TestRead_accountsForEachLeaf(t *testing.T) {
	mutated := 0
	for _, s := range everySample(t) {
		t.Run(s.name, func(t *testing.T) {
			r, err := foreign.Read(s.files)
			require.NoError(t, err)
			for _, l := range leavesOf(t, s) {
				if toldOf(r, l) || structural(s, l) {
					continue
				}
				if l.to == 0 { // nothing to replace: it must be there
					require.True(t, shown(drafted(r), l.text), "lost: %s", l)
					continue
				}
				mutated++
				other, err := foreign.Read(replaced(s, l))
				if err != nil {
					continue // it is not silent
				}
				require.True(t, strings.Contains(strings.ToLower(string(other.Text())), canary) || toldOf(other, l) || drafted(other) != drafted(r), "lost: %s\n%s", l, other.Text())
			}
		})
	}
	require.Greater(t, mutated, 200, "leaves that are in the draft and not in a note")
}

func replaced(s sample, l sourceLeaf) []foreign.File {
	files := slices.Clone(s.files)
	for i, f := range files {
		if f.Name == l.file {
			files[i].Data = slices.Concat(f.Data[:l.from], []byte(canary), f.Data[l.to:])
		}
	}
	return files
}
