package foreign

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/apron-deploy/apron/manifest"
)

// readYAML reads the documents of a file. Merge keys are merged and aliases expanded.
func readYAML(f File) ([]*node, error) {
	r := &yamlReader{file: f.Name}
	var docs []*node
	for dec := yaml.NewDecoder(bytes.NewReader(f.Data)); ; {
		var y yaml.Node
		err := dec.Decode(&y)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, manifest.SyntaxError(f.Name, f.Data, err)
		}
		n, err := r.read(y.Content[0], "", nil)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
}

type yamlReader struct {
	file  string
	nodes int
}

func (r *yamlReader) fail(y *yaml.Node, path, msg, fix string) error {
	return &manifest.Error{File: r.file, Line: y.Line, Column: y.Column, Path: path, Msg: msg, Fix: fix}
}

func (r *yamlReader) read(y *yaml.Node, path string, open []*yaml.Node) (*node, error) {
	if r.nodes++; r.nodes > maxNodes || len(open) > maxDepth {
		return nil, r.fail(y, path, "is too large once its aliases are expanded, or nested too deep", "")
	}
	open = append(open, y)
	n := &node{at: Place{r.file, y.Line, y.Column}, path: path}
	if y.Style&yaml.TaggedStyle != 0 {
		n.tag = y.Tag
	}
	switch y.Kind {
	case yaml.AliasNode:
		if slices.Contains(open, y.Alias) {
			return nil, r.fail(y, path, "the alias *"+y.Value+" stands inside what it refers to", "")
		}
		return r.read(y.Alias, path, open)
	case yaml.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			c, err := r.read(item, index(path, i), open)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, c)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapping
		return n, r.mapping(n, y, open)
	}
	if n.tag == "" && y.ShortTag() == "!!null" {
		n.kind, n.tag = mapping, "!!null"
		return n, nil
	}
	n.text = literal(y.Value)
	return n, nil
}

func (r *yamlReader) mapping(n *node, y *yaml.Node, open []*yaml.Node) error {
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		at := Place{r.file, k.Line, k.Column}
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return r.fail(k, n.path, "a key must be text", "")
		}
		if slices.ContainsFunc(n.fields, func(f field) bool { return f.key == k.Value }) {
			return r.fail(k, join(n.path, k.Value), "is given twice", "keep one of the two")
		}
		v, err := r.read(y.Content[i+1], join(n.path, k.Value), open)
		if err != nil {
			return err
		}
		if k.Tag == "!!merge" {
			merges = append(merges, v.every()...)
			continue
		}
		n.fields = append(n.fields, field{k.Value, at, v})
	}
	for _, m := range merges {
		for _, f := range m.fields {
			if !slices.ContainsFunc(n.fields, func(g field) bool { return g.key == f.key }) {
				n.fields = append(n.fields, f)
			}
		}
	}
	return nil
}
