package joblog

import "io"

// Result is a writer of results in GitHub Actions, where a step's stdout is searched for
// commands as its stderr is. What would be one is spelled with an escape that JSON, Go and
// quoted YAML read as the same text:
//
//	::set-output name=x::y        :\u003aset-output name=x::y
//	web ##[error]y                web ##\u005berror]y
type Result struct {
	w io.Writer
	scan
}

var _ io.Writer = (*Result)(nil)

// NewResult returns a writer to w.
func NewResult(w io.Writer) *Result { return &Result{w: w} }

// Write implements [io.Writer].
func (r *Result) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, c := range p {
		switch {
		case !r.command(c):
			out = append(out, c)
		case c == ':':
			out = append(out, `\u003a`...)
		default:
			out = append(out, `\u005b`...)
		}
	}
	if _, err := r.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// obeyed reports whether the runner may take a line for a command.
func obeyed(line []byte) bool {
	var s scan
	found := false
	for _, c := range line {
		found = s.command(c) || found
	}
	return found
}

// scan finds what the runner may take for a command: a line that starts with two colons
// after white space, and ##[ anywhere in one, which is the form that commands had before.
// The runner compares texts as people do, to whom some characters are nothing: what is not
// printable ASCII is not seen here either.
// https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
type scan struct {
	begun  bool // the line has something that counts
	colons int  // that it starts with
	hashes int  // in a row before this
}

// command reports whether c completes what the runner looks for.
func (s *scan) command(c byte) bool {
	switch {
	case c == '\n' || c == '\r':
		*s = scan{}
		return false
	case c < ' ' && c != '\t' || c > '~':
		return false
	case c == ' ' || c == '\t':
		s.begun = s.begun || s.colons > 0
		s.hashes = 0
		return false
	}
	opens := c == '[' && s.hashes >= 2
	if s.hashes++; c != '#' {
		s.hashes = 0
	}
	if c == ':' && !s.begun {
		s.colons++
		s.begun = s.colons == 2
		return s.begun
	}
	s.begun = true
	return opens
}
