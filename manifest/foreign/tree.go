package foreign

import (
	"fmt"
	"slices"
	"strings"
)

// Place is where something stands in a source: line and column count from 1.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

type kind uint8

const (
	scalar kind = iota
	list
	mapping
	unknown // an expression that only the source's own tool can resolve
)

func (k kind) String() string {
	return [...]string{"a single value", "a list", "a mapping", "an expression"}[k]
}

// node is a value of a source.
type node struct {
	kind   kind
	at     Place
	path   string // by the source's own names: aws_apprunner_service.web.tags.team
	text   text   // of a scalar; of an unknown, the one reference that stands for it
	tag    string // of YAML: !Ref; !!null for no value, in each format
	bare   bool   // a number, true or false, written as such
	fields []field
	items  []*node
	// marked says that somebody has accounted for it, and for all below it.
	marked bool
}

type field struct {
	key   string
	at    Place
	value *node
}

// text is what a scalar says: literal pieces, and references between them.
type text []piece

type piece struct {
	literal string
	ref     *reference
}

// reference is something that is known only once the source's own tool runs.
type reference struct {
	as     string    // as the source writes it: var.tag
	name   string    // of the environment variable that can stand for it: TAG
	direct string    // what the manifest has for it: ${git.sha}; else empty
	loose  bool      // name is made up, and one by the key that it is for is better
	secret bool      // the source says so
	to     *resource // what it is an attribute of, if that is in the source
	attr   string
	stored *stored // where its value is looked up, if it is a dynamic reference
}

// resource is one of the things that a source declares.
type resource struct {
	kind string // CloudFormation's name for it: AWS::AppRunner::Service
	name string // the source's own: aws_apprunner_service.web
	body *node
	used bool
}

func literal(s string) text { return text{{literal: s}} }

func leaf(at Place, path, s string) *node {
	return &node{kind: scalar, at: at, path: path, text: literal(s)}
}

func refer(at Place, path string, r *reference) *node {
	return &node{kind: unknown, at: at, path: path, text: text{{ref: r}}}
}

// static is the text if nothing in it is a reference.
func (t text) static() (string, bool) {
	var b strings.Builder
	for _, p := range t {
		if p.ref != nil {
			return "", false
		}
		b.WriteString(p.literal)
	}
	return b.String(), true
}

// alone is the reference that is all of the text, or nil.
func (t text) alone() *reference {
	if len(t) == 1 {
		return t[0].ref
	}
	return nil
}

// with is the text with each reference as f writes it.
func (t text) with(f func(*reference) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.ref != nil {
			b.WriteString(f(p.ref))
			continue
		}
		b.WriteString(p.literal)
	}
	return b.String()
}

func (n *node) static() (string, bool) {
	if n == nil || n.kind != scalar {
		return "", false
	}
	return n.text.static()
}

// is reports whether a node is a known text.
func (n *node) is(s string) bool {
	known, ok := n.static()
	return ok && strings.EqualFold(known, s)
}

// get is the value of a key. Names are told apart by their letters only, so that the API's
// ServiceName is Terraform's service_name and the action's service-name as well.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil {
			return nil
		}
		i := slices.IndexFunc(n.fields, func(f field) bool { return sameKey(f.key, key) })
		if i < 0 {
			return nil
		}
		n = n.fields[i].value
	}
	return n
}

var letters = strings.NewReplacer("_", "", "-", "")

func sameKey(a, b string) bool {
	return strings.EqualFold(letters.Replace(a), letters.Replace(b))
}

// every is the items of a list, or the node itself: a block that may be repeated.
func (n *node) every() []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

// mark accounts for a node and all below it.
func (n *node) mark() {
	if n == nil || n.marked {
		return
	}
	n.marked = true
	for _, f := range n.fields {
		f.value.mark()
	}
	for _, item := range n.items {
		item.mark()
	}
}

// leaves calls f for what nobody has accounted for. A list or a mapping without anything
// in it is a leaf, too.
func (n *node) leaves(f func(*node)) {
	switch {
	case n == nil || n.marked:
	case len(n.fields)+len(n.items) == 0:
		f(n)
	default:
		for _, e := range n.fields {
			e.value.leaves(f)
		}
		for _, item := range n.items {
			item.leaves(f)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// variable makes the name of an environment variable of words.
func variable(words ...string) string {
	var b strings.Builder
	lower := false
	for _, r := range strings.Join(words, "_") {
		switch {
		case r >= 'A' && r <= 'Z' && lower:
			b.WriteByte('_')
			fallthrough
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 'a' && r <= 'z':
			b.WriteRune(r - 'a' + 'A')
		default:
			if s := b.String(); s != "" && !strings.HasSuffix(s, "_") {
				b.WriteByte('_')
			}
		}
		lower = r >= 'a' && r <= 'z'
	}
	name := strings.Trim(b.String(), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "VALUE_" + name
	}
	return strings.TrimRight(name, "_")
}
