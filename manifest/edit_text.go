package manifest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// offset is where a line and a column, both from 1, the column in runes, begin.
func (e *editor) offset(line, column int) int {
	at := e.lineStart(line)
	for range column - 1 {
		if at >= len(e.data) {
			break
		}
		_, size := utf8.DecodeRune(e.data[at:])
		at += size
	}
	return at
}

// lineStart is where a line, from 1, begins; past the last line it is the end.
func (e *editor) lineStart(line int) int {
	at := 0
	if bytes.HasPrefix(e.data, []byte(bom)) {
		at = len(bom) // it counts for no column
	}
	for range line - 1 {
		i := bytes.IndexByte(e.data[at:], '\n')
		if i < 0 {
			return len(e.data)
		}
		at += i + 1
	}
	return at
}

func (e *editor) lineOf(offset int) int { return 1 + bytes.Count(e.data[:offset], []byte("\n")) }

// extent is where the bytes of a value begin and end.
func (e *editor) extent(y *yaml.Node) (from, to int, err error) {
	const byHand = "edit it by hand"
	from = e.offset(y.Line, y.Column)
	rest := e.data[from:]
	switch {
	case y.Anchor != "":
		return 0, 0, e.fail(y, byHand, "is the anchor &%s, which others use", y.Anchor)
	case y.Style&yaml.TaggedStyle != 0:
		return 0, 0, e.fail(y, byHand, "has a YAML tag")
	case y.Kind == yaml.ScalarNode && y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, 0, e.fail(y, byHand, "is a block of text")
	case y.Kind == yaml.ScalarNode && y.Style&yaml.DoubleQuotedStyle != 0, y.Kind == yaml.ScalarNode && y.Style&yaml.SingleQuotedStyle != 0:
		if n := quoted(rest); n > 0 {
			return from, from + n, nil
		}
	case y.Kind == yaml.ScalarNode && y.Value == "":
		return from, from, nil
	case y.Kind == yaml.ScalarNode && bytes.HasPrefix(rest, []byte(y.Value)):
		return from, from + len(y.Value), nil
	case y.Kind == yaml.ScalarNode:
		return 0, 0, e.fail(y, byHand, "goes over several lines")
	case y.Style&yaml.FlowStyle != 0:
		if n := bracketed(rest); n > 0 {
			return from, from + n, nil
		}
	default:
		return 0, 0, e.fail(y, "set its keys one by one, or edit it by hand", "is a list or a mapping over several lines")
	}
	return 0, 0, e.fail(y, byHand, "has no end that can be found")
}

// quoted is the length of the quoted text that b begins with, or 0.
func quoted(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	q := b[0]
	for i := 1; i < len(b); i++ {
		switch {
		case q == '"' && b[i] == '\\':
			i++
		case b[i] == q && q == '\'' && i+1 < len(b) && b[i+1] == q:
			i++
		case b[i] == q:
			return i + 1
		}
	}
	return 0
}

// bracketed is the length of the flow list or mapping that b begins with, or 0.
func bracketed(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		before := byte(' ')
		if i > 0 {
			before = b[i-1]
		}
		switch c := b[i]; {
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case (c == '"' || c == '\'') && strings.IndexByte(" \t\n[{,:", before) >= 0:
			n := quoted(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case c == '#' && strings.IndexByte(" \t\n", before) >= 0:
			n := bytes.IndexByte(b[i:], '\n')
			if n < 0 {
				return 0
			}
			i += n
		}
	}
	return 0
}

func (e *editor) splice(from, to int, text string) []byte {
	return slices.Concat(e.data[:from], []byte(text), e.data[to:])
}

