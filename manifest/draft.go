package manifest

import (
	"fmt"
	"strconv"
	"strings"
)

// Draft is the text of a manifest that is to be written: keys in their order, with what a
// reader should know beside them.
type Draft []Entry

// Entry is a key of a draft.
type Entry struct {
	Key string
	// Value is a string, an int, a bool, a []string, a Draft, or a []any of these.
	Value any
	// Above are lines of comment before the key.
	Above []string
	// Behind is a comment at the end of the line.
	Behind string
	// Inline writes a Draft in one line.
	Inline bool
	// Off writes the key as a comment: a suggestion.
	Off bool
}

// Text writes the draft as YAML, each text quoted where YAML needs it.
func (d Draft) Text() []byte {
	var b strings.Builder
	d.write(&b, "")
	return []byte(b.String())
}

func (d Draft) write(b *strings.Builder, indent string) {
	for _, e := range d {
		for _, line := range e.Above {
			b.WriteString(strings.TrimRight(indent+"# "+oneLine(line), " ") + "\n")
		}
		if e.Key == "" { // comments alone
			continue
		}
		at := indent
		if e.Off {
			at += "# "
		}
		behind := ""
		if e.Behind != "" {
			behind = "  # " + oneLine(e.Behind)
		}
		inner, nested := e.Value.(Draft)
		if nested && !e.Inline && len(inner) > 0 {
			b.WriteString(at + draftKey(e.Key) + ":" + behind + "\n")
			inner.write(b, at+"  ")
			continue
		}
		b.WriteString(at + draftKey(e.Key) + ": " + draftValue(e.Value, false) + behind + "\n")
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func draftKey(key string) string {
	if plain(key, true) && !strings.Contains(key, ": ") {
		return key
	}
	return strconv.Quote(key)
}

func draftValue(v any, flow bool) string {
	switch v := v.(type) {
	case string:
		if plain(v, flow) {
			return v
		}
		return strconv.Quote(v)
	case []string:
		texts := make([]string, len(v))
		for i, s := range v {
			texts[i] = draftValue(s, true)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case []any:
		texts := make([]string, len(v))
		for i, item := range v {
			texts[i] = draftValue(item, true)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case Draft:
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = draftKey(e.Key) + ": " + draftValue(e.Value, true)
		}
		return "{" + strings.Join(texts, ", ") + "}"
	}
	return fmt.Sprint(v)
}
