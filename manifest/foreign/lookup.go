package foreign

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// steps are the words of a traversal: var.tags["team"] is var, tags, team. An index that
// is a number is a word, too.
func steps(t hcl.Traversal) []string {
	var words []string
	for _, step := range t {
		switch x := step.(type) {
		case hcl.TraverseRoot:
			words = append(words, x.Name)
		case hcl.TraverseAttr:
			words = append(words, x.Name)
		case hcl.TraverseIndex:
			if text, ok := plainText(x.Key); ok {
				words = append(words, text)
				continue
			}
			words = append(words, "*")
		default:
			words = append(words, "*")
		}
	}
	return words
}

// traversalName is the environment variable that stands for a traversal.
func traversalName(t hcl.Traversal) string {
	words := steps(t)
	if len(words) > 1 && slices.Contains([]string{"var", "local", "module", "data"}, words[0]) {
		words = words[1:]
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "*" || strings.Trim(w, "0123456789") == "" })
	if len(words) == 0 {
		return "VALUE"
	}
	words[0] = strings.TrimPrefix(words[0], "aws_")
	return variable(words...)
}

// ask remembers that a part of a service refers to something.
func (m *module) ask(t hcl.Traversal) {
	if words := steps(t); len(words) > 1 {
		m.asked[words[0]+"."+words[1]] = true
	}
}

// lookup is what a traversal names, or a reference to it.
func (s scope) lookup(t hcl.Traversal, e hclsyntax.Expression, path string) *node {
	s.ask(t)
	words := steps(t)
	ref := s.opaque(e, path, "")
	r := ref.text[0].ref
	r.name = traversalName(t)
	if len(words) < 2 {
		return ref
	}
	var found *node
	rest := words[2:]
	switch words[0] {
	case "var":
		if b := s.declared["var."+words[1]]; b != nil && s.flagged(b, "sensitive") {
			r.secret = true
			return ref
		}
		found = s.variableValue(words[1])
	case "local":
		found = s.local(words[1])
	case "data":
		if len(words) < 4 {
			return ref
		}
		return s.data(words, ref)
	case "path":
		return leaf(ref.at, path, ".")
	case "module", "terraform":
		return ref
	default:
		if found = s.names[words[0]+"."+words[1]]; found != nil {
			break
		}
		if b := s.declared[words[0]+"."+words[1]]; b != nil && b.Type == "resource" {
			return s.attribute(b, rest, ref)
		}
		r.secret = secretAttribute(words)
		return ref
	}
	for _, word := range rest {
		found = found.step(word)
	}
	if found == nil || found.tag == "!!null" && len(rest) > 0 {
		return ref
	}
	return found
}

// step is one word further down.
func (n *node) step(word string) *node {
	if n == nil {
		return nil
	}
	if n.kind == list {
		for i, item := range n.items {
			if index("", i) == "["+word+"]" {
				return item
			}
		}
		return nil
	}
	return n.exact(word)
}

func secretAttribute(words []string) bool {
	last := words[len(words)-1]
	return words[0] == "random_password" && last == "result" || slices.Contains([]string{"secret_string", "secret_binary", "plaintext"}, last)
}

func (s scope) flagged(b *hclsyntax.Block, key string) bool {
	a := b.Body.Attributes[key]
	if a == nil {
		return false
	}
	v, ok := s.static(a.Expr)
	return ok && isBool(v) && v.True()
}

// variableValue is what a variable is without a word from whoever runs Terraform.
func (m *module) variableValue(name string) *node {
	key := "var." + name
	if n, ok := m.values[key]; ok {
		return n
	}
	m.values[key] = nil
	if a := m.given[name]; a != nil {
		m.values[key] = scope{module: m}.node(a.Expr, a.SrcRange.Filename+"."+name)
	} else if b := m.declared[key]; b != nil && b.Body.Attributes["default"] != nil {
		m.values[key] = scope{module: m}.node(b.Body.Attributes["default"].Expr, "variable."+name+".default")
	}
	return m.values[key]
}