// replace gives a key another value.
func (e *editor) replace(s spot, value string, leaf bool) ([]byte, error) {
	if !leaf && s.value.Kind == yaml.SequenceNode && s.value.Style&yaml.FlowStyle == 0 {
		return e.items(s, value)
	}
	if err := e.typed(s.value); err != nil {
		return nil, err
	}
	from, to, err := e.extent(s.value)
	if err != nil {
		return nil, err
	}
	text, err := e.text(value, leaf, s.flow, s.value.Style)
	if err != nil {
		return nil, err
	}
	if from == to && s.value.Style == 0 { // nothing stood behind the colon
		if s.key == nil {
			return nil, e.fail(s.value, "edit it by hand", "has no value")
		}
		if from, err = e.colon(s.key); err != nil {
			return nil, err
		}
		return e.splice(from, from, " "+text), nil
	}
	return e.splice(from, to, text), nil
}

// colon is the offset behind the colon of a key.
func (e *editor) colon(key *yaml.Node) (int, error) {
	_, end, err := e.extent(key)
	if err != nil {
		return 0, err
	}
	i := bytes.IndexByte(e.data[end:], ':')
	if i < 0 || len(bytes.TrimSpace(e.data[end:end+i])) > 0 {
		return 0, e.fail(key, "edit it by hand", "has no colon")
	}
	return end + i + 1, nil
}

// text writes a value as YAML.
func (e *editor) text(value string, leaf, flow bool, style yaml.Style) (string, error) {
	if !leaf {
		if n := e.parsed(value); n == nil || n.kind < list || strings.ContainsAny(value, "\n") || bracketed([]byte(strings.TrimSpace(value))) != len(strings.TrimSpace(value)) {
			return "", e.fail(nil, "write [one, two] or {key: value}", "%q is neither a list nor a mapping in one line", clip(value, 60))
		}
		return strings.TrimSpace(value), nil
	}
	if style&yaml.SingleQuotedStyle != 0 && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
		return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
	}
	if style&yaml.DoubleQuotedStyle == 0 && plain(value, flow) {
		return value, nil
	}
	return strconv.Quote(value), nil // YAML knows every escape that Go writes
}

// plain reports whether YAML reads the text as itself, without quotes.
func plain(text string, flow bool) bool {
	line := "k: " + text + "\n"
	if flow {
		line = "{k: " + text + "}\n"
	}
	var y yaml.Node
	if err := yaml.Unmarshal([]byte(line), &y); err != nil || len(y.Content) != 1 || len(y.Content[0].Content) != 2 {
		return false
	}
	v := y.Content[0].Content[1]
	return v.Kind == yaml.ScalarNode && v.Value == text && v.Style == 0 && v.Anchor == "" && v.ShortTag() != "!!null"
}

// insert adds a key, and the mappings around it that do not exist either.
func (e *editor) insert(s spot, value string, leaf bool) ([]byte, error) {
	if s.parent.Kind != yaml.MappingNode {
		return nil, e.fail(s.parent, "edit it by hand", "%s is not in the list", s.missing[0])
	}
	if s.value != nil { // key: with nothing behind it, or null
		inner, err := e.entry(s.missing, value, leaf, true)
		if err != nil {
			return nil, err
		}
		from, to, err := e.extent(s.value)
		if err == nil && from == to {
			from, err = e.colon(s.key)
			to, inner = from, " {"+inner+"}"
		} else {
			inner = "{" + inner + "}"
		}
		if err != nil {
			return nil, err
		}
		return e.splice(from, to, inner), nil
	}
	entry, err := e.entry(s.missing, value, leaf, s.flow || s.parent.Style&yaml.FlowStyle != 0)
	if err != nil {
		return nil, err
	}
	if s.parent.Style&yaml.FlowStyle != 0 {
		_, to, err := e.extent(s.parent)
		if err != nil {
			return nil, err
		}
		at := len(bytes.TrimRight(e.data[:to-1], " \t\r\n"))
		switch e.data[at-1] {
		case '{':
		case ',':
			entry = " " + entry
		default:
			entry = ", " + entry
		}
		return e.splice(at, at, entry), nil
	}
	line, err := e.after(s.parent.Content[len(s.parent.Content)-2], s.parent.Content[len(s.parent.Content)-1])
	if err != nil {
		return nil, err
	}
	at := e.lineStart(line)
	text := strings.Repeat(" ", s.parent.Column-1) + entry + e.newline()
	if at > 0 && e.data[at-1] != '\n' {
		text = e.newline() + text
	}
	return e.splice(at, at, text), nil
}

