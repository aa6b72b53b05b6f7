package render

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// width is how many columns a line of text takes at most, as far as values can be cut.
const width = 140

func printable(r rune) bool { return strconv.IsPrint(r) }

// clean makes foreign text safe for one line of a terminal: what cannot be printed is
// shown as an escape.
func clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if printable(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[i : i+n])
		} else {
			q := strconv.Quote(s[i : i+n])
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// cleanLines does [cleanLine] line by line. A text of which nothing would be left is
// shown with escapes: an error must not be empty.
func cleanLines(s string) []string {
	lines := strings.Split(strings.TrimRight(s, "\r\n"), "\n")
	for i, l := range lines {
		lines[i] = cleanLine(l)
	}
	if strings.TrimSpace(strings.Join(lines, "")) == "" {
		return []string{strconv.Quote(s)}
	}
	return lines
}

// cleanLine makes a line that was meant for a terminal safe: without its colours, with
// tabs as spaces, and with what is left after its carriage returns.
func cleanLine(s string) string {
	s = strings.TrimRight(s, "\r")
	s = s[strings.LastIndexByte(s, '\r')+1:]
	return clean(strings.ReplaceAll(withoutSequences(s), "\t", "    "))
}

// withoutSequences drops the control sequences of ECMA-48: ESC [, parameters, and a
// final byte from @ to ~.
func withoutSequences(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = strings.TrimLeftFunc(after, func(r rune) bool { return r >= ' ' && r <= '?' })
		if s != "" && s[0] >= '@' && s[0] <= '~' {
			s = s[1:]
		}
	}
}

func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !printable(r) })
}

// structure is what ends a cell or a code span of Markdown, even within code.
const structure = "|`"

// quoted shows a value so that it can be told from every other one and from our own
// words: in quotes when it is empty, has outer spaces, could be taken for a remark in
// parentheses, or holds what cannot be printed or what Markdown could obey.
func quoted(s string) string {
	if s == "" || s != strings.TrimSpace(s) || s[0] == '(' || s[0] == '"' || !isClean(s) || strings.ContainsAny(s, structure) {
		return strconv.Quote(s)
	}
	return s
}

// multiline reports whether a value is shown by its size only.
func multiline(s string) bool { return strings.Contains(strings.TrimSuffix(s, "\n"), "\n") }

func lines(s string) string {
	return fmt.Sprintf("(%d lines, %s)", strings.Count(strings.TrimSuffix(s, "\n"), "\n")+1, chars(s))
}

func chars(s string) string { return fmt.Sprintf("%d chars", utf8.RuneCountInString(s)) }

// short shows a value within limit columns, at least some 30: what is longer loses its
// middle and says how long it is.
func short(s string, limit int) string {
	if multiline(s) {
		return lines(s)
	}
	q := quoted(s)
	if utf8.RuneCountInString(q) <= limit {
		return q
	}
	suffix := " (" + chars(s) + ")"
	return middle(q, limit-len(suffix)) + suffix
}

// middle cuts the middle out of s so that limit columns remain.
func middle(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	keep := max(limit-1, 8)
	head := (keep + 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(keep-head):])
}

// shortPair shows two values within limit columns each, so that the difference is seen:
// what they have in common is cut first.
func shortPair(a, b string, limit int) (string, string) {
	sa, sb := short(a, limit), short(b, limit)
	if sa != sb || a == b {
		return sa, sb
	}
	if multiline(a) {
		at := 1
		la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
		for at <= len(la) && at <= len(lb) && la[at-1] == lb[at-1] {
			at++
		}
		return sa, strings.TrimSuffix(sb, ")") + fmt.Sprintf(", other from line %d)", at)
	}
	const context = 6 // runes of what is equal, to find the place
	qa, qb := []rune(quoted(a)), []rune(quoted(b))
	at := 0
	for at < len(qa) && at < len(qb) && qa[at] == qb[at] {
		at++
	}
	from := max(at-context, 0)
	cut := func(q []rune, s string) string {
		suffix := " (" + chars(s) + ")"
		rest, room := q[from:], max(limit-len(suffix)-2, 2*context)
		if len(rest) <= room {
			return "…" + string(rest) + suffix
		}
		return "…" + string(rest[:room]) + "…" + suffix
	}
	return cut(qa, a), cut(qb, b)
}
