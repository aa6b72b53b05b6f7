package manifest

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// overlays checks the environments that were not chosen as far as that is possible
// without their variables.
func (l *loader) overlays(root *node, f *findings) {
	envs, ok := root.field("environments")
	if !ok || envs.value.kind != mapping {
		return
	}
	for _, e := range envs.value.fields {
		p := "environments." + e.key
		for _, key := range []string{"version", "environments"} {
			if k, ok := e.value.field(key); ok {
				f.fail(k.at, join(p, key), "", "does not belong in an overlay")
			}
		}
		if e.key != l.Environment && e.value.kind == mapping {
			combinations(root, e.value, p, f)
		}
	}
	d := &decoder{findings: f, partial: true}
	d.decode(envs.value, reflect.ValueOf(&Manifest{}).Elem().FieldByName("Environments"), "environments", reflect.StructTag(`keys:"environment"`))
}

// combined are the rules that concern several keys, and the keys: what an overlay says of
// one may not go with what all environments say of another.
var combined = []struct {
	keys  []string
	check func(*checker)
}{
	{[]string{"cpu", "memory", "target"}, (*checker).sizes},
	{[]string{"scaling"}, (*checker).scaling},
	{[]string{"health"}, (*checker).health},
}

// combinations holds what an environment adds up to against those rules. Each mistake is
// told where the overlay makes it.
func combinations(root, over *node, path string, f *findings) {
	tree := overlay(root, over)
	target := tree.get("target")
	if target != nil && strings.Contains(target.text, "$") {
		return // the rules depend on it
	}
	m := &Manifest{}
	d := &decoder{findings: &findings{}, partial: true}
	known := &node{kind: mapping}
	for _, c := range combined {
		for _, key := range c.keys {
			if field, ok := tree.field(key); ok {
				known.fields = append(known.fields, field)
			}
		}
	}
	d.object(written(known), reflect.ValueOf(m).Elem(), "")
	for _, rule := range combined {
		i := slices.IndexFunc(rule.keys, func(key string) bool { return over.get(key) != nil })
		if i < 0 {
			continue
		}
		c := &checker{findings: &findings{}, root: tree, m: m, target: cmp.Or(m.Target, targetAppRunner)}
		rule.check(c)
		for _, e := range c.errors {
			at := over.get(rule.keys[i]).at
			if n := over.find(e.Path); n != nil {
				at = n.at
			}
			f.fail(at, join(path, e.Path), e.Fix, "%s", e.Msg)
		}
	}
}

// written is a mapping without the values that variables have a part in.
func written(n *node) *node {
	out := *n
	out.fields = nil
	for _, f := range n.fields {
		switch {
		case f.value.kind == mapping:
			f.value = written(f.value)
		case strings.Contains(f.value.text, "$"):
			continue
		}
		out.fields = append(out.fields, f)
	}
	return &out
}
