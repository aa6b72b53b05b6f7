package foreign

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// scope is where an expression of Terraform's stands: in a module, perhaps within a
// for_each or a dynamic block.
type scope struct {
	*module
	names map[string]*node // each.key, each.value, and those of iterators
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// body is the attributes and blocks of a block. Blocks of one type are a list.
func (s scope) body(b *hclsyntax.Body, path string) *node {
	n := &node{kind: mapping, at: s.at(b.SrcRange), path: path}
	attributes := slices.Collect(maps.Values(b.Attributes))
	slices.SortFunc(attributes, func(a, b *hclsyntax.Attribute) int { return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte) })
	for _, a := range attributes {
		n.fields = append(n.fields, field{a.Name, s.at(a.NameRange), s.node(a.Expr, join(path, a.Name))})
	}
	for _, block := range b.Blocks {
		if block.Type == "dynamic" && len(block.Labels) == 1 {
			s.dynamic(n, block)
			continue
		}
		p := join(path, strings.Join(append([]string{block.Type}, block.Labels...), "."))
		n.block(block.Type, s.at(block.DefRange()), s.body(block.Body, p))
	}
	return n
}

// block adds a block, of which there may be several.
func (n *node) block(key string, at Place, body *node) {
	i := slices.IndexFunc(n.fields, func(f field) bool { return f.key == key })
	switch {
	case i < 0:
		n.fields = append(n.fields, field{key, at, body})
	case n.fields[i].value.kind == list:
		n.fields[i].value.items = append(n.fields[i].value.items, body)
	default:
		first := n.fields[i].value
		n.fields[i].value = &node{kind: list, at: first.at, path: first.path, items: []*node{first, body}}
	}
}

// dynamic expands a dynamic block.
func (s scope) dynamic(n *node, b *hclsyntax.Block) {
	key, at := b.Labels[0], s.at(b.DefRange())
	path := join(n.path, "dynamic."+key)
	iterator := key
	if a := b.Body.Attributes["iterator"]; a != nil {
		if word := hcl.ExprAsKeyword(a.Expr); word != "" {
			iterator = word
		}
	}
	var content *hclsyntax.Block
	for _, inner := range b.Body.Blocks {
		if inner.Type == "content" {
			content = inner
		}
	}
	each := b.Body.Attributes["for_each"]
	if content == nil || each == nil {
		s.note(Look, at, path, "has no content, or no for_each")
		return
	}
	over := s.node(each.Expr, path+".for_each")
	add := func(k, v *node) {
		inner := scope{s.module, maps.Clone(s.names)}
		if inner.names == nil {
			inner.names = map[string]*node{}
		}
		inner.names[iterator+".key"], inner.names[iterator+".value"] = k, v
		n.block(key, at, inner.body(content.Body, join(n.path, key)))
	}
	switch over.kind {
	case list:
		for i, item := range over.items {
			add(leaf(item.at, path, strconv.Itoa(i)), item)
		}
	case mapping:
		for _, f := range over.fields {
			add(leaf(f.at, path, f.key), f.value)
		}
	default:
		s.note(Look, at, path, "whether there is one is known only to Terraform: it is drafted as if there is")
		r := func(what string) *node {
			return refer(at, path, &reference{as: iterator + "." + what, name: variable(iterator, what)})
		}
		add(r("key"), r("value"))
		return
	}
	over.mark()
	if len(over.items)+len(over.fields) == 0 {
		s.note(Look, at, path, "is left out: its for_each is empty")
		return
	}
	s.note(Other, at, path+".for_each", "is worked out: the block is drafted once for each")
}

// node is an expression, worked out as far as the module says what it is.
func (s scope) node(e hclsyntax.Expression, path string) *node {
	at := s.at(e.Range())
	if s.depth++; s.depth > maxDepth {
		s.depth--
		return s.opaque(e, path, "an expression within expressions")
	}
	defer func() { s.depth-- }()
	switch x := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return s.node(x.Expression, path)
	case *hclsyntax.TemplateWrapExpr:
		return s.node(x.Wrapped, path)
	case *hclsyntax.ObjectConsExpr:
		return s.object(x, path)
	case *hclsyntax.TupleConsExpr:
		n := &node{kind: list, at: at, path: path}
		for i, item := range x.Exprs {
			n.items = append(n.items, s.node(item, index(path, i)))
		}
		return n
	case *hclsyntax.TemplateExpr:
		n := &node{kind: scalar, at: at, path: path}
		for _, part := range x.Parts {
			n.text = append(n.text, s.part(part, path)...)
		}
		return tidy(n)
	case *hclsyntax.ScopeTraversalExpr:
		return s.placed(s.lookup(x.Traversal, e, path), at, path)
	case *hclsyntax.ConditionalExpr:
		return s.conditional(x, path)
	case *hclsyntax.FunctionCallExpr:
		return s.call(x, path)
	}
	if v, ok := s.static(e); ok {
		return fromValue(v, at, path)
	}
	if t, ok := s.absolute(e); ok {
		return s.placed(s.lookup(t, e, path), at, path)
	}
	return s.opaque(e, path, "")
}

