package foreign

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are those of Terraform's that depend on nothing but their arguments, and that
// modules use for names and lists.
// https://developer.hashicorp.com/terraform/language/functions
var functions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "max": stdlib.MaxFunc, "min": stdlib.MinFunc,
	"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "upper": stdlib.UpperFunc,
	"replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
	"trimprefix": stdlib.TrimPrefixFunc, "trimsuffix": stdlib.TrimSuffixFunc, "trimspace": stdlib.TrimSpaceFunc,
	"coalesce": stdlib.CoalesceFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
	"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "keys": stdlib.KeysFunc,
	"length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "setunion": stdlib.SetUnionFunc,
	"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
	"jsonencode": stdlib.JSONEncodeFunc, "jsondecode": stdlib.JSONDecodeFunc,
	"tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),
}

// through are functions that leave a value as it is, as far as a manifest shows it.
var through = map[string]bool{"tostring": true, "tonumber": true, "tobool": true, "tolist": true, "toset": true, "tomap": true,
	"nonsensitive": true, "sensitive": true, "compact": true, "distinct": true, "flatten": true}

// call works a function out, in part where not all of its arguments are known.
func (s scope) call(x *hclsyntax.FunctionCallExpr, path string) *node {
	at := s.at(x.Range())
	switch {
	case x.Name == "merge" || x.Name == "concat":
		if n := s.combined(x, path); n != nil {
			return n
		}
	case through[x.Name] && len(x.Args) == 1:
		n := s.placed(s.node(x.Args[0], path), at, path)
		if x.Name == "sensitive" && len(n.text) > 0 {
			r := *s.opaque(x, path, "a sensitive value").text[0].ref
			r.secret = true
			return refer(at, path, &r)
		}
		if x.Name != "flatten" || !nested(n) {
			return n
		}
	}
	if v, ok := s.static(x); ok {
		return fromValue(v, at, path)
	}
	switch {
	case x.Name == "format" && len(x.Args) > 0:
		if n := s.formatted(x, path); n != nil {
			return n
		}
	case x.Name == "join" && len(x.Args) == 2:
		by, ok := s.node(x.Args[0], path).static()
		items := s.node(x.Args[1], path)
		if ok && items.kind == list && !nested(items) {
			n := &node{at: at, path: path}
			for i, item := range items.items {
				if i > 0 {
					n.text = append(n.text, piece{literal: by})
				}
				n.text = append(n.text, item.text...)
			}
			items.mark()
			return tidy(n)
		}
	}
	return s.opaque(x, path, "")
}

// nested reports whether a list has lists or mappings in it.
func nested(n *node) bool {
	for _, item := range n.items {
		if item.kind == list || item.kind == mapping {
			return true
		}
	}
	return false
}

// combined is merge and concat. An argument that is not known is told, and left out.
func (s scope) combined(x *hclsyntax.FunctionCallExpr, path string) *node {
	out := &node{kind: mapping, at: s.at(x.Range()), path: path}
	if x.Name == "concat" {
		out.kind = list
	}
	if x.ExpandFinal {
		return nil
	}
	for _, a := range x.Args {
		n := s.node(a, path)
		switch {
		case n.tag == "!!null":
		case n.kind == unknown || n.kind != out.kind:
			what := "something"
			if r := n.text.alone(); r != nil {
				what = r.as
			}
			s.note(Look, n.at, path+"("+what+")", "is known only to Terraform: what it adds is missing")
		default:
			for _, f := range n.fields {
				if before := out.exact(f.key); before != nil && !before.marked {
					s.note(Other, before.at, before.path, "is replaced by another of the name")
					before.mark()
				}
				out.set(f.key, f.at, f.value)
			}
			out.items = append(out.items, n.items...)
		}
	}
	return out
}

// formatted is format with nothing but %s and %d in it.
func (s scope) formatted(x *hclsyntax.FunctionCallExpr, path string) *node {
	pattern, ok := s.node(x.Args[0], path).static()
	parts := strings.Split(strings.ReplaceAll(pattern, "%d", "%s"), "%s")
	if !ok || len(parts) != len(x.Args) || strings.Contains(strings.Join(parts, ""), "%") || x.ExpandFinal {
		return nil
	}
	n := &node{at: s.at(x.Range()), path: path, text: literal(parts[0])}
	for i, a := range x.Args[1:] {
		n.text = append(append(n.text, s.part(a, path)...), piece{literal: parts[i+1]})
	}
	return tidy(n)
}

// static works an expression out with what the module says, if that is enough.
func (s scope) static(e hclsyntax.Expression) (v cty.Value, ok bool) {
	variables := map[string]cty.Value{}
	var used []*node
	for _, t := range e.Variables() {
		s.ask(t)
		n := s.lookup(t, &hclsyntax.ScopeTraversalExpr{Traversal: t, SrcRange: t.SourceRange()}, "")
		v, ok := value(n)
		if !ok || !graft(variables, t, v) {
			return cty.NilVal, false
		}
		used = append(used, n)
	}
	v, diags := e.Value(&hcl.EvalContext{Variables: variables, Functions: functions})
	if diags.HasErrors() || !v.IsWhollyKnown() || v.IsMarked() {
		return cty.NilVal, false
	}
	for _, n := range used {
		if n.path != "" {
			n.leaves(func(l *node) {
				if l.path != "" {
					s.note(Other, l.at, l.path, "is worked out where it is used")
				}
			})
			n.mark()
		}
	}
	return v, true
}

// value is a node as Terraform knows it, if all of it is known.
func value(n *node) (cty.Value, bool) {
	switch {
	case n.tag == "!!null":
		return cty.NullVal(cty.DynamicPseudoType), true
	case n.kind == unknown:
		return cty.NilVal, false
	case n.kind == scalar:
		known, ok := n.static()
		v := cty.StringVal(known)
		if n.bare {
			to := cty.Number
			if known == "true" || known == "false" {
				to = cty.Bool
			}
			if c, err := convert.Convert(v, to); err == nil {
				v = c
			}
		}
		return v, ok
	case n.kind == list:
		items := []cty.Value{}
		for _, item := range n.items {
			v, ok := value(item)
			if !ok {
				return cty.NilVal, false
			}
			items = append(items, v)
		}
		return cty.TupleVal(items), true
	}
	fields := map[string]cty.Value{}
	for _, f := range n.fields {
		v, ok := value(f.value)
		if !ok {
			return cty.NilVal, false
		}
		fields[f.key] = v
	}
	return cty.ObjectVal(fields), true
}

// graft puts a value where a traversal finds it. Of two traversals with indices in them
// only the first way is known, so those are left alone.
func graft(into map[string]cty.Value, t hcl.Traversal, v cty.Value) bool {
	for i := len(t) - 1; i > 0; i-- {
		a, ok := t[i].(hcl.TraverseAttr)
		if !ok {
			return false
		}
		v = cty.ObjectVal(map[string]cty.Value{a.Name: v})
	}
	root := t.RootName()
	if before, ok := into[root]; ok {
		v = overlaid(before, v)
	}
	into[root] = v
	return true
}

func overlaid(a, b cty.Value) cty.Value {
	if !a.Type().IsObjectType() || !b.Type().IsObjectType() || a.IsNull() || b.IsNull() {
		return b
	}
	fields := a.AsValueMap()
	if fields == nil {
		fields = map[string]cty.Value{}
	}
	for k, v := range b.AsValueMap() {
		if before, ok := fields[k]; ok {
			v = overlaid(before, v)
		}
		fields[k] = v
	}
	return cty.ObjectVal(fields)
}
