package render

import (
	"fmt"
	"strconv"
	"strings"
)

// code is foreign text as a Markdown code span. Nothing within one is parsed but a
// table's pipes, and there is neither a pipe nor a backtick left: a text that has them
// is shown as a Go string with escapes. The span is never empty, which Markdown does
// not know.
func code(s string) string {
	if s == "" || s != strings.TrimSpace(s) || !isClean(s) || strings.ContainsAny(s, structure) {
		s = strconv.Quote(s)
	}
	return span(s)
}

// span is code for text that is quoted already if it must be.
func span(s string) string {
	return "`" + strings.NewReplacer("|", `\x7c`, "`", `\x60`).Replace(s) + "`"
}

// htmlCode is foreign text as code within HTML, where Markdown is not parsed. All but
// letters, digits and the plainest marks become character references.
func htmlCode(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', strings.ContainsRune(" +-/_.~", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return "<code>" + b.String() + "</code>"
}
