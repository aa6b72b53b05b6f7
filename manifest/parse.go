package manifest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// parse reads the documents of a file. A document that holds nothing is left out.
func parse(file string, data []byte, f *findings) []*node {
	if !utf8.Valid(data) {
		f.fail(pos{file: file}, "", "save the file as UTF-8", "is not UTF-8 text")
		return nil
	}
	var docs []*node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	empty := true
	for {
		var y yaml.Node
		err := dec.Decode(&y)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.errors = append(f.errors, SyntaxError(file, data, err))
			return docs
		}
		root := y.Content[0]
		if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
			continue
		}
		empty = false
		r := &reader{findings: f, file: file}
		if n := r.read(root, "", nil); n != nil {
			if n.kind != mapping {
				f.fail(n.at, "", "start with version: 1 and service: NAME", "a manifest is a mapping of keys to values, not %s", n.kind)
				continue
			}
			docs = append(docs, n)
		}
	}
	if empty {
		f.fail(pos{file: file}, "", "the smallest manifest is two lines: version: 1 and service: NAME", "the manifest is empty")
	}
	return docs
}

var yamlError = pattern.Lazy(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// friendly maps the parser's words to ours. What it does not list is passed on: the
// parser quotes anchors and directives, never values.
var friendly = []struct{ has, msg, fix string }{
	{"mapping values are not allowed", "a second \": \" where only one can be", "quote the value, or start a new line for the key"},
	{"did not find expected key", "the indentation does not fit, or a key has no \":\"", "keys of one mapping start in the same column"},
	{"did not find expected '-' indicator", "the items of the list are not in one column", "start each item with \"- \" in the same column"},
	{"could not find expected ':'", "a key without \":\"", "write KEY: value"},
	{"found unexpected end of stream", "a quote is never closed", "add the closing quote"},
	{"did not find expected ',' or '}'", "a { is never closed, or a comma is missing", "write {key: value, key: value}, and quote values that hold { } , or \": \""},
	{"did not find expected ',' or ']'", "a [ is never closed, or a comma is missing", "write [one, two], and quote values that hold [ ] or ,"},
	{"cannot start any token", "a value starts with a character that YAML keeps for itself", "quote the value"},
	{"unknown anchor", "", "define it above with &NAME"},
}

// SyntaxError says in plain words, and with the place, why yaml.v3 could not read data.
func SyntaxError(file string, data []byte, err error) *Error {
	e := &Error{File: file, Line: 1, Column: 1}
	m := yamlError().FindStringSubmatch(err.Error())
	if m == nil {
		e.Msg = "is not YAML"
		return e
	}
	if m[1] != "" {
		e.Line, _ = strconv.Atoi(m[1])
	}
	if l, ok := firstBroken(data); ok {
		e.Line = l
	}
	e.Msg = "is not YAML: " + m[2]
	for _, f := range friendly {
		if !strings.Contains(m[2], f.has) {
			continue
		}
		if f.msg != "" {
			e.Msg = "is not YAML: " + f.msg
		}
		e.Fix = f.fix
		break
	}
	last := e.Line
	if strings.Contains(m[2], "tab character") {
		last = math.MaxInt // it is below the line that the parser names
	}
	if line, column, ok := tab(data, e.Line, last); ok {
		e.Line, e.Column = line, column
		e.Msg, e.Fix = "is not YAML: a tab in the indentation", "indent with spaces"
	}
	return e
}

// firstBroken finds the line that broke the file: the one after the longest start of
// the file that is YAML. The parser itself names the start of the block it was in.
func firstBroken(data []byte) (line int, ok bool) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines) > 300 {
		return 0, false
	}
	for n := len(lines) - 1; n > 0; n-- {
		if isYAML(bytes.Join(lines[:n], nil)) {
			return n + 1, true
		}
	}
	return 1, true
}

func isYAML(data []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var y yaml.Node
		if err := dec.Decode(&y); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// tab finds the first tab that indents a line between two. It is asked only once parsing has
// failed there: tabs within block text and between brackets are legal.
func tab(data []byte, first, last int) (line, column int, ok bool) {
	for i, l := range strings.Split(string(data), "\n") {
		if i+1 < first || i+1 > last {
			continue
		}
		indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		if c := strings.IndexByte(indent, '\t'); c >= 0 && strings.TrimSpace(l) != "" {
			return i + 1, c + 1, true
		}
	}
	return 0, 0, false
}
