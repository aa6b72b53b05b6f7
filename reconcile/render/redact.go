package render

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Mask is what a [Redactor] puts in the place of a secret value.
const Mask = "(sensitive)"

const (
	// secretMin is the length from which a value is looked for. What is shorter is in
	// every other word, and no secret.
	secretMin = 4
	// pieceMin is that of a part of a value: a line of a key, the middle of its base64.
	pieceMin = 8
)

// Redactor is a writer that replaces secret values, however what is written is cut into
// pieces: the last line of defence behind everything that should not have printed them.
// It knows a value also as JSON, Go, a URL, HTML, base64 and hexadecimal would write
// it, quoted again as well, and a value of several lines line by line. What overlaps is
// replaced as one.
//
// It holds back the end of what was written as long as that could be the start of a
// value; Close lets it go. A Redactor may be used from several goroutines.
type Redactor struct {
	mu      sync.Mutex
	w       io.Writer
	known   map[string]bool
	starts  [256][][]byte // what to look for, by its first byte, the longest first
	longest int
	buf     []byte // not written yet
	covered int    // bytes of buf that belong to a value whose mask is written
}

var _ io.WriteCloser = (*Redactor)(nil)

// NewRedactor returns a writer to w that hides the values.
func NewRedactor(w io.Writer, values ...string) *Redactor {
	r := &Redactor{w: w, known: map[string]bool{}}
	r.Hide(values...)
	return r
}

// Onto returns a writer to another place that hides the same values.
func (r *Redactor) Onto(w io.Writer) *Redactor {
	r.mu.Lock()
	defer r.mu.Unlock()
	other := &Redactor{w: w, known: maps.Clone(r.known), longest: r.longest}
	for i, values := range r.starts {
		other.starts[i] = slices.Clone(values)
	}
	return other
}

// Hide adds values that were not known before. Those of less than four bytes are left
// alone.
func (r *Redactor) Hide(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		for _, form := range forms(v) {
			if r.known[form] {
				continue
			}
			r.known[form] = true
			r.longest = max(r.longest, len(form))
			at := &r.starts[form[0]]
			i, _ := slices.BinarySearchFunc(*at, len(form), func(p []byte, n int) int { return n - len(p) })
			*at = slices.Insert(*at, i, []byte(form))
		}
	}
}

// Redact returns a text that is not written here, and goes elsewhere, without the values.
func (r *Redactor) Redact(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	one := Redactor{w: &b, starts: r.starts, longest: r.longest, buf: []byte(text)}
	_ = one.pass(len(text)) // a builder takes everything
	return b.String()
}

// Write implements [io.Writer].
func (r *Redactor) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	if err := r.pass(r.held()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back. It does not close the writer beneath, and more may
// be written afterwards.
func (r *Redactor) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pass(len(r.buf))
}

// held returns where the first start of a value is that may go on in the next write.
func (r *Redactor) held() int {
	for i := max(len(r.buf)-r.longest+1, 0); i < len(r.buf); i++ {
		rest := r.buf[i:]
		for _, p := range r.starts[rest[0]] {
			if len(p) <= len(rest) {
				break // and so are all that follow
			}
			if bytes.HasPrefix(p, rest) {
				return i
			}
		}
	}
	return len(r.buf)
}

// pass writes the first n bytes of buf, which are decided.
func (r *Redactor) pass(n int) error {
	var out []byte
	for i := range n {
		if end := i + r.match(r.buf[i:]); end > i {
			if i >= r.covered {
				out = append(out, Mask...)
			}
			r.covered = max(r.covered, end)
		}
		if i >= r.covered {
			out = append(out, r.buf[i])
		}
	}
	r.buf = append(r.buf[:0], r.buf[n:]...)
	r.covered = max(r.covered-n, 0)
	if len(out) == 0 {
		return nil
	}
	_, err := r.w.Write(out)
	return err
}

// match returns the length of the longest value that b starts with, or 0.
func (r *Redactor) match(b []byte) int {
	for _, p := range r.starts[b[0]] {
		if bytes.HasPrefix(b, p) {
			return len(p)
		}
	}
	return 0
}

// forms lists how a value may be written.
func forms(v string) []string {
	if len(v) < secretMin {
		return nil
	}
	all := spellings(v)
	if strings.ContainsAny(v, "\r\n") {
		for _, line := range strings.FieldsFunc(v, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if line = strings.TrimSpace(line); len(line) >= pieceMin {
				all = append(all, spellings(line)...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func spellings(v string) []string {
	all := []string{
		url.QueryEscape(v), url.PathEscape(v), strings.ReplaceAll(url.QueryEscape(v), "+", "%20"),
		hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v))),
	}
	for _, s := range quotings(v, html.EscapeString(v), clean(v), cleanLine(v)) {
		all = append(all, s, strings.Trim(span(s), "`"))
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		all = append(all, e.WithPadding(base64.NoPadding).EncodeToString([]byte(v)), e.EncodeToString([]byte(v)))
		all = append(all, middles(v, e)...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < secretMin })
}

// maxQuoted is how often a value may have been quoted: by an application that quotes
// it, in a log of JSON, in our own JSON.
const maxQuoted = 3

// quotings are texts and what JSON and Go make of them when they quote them, quote the
// outcome, and so on.
func quotings(texts ...string) []string {
	all := slices.Clone(texts)
	for range maxQuoted {
		slices.Sort(all)
		all = slices.Compact(all)
		for _, s := range slices.Clone(all) {
			all = append(all, unquote(strconv.Quote(s)), unquote(strconv.QuoteToASCII(s)))
			if plain, err := encode(s, ""); err == nil {
				all = append(all, unquote(strings.TrimSuffix(plain, "\n")))
			}
			if escaped, err := json.Marshal(s); err == nil {
				all = append(all, unquote(string(escaped)))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unquote drops the quotes around a literal.
func unquote(s string) string { return s[1 : len(s)-1] }

// middles are the parts of the base64 of a longer text that only v decides, for each of
// the three places where v can start within a group: "user:secret" as base64 has one.
func middles(v string, e *base64.Encoding) []string {
	var all []string
	for at := range 3 {
		text := e.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", at) + v))
		from := (at*8 + 5) / 6      // the first character without a bit of what is before
		to := (at + len(v)) * 8 / 6 // the last one without a bit of what follows
		if to-from >= pieceMin {
			all = append(all, text[from:to])
		}
	}
	return all
}
