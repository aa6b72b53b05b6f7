package githubtest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// selection is what a query of GraphQL asks of an object, by field. What it asks of a
// fragment's type it asks of the object.
type selection map[string]selection

// complaint is an error in GitHub's words.
type complaint string

func (c complaint) Error() string { return string(c) }

var token = regexp.MustCompile(`\.\.\.|[{}()]|[_A-Za-z][_0-9A-Za-z]*|[^\s,]`)

// parse reads the selection of a query without aliases, directives and named fragments.
func parse(query string) (selection, error) {
	p := parser(token.FindAllString(query, -1))
	if p.next() != "query" {
		return nil, complaint("Expected a query")
	}
	return p.selection()
}

type parser []string

func (p *parser) next() string {
	if len(*p) == 0 {
		return ""
	}
	t := (*p)[0]
	*p = (*p)[1:]
	return t
}

func (p *parser) peek() string {
	if len(*p) == 0 {
		return ""
	}
	return (*p)[0]
}

// selection reads arguments, if there are any, and what is between braces, if anything is.
func (p *parser) selection() (selection, error) {
	if p.peek() == "(" {
		for t := p.next(); t != ")"; t = p.next() {
			if t == "" {
				return nil, complaint("Expected )")
			}
		}
	}
	if p.peek() != "{" {
		return nil, nil
	}
	p.next()
	s := selection{}
	for {
		switch name := p.next(); name {
		case "}":
			return s, nil
		case "":
			return nil, complaint("Expected }")
		case "...":
			p.next() // on
			p.next() // a type
			more, err := p.selection()
			if err != nil {
				return nil, err
			}
			maps.Copy(s, more)
		default:
			under, err := p.selection()
			if err != nil {
				return nil, err
			}
			s[name] = under
		}
	}
}

// of leaves of a value what is asked of it. A field that it does not have is an error, as
// GitHub has it; so is an object of which nothing is asked.
func (s selection) of(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if s == nil {
			return nil, complaint("Field must have selections")
		}
		left := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s)) {
			field, ok := v[name]
			if !ok {
				return nil, complaint(fmt.Sprintf("Field '%s' doesn't exist", name))
			}
			got, err := s[name].of(field)
			if err != nil {
				return nil, err
			}
			left[name] = got
		}
		return left, nil
	case []any:
		left := make([]any, len(v))
		for i := range v {
			got, err := s.of(v[i])
			if err != nil {
				return nil, err
			}
			left[i] = got
		}
		return left, nil
	}
	return v, nil
}
