package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/manifest"
)

// maxDepth is how deep a source may be nested, and maxNodes how much may be in it once its
// aliases are expanded.
const (
	maxDepth = 64
	maxNodes = 50_000
)

// jsonReader turns JSON into a tree. encoding/json says where each token ends.
type jsonReader struct {
	file string
	data []byte
	dec  *json.Decoder
}

func readJSON(f File) (*node, error) {
	r := &jsonReader{file: f.Name, data: f.Data, dec: json.NewDecoder(bytes.NewReader(f.Data))}
	r.dec.UseNumber()
	n, err := r.value("", 0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = r.fail("there is more behind the end")
		}
	}
	if err != nil {
		var bad *manifest.Error
		if errors.As(err, &bad) {
			return nil, err
		}
		var syntax *json.SyntaxError
		at := r.place(r.dec.InputOffset())
		msg := "it ends too early"
		if errors.As(err, &syntax) {
			at, msg = r.place(syntax.Offset-1), syntax.Error()
		}
		return nil, &manifest.Error{File: f.Name, Line: at.Line, Column: at.Column, Msg: "is not JSON: " + msg}
	}
	return n, nil
}

func (r *jsonReader) fail(msg string) error {
	at := r.place(r.dec.InputOffset())
	return &manifest.Error{File: r.file, Line: at.Line, Column: at.Column, Msg: "is not JSON: " + msg}
}

func (r *jsonReader) place(offset int64) Place {
	before := r.data[:max(0, min(int(offset), len(r.data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	return Place{r.file, line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}
}

// next is where the next token begins.
func (r *jsonReader) next() Place {
	at := r.dec.InputOffset()
	for int(at) < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[at]) >= 0 {
		at++
	}
	return r.place(at)
}

func (r *jsonReader) value(path string, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, r.fail("it is nested too deep")
	}
	at := r.next()
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		n := &node{kind: mapping, at: at, path: path}
		if t == '[' {
			n.kind = list
		}
		for r.dec.More() {
			if err := r.child(n, depth); err != nil {
				return nil, err
			}
		}
		_, err := r.dec.Token()
		return n, err
	case string:
		return leaf(at, path, t), nil
	case json.Number:
		return leaf(at, path, t.String()), nil
	case bool:
		return leaf(at, path, map[bool]string{true: "true", false: "false"}[t]), nil
	}
	return &node{kind: mapping, at: at, path: path, tag: "!!null"}, nil
}

func (r *jsonReader) child(n *node, depth int) error {
	if n.kind == list {
		item, err := r.value(index(n.path, len(n.items)), depth+1)
		n.items = append(n.items, item)
		return err
	}
	at := r.next()
	token, err := r.dec.Token()
	if err != nil {
		return err
	}
	key, _ := token.(string)
	for _, f := range n.fields {
		if f.key == key {
			return &manifest.Error{File: r.file, Line: at.Line, Column: at.Column, Path: join(n.path, key), Msg: "is given twice", Fix: "keep one of the two"}
		}
	}
	value, err := r.value(join(n.path, key), depth+1)
	n.fields = append(n.fields, field{key, at, value})
	return err
}
