package apimodel

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// check is one request's. It never repeats a value, which may be a secret.
type check struct {
	model    *model
	problems []error
}

func (c *check) fail(path, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: "+format, append([]any{strings.TrimPrefix(path, ".")}, args...)...))
}

// value wants v to be what the shape says. Protocols without types bring every scalar as
// a string.
func (c *check) value(path, shapeName string, v any) {
	s := c.model.Shapes[shapeName]
	switch {
	case v == nil:
		c.fail(path, "is null")
	case s.Document:
	case s.Type == "structure":
		c.structure(path, s, v)
	case s.Type == "list":
		list, ok := v.([]any)
		if !ok {
			c.fail(path, "is no list")
			return
		}
		c.size(path, s, float64(len(list)), "elements")
		for i, element := range list {
			c.value(path+"["+strconv.Itoa(i)+"]", s.Member.Shape, element)
		}
	case s.Type == "map":
		entries, ok := v.(map[string]any)
		if !ok {
			c.fail(path, "is no map")
			return
		}
		c.size(path, s, float64(len(entries)), "entries")
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			c.value(path+"."+key+" (key)", s.Key.Shape, key)
			c.value(path+"."+key, s.Value.Shape, entries[key])
		}
	default:
		c.scalar(path, s, v)
	}
}

func (c *check) structure(path string, s *shape, v any) {
	members, ok := v.(map[string]any)
	if !ok {
		c.fail(path, "is no structure")
		return
	}
	for _, name := range s.Required {
		if _, present := members[name]; !present {
			c.fail(path+"."+name, "is required")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if r := s.Members[name]; r != nil {
			c.value(path+"."+name, r.Shape, members[name])
		} else {
			c.fail(path+"."+name, "the API has no such member")
		}
	}
}

func (c *check) scalar(path string, s *shape, v any) {
	text, isText := v.(string)
	typed := c.typed()
	switch s.Type {
	case "string":
		if !isText {
			c.fail(path, "is no string")
			return
		}
		c.size(path, s, float64(utf8.RuneCountInString(text)), "characters")
		if s.re != nil && !s.re.MatchString(text) {
			c.fail(path, "does not match %s", s.Pattern)
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
			c.fail(path, "is none of %s", strings.Join(s.Enum, ", "))
		}
	case "blob":
		raw, err := base64.StdEncoding.DecodeString(text)
		if !isText || err != nil {
			c.fail(path, "is no base64")
			return
		}
		c.size(path, s, float64(len(raw)), "bytes")
	case "boolean":
		if _, ok := v.(bool); !ok && (typed || text != "true" && text != "false") {
			c.fail(path, "is no boolean")
		}
	case "integer", "long", "float", "double":
		n, err := number(v, typed)
		if err != nil || (s.Type == "integer" || s.Type == "long") && n != float64(int64(n)) {
			c.fail(path, "is no %s", s.Type)
			return
		}
		c.size(path, s, n, "")
	case "timestamp":
		if _, err := number(v, typed); err == nil {
			return
		}
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			c.fail(path, "is no timestamp")
		}
	default:
		c.fail(path, "has the unknown type %s", s.Type)
	}
}

// typed tells whether the protocol keeps numbers and booleans apart from strings.
func (c *check) typed() bool {
	return c.model.Protocol == "json" || c.model.Protocol == "smithy-rpc-v2-cbor"
}

// number reads a number, which untyped protocols write as a string.
func number(v any, typed bool) (float64, error) {
	switch v := v.(type) {
	case json.Number:
		return v.Float64()
	case string:
		if !typed {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, strconv.ErrSyntax
}

func (c *check) size(path string, s *shape, n float64, of string) {
	show := func(n float64) string { return strings.TrimSpace(strconv.FormatFloat(n, 'f', -1, 64) + " " + of) }
	switch {
	case s.Min != nil && n < *s.Min:
		c.fail(path, "%s is less than %s", show(n), show(*s.Min))
	case s.Max != nil && n > *s.Max:
		c.fail(path, "%s is more than %s", show(n), show(*s.Max))
	}
}
