package manifest

import (
	"reflect"
	"slices"
	"strings"
)

// whichAndWhere are the keys that say which service is meant, and where: what a release was is
// told by the others.
var whichAndWhere = []string{"version", "service", "region", "account", "target"}

// Restore compares a manifest with what [Render] once wrote of it, and returns the edits
// that make it say the same again, in the order of the schema. Values that mean the same
// stay as they are written. A value that was masked stays what it is now; where there is
// none now, but there was one, it is refused with the place.
//
// A variable of the environment that names the commit is no difference: it never is one in
// a plan.
func Restore(d, kept *Document) ([]Edit, error) {
	r := &restorer{findings: &findings{}, then: kept}
	r.object(d.root, kept.root, manifestType, "", d.root.at)
	return r.edits, r.err()
}

type restorer struct {
	*findings
	then  *Document
	edits []Edit
}

// object compares two mappings with a schema; around is where what holds them stands.
func (r *restorer) object(now, then *node, t reflect.Type, path string, around pos) {
	for _, s := range schemaFields(t) {
		if path != "" || !slices.Contains(whichAndWhere, s.key) {
			r.key(now.get(s.key), then.get(s.key), s.typ, join(path, s.key), around)
		}
	}
}

func (r *restorer) key(now, then *node, t reflect.Type, path string, around pos) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if now != nil {
		around = now.at
	}
	if then != nil && then.kind == list {
		then = unmasked(then, now.itemsOf())
	}
	switch {
	case then == nil && now != nil:
		r.edits = append(r.edits, Edit{Path: path, Remove: true})
	case then == nil:
	case now == nil && then.kind == mapping && len(then.fields) == 0:
		r.edits = append(r.edits, Edit{Path: path, Value: "{}"})
	case then.kind == mapping && t.Kind() == reflect.Struct:
		r.object(now, then, t, path, around)
	case then.kind == mapping:
		for _, f := range then.fields {
			r.key(now.get(f.key), f.value, t.Elem(), join(path, f.key), around)
		}
		for _, f := range now.fieldsOf() {
			if then.get(f.key) == nil {
				r.edits = append(r.edits, Edit{Path: join(path, f.key), Remove: true})
			}
		}
	case slices.ContainsFunc(then.items, (*node).masked):
		r.fail(around, path, "write it there", "is missing, and its value was masked")
	case then.masked():
		name, isEnv := strings.CutPrefix(path, "env.")
		if _, back := r.then.Spec.Env[name]; now == nil && (back || !isEnv) {
			r.fail(around, path, "write it there, or better a reference under secrets", "is missing, and its value was masked")
		}
	case now == nil || !equal(now, then, t, path):
		r.edits = append(r.edits, Edit{Path: path, Value: then.oneLine()})
	}
}

// masked reports whether a value was one that [Render] does not write.
func (n *node) masked() bool { return n.kind == scalar && n.text == masked }

// unmasked is a list whose masked items are those that stand in their places now, if any do.
func unmasked(then *node, now []*node) *node {
	list := *then
	list.items = slices.Clone(then.items)
	for i, item := range list.items {
		if item.masked() && i < len(now) {
			list.items[i] = now[i]
		}
	}
	return &list
}

// equal reports whether two values mean the same.
func equal(now, then *node, t reflect.Type, path string) bool {
	if t == valueType {
		return now.kind == then.kind && (now.value.commit || now.value.source() == then.value.source())
	}
	a, b := reflect.New(t).Elem(), reflect.New(t).Elem()
	d := &decoder{findings: &findings{}, vars: &expander{}} // of what is expanded already
	d.decode(now, a, path, "")
	d.decode(then, b, path, "")
	return len(d.errors) == 0 && reflect.DeepEqual(a.Interface(), b.Interface())
}
