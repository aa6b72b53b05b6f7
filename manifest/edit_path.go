package manifest

import (
	"reflect"
	"slices"
	"strings"
)

// split cuts a path into keys, and tells whether it names a single value. A path is one
// of the schema; what follows the name of a free mapping, such as env or tags, is one key,
// dots and all.
func split(file, path string) (keys []string, leaf bool, err error) {
	t, rest := manifestType, path
	wrong := func(fix, msg string) error { return &Error{File: file, Path: path, Msg: msg, Fix: fix} }
	for rest != "" {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case t.Kind() == reflect.Slice:
			i := strings.IndexByte(rest, ']')
			if rest[0] != '[' || i < 0 {
				return nil, false, wrong("write "+strings.Join(keys, ".")+"[0] for its first item", "is in a list")
			}
			keys, rest, t = append(keys, rest[:i+1]), strings.TrimPrefix(rest[i+1:], "."), t.Elem()
		case t.Kind() == reflect.Map && structOf(t.Elem()) == nil:
			keys, rest, t = append(keys, rest), "", t.Elem()
		case t.Kind() == reflect.Map:
			key, more, _ := strings.Cut(rest, ".")
			keys, rest, t = append(keys, key), more, t.Elem()
		case structOf(t) == t:
			i := strings.IndexAny(rest, ".[")
			if i < 0 {
				i = len(rest)
			}
			fields := schemaFields(t)
			f := slices.IndexFunc(fields, func(s schemaField) bool { return s.key == rest[:i] })
			if f < 0 {
				return nil, false, wrong(suggestKey(rest[:i], t), "unknown key")
			}
			keys, rest, t = append(keys, rest[:i]), strings.TrimPrefix(rest[i:], "."), fields[f].typ
		default:
			return nil, false, wrong("", strings.Join(keys, ".")+" holds a single value")
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(keys) == 0 {
		return nil, false, wrong("write KEY=VALUE, such as scaling.max=4", "names no key")
	}
	open := t.Kind() == reflect.Slice || t.Kind() == reflect.Map || structOf(t) == t && !reflect.PointerTo(t).Implements(leafType)
	return keys, !open, nil
}
