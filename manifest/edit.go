package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-multierror"
	"gopkg.in/yaml.v3"
)

// Edit is one change to the text of a manifest.
type Edit struct {
	// Path is the key, "scaling.max" or "verify[0].path", as it is without overlays.
	Path string
	// Value is the text that a single value gets, quoted where YAML needs it, or a list or
	// a mapping as YAML writes them in one line: [a, b].
	Value string
	// Remove takes the key out, so that it is unmanaged again. Value is ignored.
	Remove bool
}

// EditOptions say where edits go.
type EditOptions struct {
	// Service chooses among the documents of a file, by the name that it has there or in the
	// Environment; empty where there is one.
	Service string
	// Environment chooses the overlay that is edited; empty for what all have in common.
	Environment string
	// Literal refuses to replace what does not stand there as it is: the text of ${…}, and
	// what an environment has from the common part. It is for values that nobody typed.
	Literal bool
}

// Change says what an edit changed.
type Change struct {
	Path     string // with the overlay that was edited in front
	Line     int    // of the new text
	Old, New string // as the manifest has them; empty for none, and for an empty text
	Same     bool   // the manifest said so before
}

// Rewrite returns the manifest with the edits made. It replaces the bytes of the values
// that change and leaves all others as they are: comments, order and spacing. What it
// cannot edit in this way it refuses, with the place, as a *multierror.Error of [*Error]s;
// nothing is edited then. The result is read again, and must hold the changes that were
// asked for and no other.
func Rewrite(file string, data []byte, o EditOptions, edits []Edit) ([]byte, []Change, error) {
	var errs *multierror.Error
	var changes []Change
	for _, edit := range edits {
		next, change, err := rewrite(file, data, o, edit)
		if err != nil {
			errs = multierror.Append(errs, err)
			continue
		}
		change.Same = bytes.Equal(data, next)
		data = next
		changes = append(changes, change)
	}
	if err := errs.ErrorOrNil(); err != nil {
		errs.ErrorFormat = lines
		return nil, nil, err
	}
	return data, changes, nil
}

func rewrite(file string, data []byte, o EditOptions, edit Edit) ([]byte, Change, error) {
	e := &editor{file: filepath.ToSlash(file), data: data, literal: o.Literal}
	root, err := e.document(o)
	if err != nil {
		return nil, Change{}, err
	}
	keys, leaf, err := split(e.file, edit.Path)
	if err != nil {
		return nil, Change{}, err
	}
	if o.Environment != "" {
		keys = append([]string{"environments", o.Environment}, keys...)
		if err := e.overlay(root, keys, o); err != nil {
			return nil, Change{}, err
		}
	}
	e.path = strings.Join(keys, ".")
	p, err := e.find(root, keys)
	if err != nil {
		return nil, Change{}, err
	}
	there, old := p.value != nil && len(p.missing) == 0, ""
	if there {
		old = flat(p.value)
	}
	var out []byte
	switch {
	case edit.Remove && !there:
		return data, Change{Path: e.path}, nil
	case edit.Remove:
		out, err = e.remove(p)
	case there:
		out, err = e.replace(p, edit.Value, leaf)
	default:
		out, err = e.insert(p, edit.Value, leaf)
	}
	if err != nil {
		return nil, Change{}, err
	}
	if err := e.prove(out, o, keys, edit, leaf, cmp.Or(p.value, p.parent)); err != nil {
		return nil, Change{}, err
	}
	change := Change{Path: e.path, Old: old}
	if !edit.Remove {
		after := &editor{file: e.file, data: out, path: e.path}
		if root, err := after.document(o); err == nil {
			if p, err := after.find(root, keys); err == nil && p.value != nil && len(p.missing) == 0 {
				change.Line, change.New = p.value.Line, flat(p.value)
			}
		}
	}
	return out, change, nil
}

// WriteFile replaces a manifest as a whole, or not at all, and keeps its permissions.
func WriteFile(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".deploy-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// editor edits one document.
type editor struct {
	file    string
	data    []byte
	literal bool
	path    string // that is edited
}

func (e *editor) fail(y *yaml.Node, fix, format string, args ...any) *Error {
	err := &Error{File: e.file, Path: e.path, Msg: fmt.Sprintf(format, args...), Fix: fix}
	if y != nil {
		err.Line, err.Column = y.Line, y.Column
	}
	return err
}

// document finds the document of a service.
func (e *editor) document(o EditOptions) (*yaml.Node, error) {
	service := o.Service
	dec := yaml.NewDecoder(bytes.NewReader(e.data))
	var all []*yaml.Node
	for {
		var y yaml.Node
		err := dec.Decode(&y)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, SyntaxError(e.file, e.data, err)
		}
		root := y.Content[0]
		if root.Kind != yaml.MappingNode {
			continue
		}
		named, there := member(root, "service"), member(member(member(root, "environments"), o.Environment), "service")
		if service == "" || named != nil && named.Value == service || there != nil && there.Value == service {
			all = append(all, root)
		}
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0 && service != "":
		return nil, e.fail(nil, "edit it by hand", "no document names the service %q as it is", service)
	case len(all) == 0:
		return nil, e.fail(nil, "the smallest manifest is two lines: version: 1 and service: NAME", "the manifest is empty")
	}
	return nil, e.fail(all[1], "say which service is meant", "the file holds several services")
}

