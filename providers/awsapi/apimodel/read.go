package apimodel

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// readQuery takes a form apart as the operation's input says.
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
func (c *check) readQuery(op *operation, name string, body []byte) (any, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if form.Get("Action") != name || form.Get("Version") != c.model.Version {
		c.fail("Action", "is %q of version %q, not %q of %q", form.Get("Action"), form.Get("Version"), name, c.model.Version)
	}
	form.Del("Action")
	form.Del("Version")
	if op.Input == "" {
		return map[string]any{}, nil
	}
	value := c.fromForm(form, op.Input, "", false)
	for key := range form { // what fromForm has not taken
		c.fail(key, "the API has no such member")
	}
	return value, nil
}

// fromForm takes the value at prefix out of the form.
func (c *check) fromForm(form url.Values, shapeName, prefix string, flattened bool) any {
	s := c.model.Shapes[shapeName]
	ec2 := c.model.Protocol == "ec2"
	switch s.Type {
	case "structure":
		members := map[string]any{}
		for name, r := range s.Members {
			key := cmp.Or(r.LocationName, name)
			if ec2 {
				key = cmp.Or(r.QueryName, strings.ToUpper(key[:1])+key[1:])
			}
			if prefix != "" {
				key = prefix + "." + key
			}
			if holds(form, key) {
				members[name] = c.fromForm(form, r.Shape, key, r.Flattened)
			}
		}
		return members
	case "list":
		list := []any{}
		if form.Has(prefix) && form.Get(prefix) == "" { // an empty list
			form.Del(prefix)
		}
		at := prefix + "." + cmp.Or(s.Member.LocationName, "member") + "."
		if ec2 || flattened || s.Flattened {
			at = prefix + "."
		}
		for n := 1; holds(form, at+strconv.Itoa(n)); n++ {
			list = append(list, c.fromForm(form, s.Member.Shape, at+strconv.Itoa(n), false))
		}
		return list
	default: // no operation of the query services here takes a map
		value := form.Get(prefix)
		form.Del(prefix)
		return value
	}
}

func holds(form url.Values, key string) bool {
	if form.Has(key) {
		return true
	}
	for k := range form {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// readREST takes path, query, header and body apart.
// https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html
func (c *check) readREST(op *operation, r *http.Request, body []byte) (any, error) {
	path, _, _ := strings.Cut(op.URI, "?")
	want, got := strings.Split(strings.Trim(path, "/"), "/"), strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method != op.Method || len(want) != len(got) {
		return nil, fmt.Errorf("%s %s is not %s %s", r.Method, r.URL.Path, op.Method, op.URI)
	}
	labels := map[string]string{}
	for i, part := range want {
		if strings.HasPrefix(part, "{") {
			labels[strings.Trim(part, "{}+")] = got[i]
		} else if part != got[i] {
			return nil, fmt.Errorf("%s is not %s", r.URL.Path, op.URI)
		}
	}
	root, err := readXML(body)
	if err != nil {
		return nil, err
	}
	members := map[string]any{}
	if op.Input == "" {
		return members, nil
	}
	query, inBody := r.URL.Query(), map[string]*ref{}
	for name, m := range c.model.Shapes[op.Input].Members {
		key := cmp.Or(m.LocationName, name)
		switch m.Location {
		case "uri":
			if v, ok := labels[key]; ok {
				members[name] = v
			}
		case "querystring":
			if query.Has(key) {
				members[name] = query.Get(key)
				query.Del(key)
			}
		case "header":
			if v := r.Header.Get(key); v != "" {
				members[name] = v
			}
		default:
			inBody[name] = m
		}
	}
	for key := range query {
		c.fail(key, "the API has no such parameter")
	}
	if root != nil {
		for name, v := range c.fromMembers("", inBody, root) {
			members[name] = v
		}
	}
	return members, nil
}

// element is one of XML, with its text or its children.
type element struct {
	name     string
	text     string
	children []*element
}

// readXML returns nil for an empty body.
func readXML(body []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	stack := []*element{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(stack[0].children) == 0 {
		return nil, nil
	}
	return stack[0].children[0], nil
}

func (c *check) fromMembers(path string, members map[string]*ref, e *element) map[string]any {
	out := map[string]any{}
	for _, child := range e.children {
		known := false
		for name, r := range members {
			if cmp.Or(r.LocationName, name) == child.name {
				out[name], known = c.fromXML(path+"."+name, r.Shape, child), true
			}
		}
		if !known {
			c.fail(path+"."+child.name, "the API has no such member")
		}
	}
	return out
}

func (c *check) fromXML(path, shapeName string, e *element) any {
	s := c.model.Shapes[shapeName]
	switch s.Type {
	case "structure":
		return c.fromMembers(path, s.Members, e)
	case "list":
		list := []any{}
		for i, child := range e.children {
			if want := cmp.Or(s.Member.LocationName, "member"); child.name != want {
				c.fail(path, "its element %d is %s, not %s", i, child.name, want)
			}
			list = append(list, c.fromXML(fmt.Sprintf("%s[%d]", path, i), s.Member.Shape, child))
		}
		return list
	default:
		return e.text
	}
}
