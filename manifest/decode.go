package manifest

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

var (
	manifestType = reflect.TypeFor[Manifest]()
	valueType    = reflect.TypeFor[Value]()
	argumentType = reflect.TypeFor[Argument]()
	secretType   = reflect.TypeFor[Secret]()
	buildSecret  = reflect.TypeFor[BuildSecret]()
	durationType = reflect.TypeFor[Duration]()
	leafType     = reflect.TypeFor[leaf]()
)

// schemaField is a key of a schema type.
type schemaField struct {
	key   string
	typ   reflect.Type
	tag   reflect.StructTag
	index int
}

func schemaFields(t reflect.Type) []schemaField {
	var fields []schemaField
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("yaml"); key != "" {
			fields = append(fields, schemaField{key, f.Type, f.Tag, i})
		}
	}
	return fields
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range schemaFields(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// structOf is the schema type behind pointers, lists and mappings, or nil.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("yaml") != "" {
		return t
	}
	return nil
}

// decoder fills the schema types from a tree.
type decoder struct {
	*findings
	vars *expander // nil: the text of variables is taken on trust
	// partial is for overlays: null removes, and nothing is required.
	partial bool
}

func (d *decoder) decode(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	t := v.Type()
	switch {
	case n.kind == null:
		if !d.partial {
			d.fail(n.at, path, "leave the key out, or write a value"+emptyForm(t), "has no value")
		}
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		if d.want(n, mapping, path, "") {
			v.Set(reflect.New(t.Elem()))
			d.object(n, v.Elem(), path)
		}
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		before := len(d.errors)
		d.decode(n, p.Elem(), path, tag)
		if len(d.errors) == before && !n.value.bad {
			v.Set(p)
		}
	case t == valueType || reflect.PointerTo(t).Implements(leafType):
		d.scalar(n, v, path, tag)
	case t.Kind() == reflect.Struct && n.kind == scalar && short(t) >= 0:
		f := t.Field(short(t))
		d.decode(n, v.Field(short(t)), path, f.Tag)
	case t.Kind() == reflect.Struct:
		if d.want(n, mapping, path, "") {
			d.object(n, v, path)
		}
	case t.Kind() == reflect.Map:
		d.dictionary(n, v, path, tag)
	case t.Kind() == reflect.Slice:
		d.sequence(n, v, path, tag)
	default:
		d.scalar(n, v, path, tag)
	}
}

// short is the field of a struct that a single value stands for, or -1.
func short(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("short") != "" {
			return i
		}
	}
	return -1
}

func emptyForm(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Map:
		return "; {} is an empty mapping"
	case reflect.Slice:
		return "; [] is an empty list"
	case reflect.String:
		return `; "" is an empty text`
	}
	if t == valueType {
		return `; "" is an empty text`
	}
	return ""
}

func (d *decoder) want(n *node, k kind, path, fix string) bool {
	if n.kind == k {
		return true
	}
	d.fail(n.at, path, fix, "must be %s, not %s", k, n.kind)
	return false
}

func (d *decoder) object(n *node, v reflect.Value, path string) {
	fields := schemaFields(v.Type())
	for _, f := range n.fields {
		i := slices.IndexFunc(fields, func(s schemaField) bool { return s.key == f.key })
		if i < 0 {
			d.fail(f.at, join(path, f.key), suggestKey(f.key, v.Type()), "unknown key")
			continue
		}
		d.decode(f.value, v.Field(fields[i].index), join(path, f.key), fields[i].tag)
	}
	for _, s := range fields {
		if example := s.tag.Get("required"); example != "" && !d.partial && n.get(s.key) == nil {
			d.fail(n.at, path, "add "+s.key+": "+example, "%s is missing", s.key)
		}
	}
}

