package manifest

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxNodes = 20_000 // after aliases are expanded
	maxDepth = 64
)

type kind uint8

const (
	null kind = iota
	scalar
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping"}[k]
}

// node is a YAML value without aliases and merge keys, each part with its place.
type node struct {
	kind   kind
	at     pos
	text   string  // of a scalar: as written, before interpolation
	number bool    // of a scalar: an unquoted number, true or false
	fields []field // of a mapping, in the order of the text
	items  []*node // of a list

	value expansion // of a scalar, once the decoder has met it
}

type field struct {
	key   string
	at    pos
	value *node
}

func (n *node) field(key string) (field, bool) {
	if n == nil {
		return field{}, false
	}
	i := slices.IndexFunc(n.fields, func(f field) bool { return f.key == key })
	if i < 0 {
		return field{}, false
	}
	return n.fields[i], true
}

func (n *node) get(key string) *node {
	f, _ := n.field(key)
	return f.value
}

// itemsOf is the items of a list, or nothing.
func (n *node) itemsOf() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// fieldsOf is the fields of a mapping, or nothing.
func (n *node) fieldsOf() []field {
	if n == nil {
		return nil
	}
	return n.fields
}

func (n *node) remove(key string) {
	n.fields = slices.DeleteFunc(n.fields, func(f field) bool { return f.key == key })
}

// find returns the value at a path such as "verify[0].path", or nil. Keys may hold dots.
func (n *node) find(path string) *node {
	if path == "" || n == nil {
		return n
	}
	for i, item := range n.items {
		if rest, ok := strings.CutPrefix(path, index(i)); ok {
			return item.find(strings.TrimPrefix(rest, "."))
		}
	}
	for _, f := range n.fields {
		rest, ok := strings.CutPrefix(path, f.key)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
			continue
		}
		if found := f.value.find(strings.TrimPrefix(rest, ".")); found != nil {
			return found
		}
	}
	return nil
}

func index(i int) string { return fmt.Sprintf("[%d]", i) }

// show is how a message names the scalar's content: as written, so that what came from
// the environment does not appear.
func (n *node) show() string {
	const most = 60
	text := n.text
	if strings.Contains(text, "$") {
		return fmt.Sprintf("%q (after substitution)", clip(text, most))
	}
	if strings.ContainsAny(text, " \t\n\"'") || text == "" {
		return fmt.Sprintf("%q", clip(text, most))
	}
	return clip(text, most)
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// reader turns yaml.v3's nodes into ours.
type reader struct {
	*findings
	file  string
	nodes int
	full  bool
}

func (r *reader) pos(y *yaml.Node) pos { return pos{r.file, y.Line, y.Column} }

// read returns nil for what could not be read; the reason has been told.
func (r *reader) read(y *yaml.Node, path string, open []*yaml.Node) *node {
	r.nodes++
	if r.nodes > maxNodes || len(open) > maxDepth {
		if !r.full {
			r.full = true
			r.fail(r.pos(y), path, "use fewer aliases and less nesting",
				"the manifest is larger than any manifest needs to be once its aliases are expanded")
		}
		return nil
	}
	open = append(open, y)
	switch y.Kind {
	case yaml.AliasNode:
		if slices.Contains(open, y.Alias) {
			r.fail(r.pos(y), path, "", "the alias *%s stands inside what it refers to", y.Value)
			return nil
		}
		return r.read(y.Alias, path, open)
	case yaml.ScalarNode:
		return r.scalar(y, path)
	case yaml.SequenceNode:
		n := &node{kind: list, at: r.pos(y)}
		for i, item := range y.Content {
			if c := r.read(item, path+index(i), open); c != nil {
				n.items = append(n.items, c)
			}
		}
		return n
	case yaml.MappingNode:
		return r.mapping(y, path, open)
	}
	return nil
}

func (r *reader) scalar(y *yaml.Node, path string) *node {
	n := &node{kind: scalar, at: r.pos(y), text: y.Value}
	switch y.ShortTag() {
	case "!!null":
		n.kind = null
	case "!!int", "!!float", "!!bool":
		n.number = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
	case "!!str", "!!timestamp", "!!merge":
	default:
		r.fail(n.at, path, "write the value itself, without a tag",
			"the YAML tag %s means nothing here", y.ShortTag())
		return nil
	}
	if strings.ContainsRune(y.Value, 0) {
		r.fail(n.at, path, "", "holds a NUL character")
		return nil
	}
	return n
}

func (r *reader) mapping(y *yaml.Node, path string, open []*yaml.Node) *node {
	n := &node{kind: mapping, at: r.pos(y)}
	seen := map[string]pos{}
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		at := r.pos(k)
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			r.fail(at, path, "", "a key must be text")
			continue
		}
		sub := join(path, k.Value)
		if first, ok := seen[k.Value]; ok {
			r.fail(at, sub, "keep one of the two", "is given twice; first on line %d", first.line)
			continue
		}
		seen[k.Value] = at
		if k.Tag == "!!merge" {
			merges = append(merges, r.merges(v, path, open)...)
			continue
		}
		if path == "" && strings.HasPrefix(k.Value, "x-") {
			continue // a place for anchors
		}
		if c := r.read(v, sub, open); c != nil {
			n.fields = append(n.fields, field{k.Value, at, c})
		}
	}
	for _, m := range merges {
		for _, f := range m.fields {
			if _, ok := seen[f.key]; !ok {
				seen[f.key] = f.at
				n.fields = append(n.fields, f)
			}
		}
	}
	return n
}

// merges reads the value of a merge key: a mapping, or a list of them, earlier first.
func (r *reader) merges(y *yaml.Node, path string, open []*yaml.Node) []*node {
	n := r.read(y, path, open)
	switch {
	case n == nil:
		return nil
	case n.kind == mapping:
		return []*node{n}
	case n.kind == list && !slices.ContainsFunc(n.items, func(c *node) bool { return c.kind != mapping }):
		return n.items
	}
	r.fail(r.pos(y), join(path, "<<"), "write <<: *name, or <<: [*one, *two]", "a merge key takes mappings")
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
