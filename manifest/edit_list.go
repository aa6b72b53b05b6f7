package manifest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// items gives a list with one item a line other items. Lines of items that stay are not
// touched; those of an item that goes do, with the comments in them.
func (e *editor) items(s spot, value string) ([]byte, error) {
	want := e.parsed(value)
	if want == nil || want.kind != list {
		return nil, e.fail(s.value, "write [one, two]", "is a list, and %q is none", clip(value, 60))
	}
	r := &reader{findings: &findings{}, file: e.file}
	have := r.read(s.value, e.path, nil)
	if have == nil || s.value.Anchor != "" || len(have.items) != len(s.value.Content) {
		return nil, e.fail(s.value, "edit it by hand", "is a list that others use, or takes from others")
	}
	first, last := stay(have.items, want.items)
	lines := make([]extent, len(s.value.Content))
	for i, y := range s.value.Content {
		var err error
		if lines[i], err = e.item(y, s.value.Column); err != nil {
			return nil, err
		}
	}
	gone, come := lines[first:len(lines)-last], want.items[first:len(want.items)-last]
	var added strings.Builder
	hyphen := strings.Repeat(" ", s.value.Column-1) + "- "
	for _, item := range come[min(len(gone), len(come)):] {
		added.WriteString(hyphen + item.flow(false) + e.newline())
	}
	at := lines[0].from // of what is added
	if i := first + min(len(gone), len(come)); i > 0 {
		at = lines[i-1].to
	}
	out := e.data
	splice := func(from, to int, text string) { out = slices.Concat(out[:from], []byte(text), out[to:]) }
	switch { // from the end to the start, so that offsets stay what they are
	case added.Len() > 0 && at > 0 && e.data[at-1] != '\n':
		splice(at, at, e.newline()+added.String())
	case added.Len() > 0:
		splice(at, at, added.String())
	}
	for i, l := range slices.Backward(gone) {
		y := s.value.Content[first+i]
		if i < len(come) && have.items[first+i].same(come[i]) {
			continue
		}
		if err := e.typed(y); err != nil {
			return nil, err
		}
		from, to, err := e.extent(y)
		switch {
		case i >= len(come):
			splice(l.from, l.to, "")
		case err == nil && y.Kind == yaml.ScalarNode && come[i].kind == scalar:
			text, err := e.text(come[i].text, true, false, y.Style)
			if err != nil {
				return nil, err
			}
			splice(from, to, text)
		case err == nil:
			splice(from, to, come[i].flow(false))
		default:
			splice(l.from, l.to, hyphen+come[i].flow(false)+e.newline())
		}
	}
	if len(want.items) > 0 || s.key == nil {
		return out, nil
	}
	colon, err := e.colon(s.key) // a list that is empty now, not one without a value
	if err != nil {
		return nil, err
	}
	return slices.Concat(out[:colon], []byte(" []"), out[colon:]), nil
}

// stay is how many items two lists have in common, from the start and from the end.
func stay(have, want []*node) (first, last int) {
	least := min(len(have), len(want))
	for first < least && have[first].same(want[first]) {
		first++
	}
	for last < least-first && have[len(have)-1-last].same(want[len(want)-1-last]) {
		last++
	}
	return first, last
}

// extent is where bytes begin and end.
type extent struct{ from, to int }

// item is the lines of an item of a list whose hyphens are in a column.
func (e *editor) item(y *yaml.Node, column int) (extent, error) {
	start := e.lineStart(y.Line)
	if before := bytes.TrimLeft(e.data[start:e.offset(y.Line, y.Column)], " "); len(before) == 0 || before[0] != '-' {
		return extent{}, e.fail(y, "edit it by hand", "does not begin on the line of its hyphen")
	}
	end, err := e.after(&yaml.Node{Line: y.Line, Column: column}, y)
	return extent{start, e.lineStart(end)}, err
}

// parsed reads a value as it is written in one line, or returns nil.
func (e *editor) parsed(value string) *node {
	var y yaml.Node
	if err := yaml.Unmarshal([]byte(value), &y); err != nil || len(y.Content) == 0 {
		return nil
	}
	r := &reader{findings: &findings{}, file: e.file}
	n := r.read(y.Content[0], e.path, nil)
	if len(r.errors) > 0 {
		return nil
	}
	return n
}

// typed refuses what does not stand there as it is, where that is asked for.
func (e *editor) typed(y *yaml.Node) error {
	switch {
	case !e.literal:
	case y.Kind == yaml.AliasNode:
		return e.fail(y, "edit the anchor, or write the value itself here", "comes from the anchor &%s", y.Value)
	case y.Anchor != "":
		return e.fail(y, "edit it by hand", "is the anchor &%s, which others use", y.Anchor)
	case y.Kind == yaml.ScalarNode && strings.Contains(y.Value, "${git."):
		return e.fail(y, "check out the commit that is meant, or edit it by hand", "is made from what is checked out")
	case y.Kind == yaml.ScalarNode && varies(y.Value):
		return e.fail(y, "edit it by hand, or set the variable", "is made from a variable")
	}
	for _, c := range y.Content {
		if err := e.typed(c); err != nil {
			return err
		}
	}
	return nil
}

// varies reports whether a text has a dollar sign that is not one of its own.
func varies(text string) bool { return strings.Contains(strings.ReplaceAll(text, "$$", ""), "$") }

// oneLine is the value of an [Edit] that makes it.
func (n *node) oneLine() string {
	if n.kind == scalar {
		return n.text
	}
	return n.flow(true)
}

// flow writes a value in one line of YAML.
func (n *node) flow(within bool) string {
	var parts []string
	switch n.kind {
	case scalar:
		if plain(n.text, within) {
			return n.text
		}
		return strconv.Quote(n.text)
	case list:
		for _, item := range n.items {
			parts = append(parts, item.flow(true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case mapping:
		for _, f := range n.fields {
			key := f.key
			if !plain(key, true) {
				key = strconv.Quote(key)
			}
			parts = append(parts, key+": "+f.value.flow(true))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "null"
}