func (m *module) local(name string) *node {
	key := "local." + name
	if n, ok := m.values[key]; ok {
		return n
	}
	m.values[key] = nil // a local that refers to itself has no value
	if a := m.locals[name]; a != nil {
		m.values[key] = scope{module: m}.node(a.Expr, key)
	}
	return m.values[key]
}

// data is an attribute of a data source. What they are is known only to AWS, but for what
// they are asked by.
func (s scope) data(words []string, ref *node) *node {
	kind, attr := words[1], words[3]
	s.asked["data."+kind+"."+words[2]] = true
	b := s.declared["data."+kind+"."+words[2]]
	switch {
	case kind == "aws_region" && slices.Contains([]string{"name", "id", "region"}, attr):
		return refer(ref.at, ref.path, where)
	case kind == "aws_caller_identity" && attr == "account_id":
		return refer(ref.at, ref.path, account)
	case kind == "aws_partition" && attr == "partition":
		return leaf(ref.at, ref.path, "aws")
	case b != nil:
		return s.attribute(b, words[3:], ref)
	}
	ref.text[0].ref.secret = secretAttribute(words)
	return ref
}

// attribute is an attribute of a resource, if it is written there, or else a reference.
func (s scope) attribute(b *hclsyntax.Block, rest []string, ref *node) *node {
	r := ref.text[0].ref
	kind := terraformKinds[b.Labels[0]]
	r.secret = secretAttribute(append([]string{b.Labels[0]}, rest...)) || kind == "AWS::SSM::Parameter" && b.Type == "data" && len(rest) > 0 && rest[len(rest)-1] == "value"
	if kind == "" {
		return ref
	}
	key, keys := "", s.keys(b)
	if len(rest) > 0 && slices.Contains(keys, rest[0]) && keys[0] != "" {
		key, rest = rest[0], rest[1:]
	} else if len(rest) > 0 && (rest[0] == "*" || strings.Trim(rest[0], "0123456789") == "") {
		rest = rest[1:]
	}
	if key == "" {
		key = keys[0]
	}
	to := s.instance(b, key)
	r.to = to
	if len(rest) > 0 {
		r.attr = rest[0]
	}
	if len(rest) == 1 && r.attr != "arn" && r.attr != "id" {
		if n := to.body.exact(r.attr); n != nil && (n.kind == scalar || n.kind == unknown) {
			out := *n // the resource itself accounts for n
			return &out
		}
	}
	return ref
}

// fromValue is a value that was worked out.
func fromValue(v cty.Value, at Place, path string) *node {
	v, _ = v.Unmark()
	n := &node{kind: mapping, at: at, path: path}
	switch {
	case v.IsNull() || !v.IsKnown():
		n.tag = "!!null"
	case v.Type().IsPrimitiveType():
		text, _ := plainText(v)
		n = leaf(at, path, text)
		n.bare = v.Type() != cty.String
	case v.Type().IsObjectType() || v.Type().IsMapType():
		for k, e := range v.Elements() {
			n.fields = append(n.fields, field{k.AsString(), at, fromValue(e, at, join(path, k.AsString()))})
		}
	default:
		n.kind = list
		for _, e := range v.Elements() {
			n.items = append(n.items, fromValue(e, at, index(path, len(n.items))))
		}
	}
	return n
}

func plainText(v cty.Value) (string, bool) {
	switch {
	case v.IsNull() || !v.IsKnown():
		return "", false
	case v.Type() == cty.String:
		return v.AsString(), true
	case v.Type() == cty.Number:
		return v.AsBigFloat().Text('f', -1), true
	case v.Type() == cty.Bool:
		if v.True() {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

func isBool(v cty.Value) bool { return v.Type() == cty.Bool && !v.IsNull() && v.IsKnown() }
