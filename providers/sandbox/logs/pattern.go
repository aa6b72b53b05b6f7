package logs

import (
	"strings"
	"unicode"
)

// compile reads a filter pattern for unstructured events. Terms are case-sensitive and
// found anywhere in the message:
//
//	""            every event
//	a b           events with both
//	?a ?b         events with either, if there are no other terms
//	a -b          events with a and without b
//	"a b", -"a b" a term of other characters than letters, digits and _
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func compile(pattern string) (func(message string) bool, error) {
	rest := strings.TrimSpace(pattern)
	if rest != "" && strings.ContainsRune("{[%", rune(rest[0])) {
		return nil, invalid("Invalid filter pattern: the sandbox knows terms only, not JSON, columns or regular expressions.")
	}
	var all, any, none []string
	for rest != "" {
		into := &all
		switch rest[0] {
		case '?':
			into, rest = &any, rest[1:]
		case '-':
			into, rest = &none, rest[1:]
		}
		term, after, err := term(rest)
		if err != nil {
			return nil, err
		}
		*into = append(*into, term)
		rest = strings.TrimSpace(after)
	}
	if len(all)+len(none) > 0 {
		any = nil // AWS ignores them beside other terms
	}
	return func(message string) bool {
		for _, t := range all {
			if !strings.Contains(message, t) {
				return false
			}
		}
		for _, t := range none {
			if strings.Contains(message, t) {
				return false
			}
		}
		for _, t := range any {
			if strings.Contains(message, t) {
				return true
			}
		}
		return len(any) == 0
	}, nil
}

// term cuts the first term off s.
func term(s string) (term, rest string, err error) {
	if after, quoted := strings.CutPrefix(s, `"`); quoted {
		var b strings.Builder
		for i := 0; i < len(after); i++ {
			switch {
			case after[i] == '"':
				return b.String(), after[i+1:], nil
			case after[i] == '\\' && i+1 < len(after):
				i++
			}
			b.WriteByte(after[i])
		}
		return "", "", invalid("Invalid filter pattern: a quoted term has no end.")
	}
	term = s
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		term, rest = s[:i], s[i:]
	}
	for _, r := range term {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return "", "", invalid("Invalid character(s) in term '%s'", term)
		}
	}
	if term == "" {
		return "", "", invalid("Invalid filter pattern: a term is missing.")
	}
	return term, rest, nil
}
