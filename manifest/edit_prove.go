package manifest

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// prove reads the result and compares: the edit must be in it, and nothing else changed.
func (e *editor) prove(out []byte, o EditOptions, keys []string, edit Edit, leaf bool, at *yaml.Node) error {
	wrong := e.fail(at, "edit it by hand", "cannot be edited without touching what stands around it")
	before, after := e.tree(e.data, o), e.tree(out, o)
	if before == nil || after == nil {
		return wrong
	}
	got := after.below(keys)
	switch {
	case edit.Remove && got != nil:
		return wrong
	case !edit.Remove && (got == nil || leaf && (got.kind != scalar || got.text != edit.Value)):
		return wrong
	case !edit.Remove && !leaf:
		if want := e.parsed(edit.Value); want == nil || !want.same(got) {
			return wrong
		}
	}
	before.without(keys)
	after.without(keys)
	if !before.same(after) {
		return wrong
	}
	return nil
}

// tree is the document of a service, with anchors resolved.
func (e *editor) tree(data []byte, o EditOptions) *node {
	f := &findings{}
	roots := parse(e.file, data, f)
	if len(f.errors) > 0 {
		return nil
	}
	roots = slices.DeleteFunc(roots, func(n *node) bool {
		named, there := n.get("service"), n.get("environments").get(o.Environment).get("service")
		return o.Service != "" && (named == nil || named.text != o.Service) && (there == nil || there.text != o.Service)
	})
	if len(roots) != 1 {
		return nil
	}
	return roots[0]
}

// below is the value below the keys, or nil.
func (n *node) below(keys []string) *node {
	for _, key := range keys {
		var i int
		if n == nil {
			return nil
		}
		if n.kind == list {
			if _, err := fmt.Sscanf(key, "[%d]", &i); err != nil || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
			continue
		}
		n = n.get(key)
	}
	return n
}

// without takes out the value below the keys, and mappings that are empty then.
func (n *node) without(keys []string) {
	if n == nil || len(keys) == 0 {
		return
	}
	if n.kind == list {
		if item := n.below(keys[:1]); item != nil {
			if len(keys) == 1 {
				item.kind, item.text = null, ""
				return
			}
			item.without(keys[1:])
		}
		return
	}
	child := n.get(keys[0])
	if child == nil {
		return
	}
	if len(keys) > 1 {
		child.without(keys[1:])
	}
	if len(keys) == 1 || child.kind == null || child.kind == mapping && len(child.fields) == 0 {
		n.remove(keys[0])
	}
}

// same compares content, not places.
func (n *node) same(o *node) bool {
	if n.kind != o.kind || n.text != o.text || n.number != o.number || len(n.items) != len(o.items) || len(n.fields) != len(o.fields) {
		return false
	}
	for i := range n.items {
		if !n.items[i].same(o.items[i]) {
			return false
		}
	}
	for _, f := range n.fields {
		if other := o.get(f.key); other == nil || !f.value.same(other) {
			return false
		}
	}
	return true
}
