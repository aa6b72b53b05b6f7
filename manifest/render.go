package manifest

import (
	"io"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

const masked = "(sensitive)"

// Render writes the manifest as it was understood: overlays applied, variables and
// anchors resolved, keys in the order of the schema. References to secrets stay
// references; values that are or hold a secret are masked. URLs known only at run time
// stay references: ${services.NAME.url}.
func Render(w io.Writer, d *Document) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(d.tree(false)); err != nil {
		return err
	}
	return enc.Close()
}

// Rendered is what [Render] writes, as the maps, lists and scalars that JSON has: numbers
// are those that the schema has, and the rest is the text that is used.
func Rendered(d *Document) (any, error) {
	var v any
	err := d.tree(true).Decode(&v)
	return v, err
}

func (d *Document) tree(typed bool) *yaml.Node {
	r := &renderer{d, typed}
	return r.object(d.root, manifestType, "")
}

type renderer struct {
	*Document
	// typed makes texts of what only looks like a number. Who reads the manifest again
	// does that anyway, and finds it there as it was written.
	typed bool
}

// object renders a mapping with a schema, in the schema's order.
func (r *renderer) object(n *node, t reflect.Type, path string) *yaml.Node {
	y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, s := range schemaFields(t) {
		if v := n.get(s.key); v != nil {
			y.Content = append(y.Content, text(s.key), r.value(v, s.typ, join(path, s.key)))
		}
	}
	return y
}

func (r *renderer) value(n *node, t reflect.Type, path string) *yaml.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n.kind {
	case mapping:
		if s := structOf(t); s == t {
			return r.object(n, t, path)
		}
		y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range n.fields {
			y.Content = append(y.Content, text(f.key), r.value(f.value, t.Elem(), join(path, f.key)))
		}
		if len(y.Content) == 0 {
			y.Style = yaml.FlowStyle
		}
		return y
	case list:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for i, item := range n.items {
			c := r.value(item, t.Elem(), path+index(i))
			if c.Kind != yaml.ScalarNode || strings.ContainsAny(c.Value, " \n") {
				y.Style = 0 // words fit on a line, sentences do not
			}
			y.Content = append(y.Content, c)
		}
		return y
	}
	return r.scalar(n, t, path)
}

func (r *renderer) scalar(n *node, t reflect.Type, path string) *yaml.Node {
	if r.hidden(n, path) {
		return text(masked)
	}
	y := text(n.value.source())
	if n.number && !n.value.varied && (!r.typed || counts(t, n.text)) {
		y.Tag = ""
	}
	return y
}

// decimal is a number that YAML and apron read alike: to YAML 010 is 8.
var decimal = pattern.Lazy(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// counts reports whether a text is a number, or true or false, to the schema.
func counts(t reflect.Type, text string) bool {
	switch t.Kind() {
	case reflect.Bool:
		return true
	case reflect.Int, reflect.Int64:
		return decimal().MatchString(text)
	}
	return false // the name that stands for a whole object is a text, too
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// Hides reports whether [Render] masks the value at a path, or one within it.
func (d *Document) Hides(path string) bool {
	n := d.root.find(path)
	if n == nil {
		return false
	}
	for i := range n.items {
		if d.Hides(path + index(i)) {
			return true
		}
	}
	return n.kind == scalar && (&renderer{Document: d}).hidden(n, path)
}

func (r *renderer) hidden(n *node, path string) bool {
	value := n.value.plain()
	if holdsSecret(value, secretValues(r.Spec)) {
		return true
	}
	if name, ok := strings.CutPrefix(path, "env."); ok {
		return r.Spec.Env[name].Hidden
	}
	for _, args := range []string{"image.build.args.", "image.build.labels.", "image.build.before.env."} {
		if name, ok := strings.CutPrefix(path, args); ok {
			return SecretLooking(name) || revealing(name, value) != "" && !n.value.commit
		}
	}
	return false
}
