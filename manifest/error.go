package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Error is one mistake in a manifest or an env file. No text in it quotes the value of
// a variable: what a scalar got from the environment is shown as it was written.
type Error struct {
	File   string // as the user named it
	Line   int    // 1-based; 0 when the whole file is meant
	Column int    // 1-based, in runes
	Path   string // "scaling.max"; may be empty
	Msg    string // what and why
	Fix    string // what to do; may be empty
}

var _ error = (*Error)(nil)

func (e *Error) Error() string {
	msg := e.Msg
	if e.Path != "" {
		msg = e.Path + ": " + msg
	}
	return place(e.File, e.Line, e.Column) + ": " + msg
}

// Hint says what would mend it, or "".
func (e *Error) Hint() string { return e.Fix }

// Warning is something that is legal and probably not meant. Like an [Error] it never
// quotes a value.
type Warning struct {
	File   string
	Line   int
	Column int
	Path   string
	Text   string
	Hint   string
}

func (w Warning) String() string {
	return place(w.File, w.Line, w.Column) + ": " + w.Path + ": " + w.Text
}

// Unsupported is a key that is valid and that this version cannot carry out yet.
type Unsupported struct {
	Path   string
	File   string
	Line   int
	Column int
}

func (u Unsupported) String() string {
	return place(u.File, u.Line, u.Column) + ": " + u.Path + " is not supported yet"
}

func place(file string, line, column int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}

// pos is where something was written.
type pos struct {
	file         string
	line, column int
}

func (p pos) String() string { return place(p.file, p.line, p.column) }

func (p pos) compare(q pos) int {
	return cmp.Or(cmp.Compare(p.file, q.file), cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column))
}

// findings gathers what is wrong, so that one run shows all of it.
type findings struct {
	errors   []*Error
	warnings []Warning
}

func (f *findings) fail(at pos, path, fix, format string, args ...any) {
	f.errors = append(f.errors, &Error{
		File: at.file, Line: at.line, Column: at.column,
		Path: path, Msg: fmt.Sprintf(format, args...), Fix: fix,
	})
}

func (f *findings) warn(at pos, path, hint, format string, args ...any) {
	f.warnings = append(f.warnings, Warning{
		File: at.file, Line: at.line, Column: at.column,
		Path: path, Text: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// err returns everything that failed, in the order of the text, each once.
func (f *findings) err() error {
	slices.SortStableFunc(f.errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all := &multierror.Error{ErrorFormat: lines}
	told := map[Error]bool{}
	for _, e := range f.errors {
		key := *e
		key.Path, key.Fix = "", "" // a chosen overlay is looked at twice, under two paths
		if !told[key] {
			told[key] = true
			all.Errors = append(all.Errors, e)
		}
	}
	return all.ErrorOrNil()
}

func lines(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}