// overlay checks that the overlay exists and, for literal edits, that nothing of what all
// environments have in common is overridden.
func (e *editor) overlay(root *yaml.Node, keys []string, o EditOptions) error {
	e.path = strings.Join(keys[2:], ".")
	over := member(member(root, "environments"), o.Environment)
	if over == nil {
		return e.fail(root, "add it under environments, {} if it changes nothing", "there is no environment %q", o.Environment)
	}
	if !o.Literal {
		return nil
	}
	own, err := e.find(over, keys[2:])
	if err != nil {
		return err
	}
	common, err := e.find(root, keys[2:])
	if err != nil {
		return err
	}
	if own.value == nil && common.value != nil {
		return e.fail(common.value, "edit it by hand, in environments."+o.Environment+" or for all of them",
			"stands in the part that all environments share")
	}
	return nil
}

// member returns the value of a key that stands in the mapping itself.
func member(y *yaml.Node, key string) *yaml.Node {
	if y == nil || y.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		if y.Content[i].Kind == yaml.ScalarNode && y.Content[i].Value == key {
			return y.Content[i+1]
		}
	}
	return nil
}

// spot is where an edit takes place.
type spot struct {
	parent     *yaml.Node // the innermost mapping or list that exists
	key, value *yaml.Node // nil if there is none; a list has no keys
	missing    []string   // keys below parent that do not exist
	flow       bool       // parent, or what it stands in, is written in one line
	holder     *yaml.Node // the key whose value parent is; nil for the document
}

// find walks down the keys.
func (e *editor) find(root *yaml.Node, keys []string) (spot, error) {
	s := spot{parent: root}
	for i, key := range keys {
		s.flow = s.flow || s.parent.Style&yaml.FlowStyle != 0
		s.key, s.value = nil, nil
		switch s.parent.Kind {
		case yaml.SequenceNode:
			var n int
			if _, err := fmt.Sscanf(key, "[%d]", &n); err != nil || n < 0 || n >= len(s.parent.Content) {
				return s, e.fail(s.parent, "", "there is no item %s; the list has %d", key, len(s.parent.Content))
			}
			s.value = s.parent.Content[n]
		case yaml.MappingNode:
			for j := 0; j+1 < len(s.parent.Content); j += 2 {
				if k := s.parent.Content[j]; k.Kind == yaml.ScalarNode && k.Value == key {
					s.key, s.value = k, s.parent.Content[j+1]
				}
			}
			if s.value == nil && e.literal {
				if merge := member(s.parent, "<<"); merge != nil {
					return s, e.fail(merge, "edit it by hand", "may come from the anchor that is merged here")
				}
			}
		}
		if s.value == nil {
			s.missing = keys[i:]
			return s, nil
		}
		if s.value.Kind == yaml.AliasNode {
			return s, e.fail(s.value, "edit the anchor, or write the value itself here", "comes from the anchor &%s", s.value.Value)
		}
		if i == len(keys)-1 {
			return s, nil
		}
		switch {
		case s.value.Kind == yaml.ScalarNode && s.value.ShortTag() == "!!null":
			s.missing = keys[i+1:] // an empty mapping to be
			return s, nil
		case s.value.Kind == yaml.ScalarNode:
			return s, e.fail(s.value, "", "%s holds a single value, and %s would be below it", key, keys[i+1])
		}
		s.holder, s.parent = s.key, s.value
	}
	return s, nil
}

// flat writes a value in one line, for people.
func flat(y *yaml.Node) string {
	if y.Kind == yaml.ScalarNode {
		return y.Value
	}
	c := uncommented(y)
	c.Style |= yaml.FlowStyle
	b, err := yaml.Marshal(c)
	if err != nil {
		return "…"
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// uncommented is a value without the comments in it.
func uncommented(y *yaml.Node) *yaml.Node {
	c := *y
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = nil
	for _, part := range y.Content {
		c.Content = append(c.Content, uncommented(part))
	}
	return &c
}