func (e *editor) newline() string {
	if bytes.Contains(e.data, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// entry writes keys and a value: a: {b: c}.
func (e *editor) entry(keys []string, value string, leaf, flow bool) (string, error) {
	text, err := e.text(value, leaf, flow || len(keys) > 1, 0)
	if err != nil {
		return "", err
	}
	for i, key := range slices.Backward(keys) {
		if !plain(key, true) {
			key = strconv.Quote(key)
		}
		if text = key + ": " + text; i > 0 {
			text = "{" + text + "}"
		}
	}
	return text, nil
}

// after is the line behind an entry of a block mapping: behind its last line of content.
func (e *editor) after(key, value *yaml.Node) (int, error) {
	last := max(key.Line, deepest(value))
	if value.Style&yaml.FlowStyle != 0 || value.Kind == yaml.ScalarNode && value.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		bare := *value
		bare.Anchor = ""
		_, to, err := e.extent(&bare)
		if value.Anchor != "" {
			err = e.fail(value, "edit it by hand", "would stand behind an anchor")
		}
		if err != nil {
			return 0, err
		}
		last = e.lineOf(to)
	}
	for line := last + 1; e.lineStart(line) < len(e.data); line++ {
		text := string(e.data[e.lineStart(line):e.lineStart(line+1)])
		bare := strings.TrimLeft(text, " ")
		indent := len(text) - len(bare)
		switch bare = strings.TrimSpace(bare); {
		case bare == "":
			continue
		case strings.HasPrefix(bare, "#") && indent < key.Column:
			continue // belongs to what follows
		case indent >= key.Column:
		case indent == key.Column-1 && value.Kind == yaml.SequenceNode && (bare == "-" || strings.HasPrefix(bare, "- ")):
		default:
			return last + 1, nil
		}
		last = line
	}
	return last + 1, nil
}

// deepest is the last line on which a part of the value begins.
func deepest(y *yaml.Node) int {
	line := y.Line
	for _, c := range y.Content {
		line = max(line, deepest(c))
	}
	return line
}

// remove takes a key and its value out.
func (e *editor) remove(s spot) ([]byte, error) {
	if s.key == nil {
		return nil, e.fail(s.value, "edit it by hand", "is an item of a list")
	}
	i := slices.Index(s.parent.Content, s.key)
	if s.parent.Style&yaml.FlowStyle != 0 {
		_, to, err := e.extent(s.value)
		if err != nil {
			return nil, err
		}
		from, _, err := e.extent(s.key)
		if err != nil {
			return nil, err
		}
		switch {
		case i+2 < len(s.parent.Content): // up to the next key
			next := s.parent.Content[i+2]
			to = e.offset(next.Line, next.Column)
		case i > 0: // with the comma before it
			from = bytes.LastIndexByte(e.data[:from], ',')
		}
		return e.splice(from, to, ""), nil
	}
	end, err := e.after(s.key, s.value)
	if err != nil {
		return nil, err
	}
	from, to := e.lineStart(s.key.Line), e.lineStart(end)
	if len(bytes.TrimLeft(e.data[from:e.offset(s.key.Line, s.key.Column)], " ")) > 0 {
		return nil, e.fail(s.key, "edit it by hand", "begins an item of a list")
	}
	if len(s.parent.Content) > 2 || s.holder == nil {
		return e.splice(from, to, ""), nil
	}
	at, err := e.colon(s.holder) // a mapping that is empty now, not one without a value
	if err != nil {
		return nil, err
	}
	return slices.Concat(e.data[:at], []byte(" {}"), e.data[at:from], e.data[to:]), nil
}