// absolute is an expression as one traversal, its indices worked out:
// aws_ecr_repository.this[each.key].name.
func (s scope) absolute(e hclsyntax.Expression) (hcl.Traversal, bool) {
	switch x := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return x.Traversal, true
	case *hclsyntax.RelativeTraversalExpr:
		t, ok := s.absolute(x.Source)
		return slices.Concat(t, x.Traversal), ok
	case *hclsyntax.IndexExpr:
		t, ok := s.absolute(x.Collection)
		key, known := s.static(x.Key)
		if !ok || !known {
			return nil, false
		}
		return append(slices.Clone(t), hcl.TraverseIndex{Key: key, SrcRange: x.SrcRange}), true
	}
	return nil, false
}

// part is a part of a template.
func (s scope) part(e hclsyntax.Expression, path string) text {
	n := s.node(e, path)
	if n.kind == list || n.kind == mapping {
		n.mark()
		return s.opaque(e, path, "").text
	}
	return n.text
}

// placed is a value from elsewhere, as if it stood here. A list or a mapping keeps its
// place: each of its leaves has its own.
func (s scope) placed(n *node, at Place, path string) *node {
	if n.kind == list || n.kind == mapping && n.tag == "" {
		return n
	}
	n.mark()
	out := *n
	out.at, out.path, out.marked = at, path, false
	return &out
}

// opaque is an expression that is not worked out.
func (s scope) opaque(e hclsyntax.Expression, path, as string) *node {
	for _, t := range e.Variables() {
		s.ask(t)
	}
	r := e.Range()
	if src := s.text[r.Filename]; as == "" && r.End.Byte <= len(src) {
		if as = string(src[r.Start.Byte:r.End.Byte]); !traversal(as) {
			as = "an expression"
			if f, ok := e.(*hclsyntax.FunctionCallExpr); ok {
				as = "a call of " + f.Name
			}
		}
	}
	if t, ok := s.absolute(e); ok {
		return refer(s.at(r), path, &reference{as: as, name: traversalName(t)})
	}
	words := strings.Split(path, ".")
	if !traversal(as) {
		as += ", at " + s.at(r).String()
	}
	return refer(s.at(r), path, &reference{as: as, name: variable(words[len(words)-1]), loose: true})
}

// traversal reports whether a text is a name with attributes and indices, which holds no
// value.
func traversal(s string) bool {
	return len(s) < 120 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]*") == ""
}

func (s scope) object(x *hclsyntax.ObjectConsExpr, path string) *node {
	n := &node{kind: mapping, at: s.at(x.Range()), path: path}
	for _, item := range x.Items {
		key := hcl.ExprAsKeyword(item.KeyExpr)
		if key == "" {
			k := s.node(unwrapped(item.KeyExpr), path)
			known, ok := k.static()
			if !ok {
				s.note(Look, s.at(item.KeyExpr.Range()), path, "has a key that is known only to Terraform")
				continue
			}
			key = known
		}
		if before := n.exact(key); before != nil {
			before.leaves(func(l *node) { s.note(Other, l.at, l.path, "is replaced by another of the name") })
		}
		n.set(key, s.at(item.KeyExpr.Range()), s.node(item.ValueExpr, join(path, key)))
	}
	return n
}

func unwrapped(e hclsyntax.Expression) hclsyntax.Expression {
	if k, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		return k.Wrapped
	}
	return e
}

// set gives a key a value, instead of one that it has.
func (n *node) set(key string, at Place, value *node) {
	for i := range n.fields {
		if n.fields[i].key == key {
			n.fields[i].value, n.fields[i].at = value, at
			return
		}
	}
	n.fields = append(n.fields, field{key, at, value})
}

func (s scope) conditional(x *hclsyntax.ConditionalExpr, path string) *node {
	v, ok := s.static(x.Condition)
	at := s.at(x.Range())
	if !ok || !isBool(v) {
		yes := s.node(x.TrueResult, path)
		no := s.node(x.FalseResult, path)
		for _, b := range []*node{yes, no} {
			if b.kind == list && len(b.items) > 0 || b.kind == mapping && len(b.fields) > 0 {
				s.note(Look, at, path, "depends on a condition that is known only to Terraform: one of its results is drafted")
				return b
			}
		}
		return s.opaque(x, path, "a condition")
	}
	chosen, other := x.TrueResult, x.FalseResult
	if v.False() {
		chosen, other = other, chosen
	}
	s.note(Look, at, path, "depends on a condition, which is "+strconv.FormatBool(v.True())+" with the variables' defaults")
	s.node(other, path).leaves(func(l *node) {
		if l.at != at {
			s.note(Look, l.at, l.path, "is left out: the condition says otherwise")
		}
	})
	return s.node(chosen, path)
}