func (d *decoder) dictionary(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	fix := ""
	if n.kind == list {
		fix = "write KEY: value on each line, without the hyphen"
	}
	if !d.want(n, mapping, path, fix) {
		return
	}
	d.most(n, len(n.fields), path, tag)
	m := reflect.MakeMap(v.Type())
	kf := keyFormats[tag.Get("keys")]
	for _, f := range n.fields {
		sub := join(path, f.key)
		if kf.pattern != nil && !kf.pattern().MatchString(f.key) {
			d.fail(f.at, path, kf.fix, "%q is not %s", clip(f.key, 60), kf.what)
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		before := len(d.errors)
		d.decode(f.value, e, sub, tag)
		if len(d.errors) == before && !f.value.value.bad {
			m.SetMapIndex(reflect.ValueOf(f.key), e)
		}
	}
	v.Set(m)
}

func (d *decoder) sequence(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	fix := ""
	if n.kind == scalar {
		fix = "write a list: [one, two]"
	}
	if !d.want(n, list, path, fix) {
		return
	}
	d.most(n, len(n.items), path, tag)
	s := reflect.MakeSlice(v.Type(), 0, len(n.items))
	strict := *d
	strict.partial = false // an overlay replaces a list as a whole
	for i, item := range n.items {
		e := reflect.New(v.Type().Elem()).Elem()
		before := len(d.errors)
		strict.decode(item, e, path+index(i), tag)
		if len(d.errors) == before && !item.value.bad {
			s = reflect.Append(s, e)
		}
	}
	v.Set(s)
}

func (d *decoder) most(n *node, count int, path string, tag reflect.StructTag) {
	if most, _ := strconv.Atoi(tag.Get("most")); most > 0 && count > most {
		d.fail(n.at, path, "", "has %d entries; %d is the most", count, most)
	}
}

// scalar decodes a single value. Where something was substituted, messages show the
// text as it was written.
func (d *decoder) scalar(n *node, v reflect.Value, path string, tag reflect.StructTag) {
	fix := ""
	if n.kind == mapping && v.Type() == valueType {
		fix = "quote the value if it holds \": \""
	}
	if !d.want(n, scalar, path, fix) {
		return
	}
	text, ok := d.text(n, path)
	if !ok {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *Value:
		p.node = n
		return
	case *Argument:
		*p = Argument(text)
		return
	case leaf:
		if wrong, fix := p.parse(text); wrong != "" {
			if v.Type() == secretType || v.Type() == buildSecret {
				d.fail(n.at, path, fix, "%s", wrong)
				return
			}
			d.fail(n.at, path, fix, "%s %s", n.show(), wrong)
			return
		}
		if v.Type() == durationType {
			d.within(n, v.Interface().(Duration).seconds(), path, tag)
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			d.fail(n.at, path, "write true or false", "%s is neither true nor false", n.show())
			return
		}
		v.SetBool(text == "true")
	case reflect.Int:
		i, err := strconv.ParseInt(text, 10, 32)
		if err != nil || len(text) > 1 && text[0] == '0' {
			d.fail(n.at, path, "", "%s is not a whole number", n.show())
			return
		}
		v.SetInt(i)
		d.within(n, int(i), path, tag)
	case reflect.String:
		v.SetString(text)
		d.shaped(n, text, path, tag)
	}
}

// text expands the scalar. Without variables to expand from, a text that has any is
// left alone.
func (d *decoder) text(n *node, path string) (string, bool) {
	if d.vars == nil {
		return n.text, !strings.Contains(n.text, "$")
	}
	if !n.value.done {
		d.vars.soft = strings.HasPrefix(path, "env.")
		var faults []fault
		n.value, faults = d.vars.expand(n.text)
		for _, f := range faults {
			d.fail(n.at, path, f.fix, "%s", f.msg)
		}
	}
	return n.value.plain(), !n.value.bad
}

func (d *decoder) within(n *node, i int, path string, tag reflect.StructTag) {
	low, high := limits(tag)
	if i >= low && i <= high {
		return
	}
	fix, key := "", unscoped(path)
	if advise := advice[key]; advise != nil {
		fix = advise(i)
	}
	unit := ""
	if key == "health.interval" || key == "health.timeout" {
		unit = " seconds"
	}
	if low == high {
		d.fail(n.at, path, fix, "%s is not possible; it must be %d", n.show(), low)
		return
	}
	d.fail(n.at, path, fix, "%s is out of range; it must be %d to %d%s", n.show(), low, high, unit)
}

// unscoped is the path of a key as it is without overlays.
func unscoped(path string) string {
	rest, ok := strings.CutPrefix(path, "environments.")
	if !ok {
		return path
	}
	_, key, _ := strings.Cut(rest, ".") // names of environments have no dots
	return key
}

func limits(tag reflect.StructTag) (low, high int) {
	a, b, ok := strings.Cut(tag.Get("range"), "-")
	if !ok {
		return math.MinInt, math.MaxInt
	}
	low, _ = strconv.Atoi(a)
	high, _ = strconv.Atoi(b)
	return low, high
}

func (d *decoder) shaped(n *node, text, path string, tag reflect.StructTag) {
	if enum := tag.Get("enum"); enum != "" {
		choices := strings.Split(enum, "|")
		if !slices.Contains(choices, text) {
			fix := didYouMean(n.text, choices, "")
			if unscoped(path) == "image.build.platform" {
				fix = "App Runner runs x86-64 images only; an arm64 machine builds them too, with emulation"
			}
			d.fail(n.at, path, fix, "%s is not possible; it must be %s", n.show(), either(choices))
		}
		return
	}
	if f, ok := formats[tag.Get("format")]; ok && !f.pattern().MatchString(text) {
		d.fail(n.at, path, f.fix, "%s is not %s", n.show(), f.what)
	}
}

func either(choices []string) string {
	last := len(choices) - 1
	if last == 0 {
		return choices[0]
	}
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}
