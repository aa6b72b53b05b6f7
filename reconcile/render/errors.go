package render

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Error writes err for people, each error of several on its own and each only once,
// with the hint of whatever it wraps that has a method Hint() string:
//
//	apron: error: deploy.yaml:12:9: cpu: 300 is not a size App Runner offers
//	apron: hint: use 256, 512, 1024, 2048 or 4096
func Error(w io.Writer, err error, color bool) error {
	p := paint(color)
	var b strings.Builder
	hinted := map[string]bool{}
	for _, e := range problems(err) {
		write(&b, "apron: "+p.in(red, "error:"), e.text)
		if e.hint != "" && !hinted[e.hint] {
			hinted[e.hint] = true
			write(&b, "apron: "+p.in(cyan, "hint:"), e.hint)
		}
	}
	_, werr := io.WriteString(w, b.String())
	return werr
}

// write adds a text after its label; further lines are indented.
func write(b *strings.Builder, label, text string) {
	for i, line := range cleanLines(text) {
		switch {
		case i == 0:
			fmt.Fprintf(b, "%s %s\n", label, line)
		case line == "":
			b.WriteByte('\n')
		default:
			fmt.Fprintf(b, "  %s\n", line)
		}
	}
}

// problem is one error of several.
type problem struct{ text, hint string }

// problems takes err apart into single errors, each once and in order.
func problems(err error) []problem {
	var found []problem
	seen := map[problem]bool{}
	for _, p := range split(err, "", "") {
		if !seen[p] {
			seen[p] = true
			found = append(found, p)
		}
	}
	return found
}

// split takes err apart. Before is what the errors around it have said already, and
// otherwise the hint of the closest of them that has one.
func split(err error, before, otherwise string) []problem {
	if err == nil {
		return nil
	}
	if several, ok := elements(err); ok {
		var found []problem
		for _, e := range several {
			found = append(found, split(e, before, otherwise)...)
		}
		return found
	}
	// An error around several: what it adds in front is said of each of them.
	if inner := errors.Unwrap(err); inner != nil && gathers(inner) {
		if front, ok := strings.CutSuffix(err.Error(), inner.Error()); ok {
			if h, ok := err.(interface{ Hint() string }); ok {
				otherwise = cmp.Or(h.Hint(), otherwise)
			}
			return split(inner, before+front, otherwise)
		}
	}
	return []problem{{text: before + err.Error(), hint: cmp.Or(hint(err), otherwise)}}
}

// gathers reports whether err is or wraps several errors.
func gathers(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := elements(err); ok {
			return true
		}
	}
	return false
}

// elements returns the errors that err is nothing but a list of: a multierror, or what
// [errors.Join] made. An error with several %w has a text of its own and is one.
func elements(err error) ([]error, bool) {
	if m, ok := err.(*multierror.Error); ok {
		return m.WrappedErrors(), true
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, false
	}
	errs := joined.Unwrap()
	texts := make([]string, len(errs))
	for i, e := range errs {
		texts[i] = e.Error()
	}
	return errs, strings.Join(texts, "\n") == err.Error()
}
