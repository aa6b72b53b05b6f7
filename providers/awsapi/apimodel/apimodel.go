// Package apimodel checks requests against AWS's published API models: their types,
// required members, ranges, patterns and enums. It is for tests. The sandbox is written by
// hand from AWS's documentation, so this is the second opinion on what apron sends.
//
// The models are in the directory model, trimmed to requests; see its README.
package apimodel

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
)

//go:embed model/*.json
var files embed.FS

// model is one service.
type model struct {
	Service, Version, Protocol, Target string
	Operations                         map[string]*operation
	Shapes                             map[string]*shape
}

type operation struct{ Method, URI, Input string }

type shape struct {
	Type                    string
	Required                []string
	Members                 map[string]*ref
	Member, Key, Value      *ref
	Min, Max                *float64
	Pattern                 string
	Enum                    []string
	Flattened, Document     bool
	LocationName, QueryName string

	re *regexp.Regexp // of Pattern; nil if Go has no such expression
}

// ref is a member: a shape, and how requests name it.
type ref struct {
	Shape                             string
	Location, LocationName, QueryName string
	Flattened                         bool
}

// Models are all services by the names that signatures have for them.
type Models map[string]*model

// Load reads the models, once.
var Load = sync.OnceValues(func() (Models, error) {
	entries, err := files.ReadDir("model")
	if err != nil {
		return nil, err
	}
	all := Models{}
	for _, e := range entries {
		b, err := files.ReadFile("model/" + e.Name())
		if err != nil {
			return nil, err
		}
		m := new(model)
		if err := json.Unmarshal(b, m); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		for name, s := range m.Shapes {
			if s.Pattern == "" {
				continue
			}
			if s.re, err = compile(s.Pattern); err != nil && !strings.Contains(err.Error(), "invalid or unsupported Perl syntax") {
				return nil, fmt.Errorf("%s: %s: %w", e.Name(), name, err)
			}
		}
		all[m.Service] = m
	}
	return all, nil
})

var (
	unicodeRE = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
	repeatRE  = regexp.MustCompile(`\{(\d+),(\d+)\}`)
)

// compile turns a pattern of Java's into one of Go's, for the whole of a value. Go repeats
// a thousand times at most; more is as good as any number.
func compile(pattern string) (*regexp.Regexp, error) {
	pattern = unicodeRE.ReplaceAllString(pattern, `\x{$1}`)
	pattern = repeatRE.ReplaceAllStringFunc(pattern, func(repeat string) string {
		if part := repeatRE.FindStringSubmatch(repeat); len(part[2]) > 3 {
			return "{" + part[1] + ",}"
		}
		return repeat
	})
	return regexp.Compile("^(?:" + pattern + ")$")
}

// Check tells all that is wrong with a request, whose body has been read.
func (all Models) Check(service, operationName string, r *http.Request, body []byte) error {
	m := all[service]
	if m == nil {
		return fmt.Errorf("no model of the service %q", service)
	}
	if operationName == "" && m.Protocol == "smithy-rpc-v2-cbor" { // who answers need not know it
		operationName = path.Base(r.URL.Path)
	}
	op := m.Operations[operationName]
	if op == nil {
		return fmt.Errorf("the model of %s has no operation %q", service, operationName)
	}
	c := &check{model: m}
	var value any
	var err error
	switch m.Protocol {
	case "json":
		if want, got := m.Target+"."+operationName, r.Header.Get("X-Amz-Target"); want != got && !strings.HasSuffix(want, "."+got) {
			c.fail("X-Amz-Target", "is %q, not %q", got, want)
		}
		value, err = readJSON(body)
	case "smithy-rpc-v2-cbor":
		if want := "/service/" + m.Target + "/operation/" + operationName; r.URL.Path != want {
			c.fail("path", "is %q, not %q", r.URL.Path, want)
		}
		value, err = readCBOR(body)
	case "query", "ec2":
		value, err = c.readQuery(op, operationName, body)
	case "rest-xml":
		value, err = c.readREST(op, r, body)
	default:
		err = fmt.Errorf("no way to read the protocol %s", m.Protocol)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", service, operationName, err)
	}
	if op.Input == "" {
		if o, ok := value.(map[string]any); ok && len(o) > 0 {
			c.fail("", "the operation takes no input")
		}
	} else {
		c.value("", op.Input, value)
	}
	for i, problem := range c.problems {
		c.problems[i] = fmt.Errorf("%s %s: %w", service, operationName, problem)
	}
	return errors.Join(c.problems...)
}

// readJSON keeps numbers as they are written.
func readJSON(body []byte) (any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}
