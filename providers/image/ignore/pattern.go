package ignore

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shape is how a pattern is compared.
type shape int

const (
	exact  shape = iota // the path is head
	prefix              // the path starts with head: "docs/**"
	suffix              // the path is tail, or ends in "/" + tail: "**/docs"
	ending              // the path ends in tail: "**docs"
	single              // head, anything but a slash, tail: "docs/*.md"
	base                // the last element is head, anything, tail: "**/*.md"
	glob                // the last element is as tail says, with * and ?: "**/*.sw?"
	expr                // everything else
)

type pattern struct {
	shape  shape
	except bool
	head   string
	tail   string
	expr   *regexp.Regexp
	stem   string // the text before the first wildcard
	plain  bool   // there is no wildcard
	depth  int    // slashes in every path that matches an expr; -1 for any number
}

func (p *pattern) match(name string) bool {
	switch p.shape {
	case exact:
		return name == p.head
	case prefix:
		return strings.HasPrefix(name, p.head)
	case suffix:
		rest, ok := strings.CutSuffix(name, p.tail)
		return ok && (rest == "" || rest[len(rest)-1] == '/')
	case ending:
		return strings.HasSuffix(name, p.tail)
	case single:
		return p.star(name)
	case base:
		return p.star(name[strings.LastIndexByte(name, '/')+1:])
	case glob:
		return globs(p.tail, name[strings.LastIndexByte(name, '/')+1:])
	default: // the plain text at both ends and the depth spare most paths the expression
		return strings.HasPrefix(name, p.head) && strings.HasSuffix(name, p.tail) &&
			(p.depth < 0 || strings.Count(name, "/") == p.depth) && p.expr.MatchString(name)
	}
}

// wants returns what the last element of every path that matches is, or else what its
// extension is, or else nothing.
func (p *pattern) wants() (name, ext string) {
	switch p.shape {
	case exact:
		return p.head[strings.LastIndexByte(p.head, '/')+1:], ""
	case suffix:
		return p.tail[strings.LastIndexByte(p.tail, '/')+1:], ""
	case single, base:
		if !strings.Contains(p.tail, "/") {
			return "", extension(p.tail)
		}
		return p.tail[strings.LastIndexByte(p.tail, '/')+1:], ""
	}
	return "", ""
}

// extension is the end of a name from its last dot on.
func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i:]
	}
	return ""
}

// globs reports whether a name without slashes is as a pattern with * and ? says.
func globs(pattern, name string) bool {
	for ; pattern != ""; pattern = pattern[1:] {
		switch c := pattern[0]; {
		case c == '*':
			rest := strings.TrimLeft(pattern, "*")
			for i := range name {
				if globs(rest, name[i:]) {
					return true
				}
			}
			return globs(rest, "")
		case name == "":
			return false
		case c == '?':
			_, n := utf8.DecodeRuneInString(name)
			name = name[n:]
			continue
		case c != name[0]:
			return false
		}
		name = name[1:]
	}
	return name == ""
}

// star reports whether name is head, a run without slashes, and tail.
func (p *pattern) star(name string) bool {
	return len(name) >= len(p.head)+len(p.tail) &&
		strings.HasPrefix(name, p.head) && strings.HasSuffix(name, p.tail) &&
		strings.IndexByte(name[len(p.head):len(name)-len(p.tail)], '/') < 0
}

// reaches reports whether the pattern could match a path that starts with below, which
// ends in a slash. It may say yes too often, never too seldom.
func (p *pattern) reaches(below string) bool {
	if strings.HasPrefix(p.stem, below) {
		return true
	}
	return !p.plain && strings.HasPrefix(below, p.stem)
}

// compile reads a cleaned pattern without its exclamation mark.
func compile(text string) (pattern, error) {
	if _, err := path.Match(text, "."); err != nil {
		return pattern{}, err
	}
	p := pattern{stem: text, plain: true}
	if i := strings.IndexAny(text, wild); i >= 0 {
		p.stem, p.plain = text[:i], false
	}
	rest, deep := strings.CutPrefix(text, "**/")
	head, tail, starred := strings.Cut(rest, "*")
	// Docker does not quote ^, so that a pattern with a star and a ^ matches nothing.
	lone := starred && !special(head+tail) && !strings.Contains(text, "^")
	switch {
	case p.plain:
		p.shape, p.head = exact, text
	case !deep && strings.HasPrefix(text, "**") && !special(text[2:]):
		p.shape, p.tail = ending, text[2:]
	case strings.HasSuffix(text, "**") && !special(text[:len(text)-2]):
		p.shape, p.head = prefix, text[:len(text)-2]
	case deep && !special(rest):
		p.shape, p.tail = suffix, rest
	case !deep && lone:
		p.shape, p.head, p.tail = single, head, tail
	case deep && lone && !strings.Contains(rest, "/"):
		p.shape, p.head, p.tail = base, head, tail
	case deep && !strings.ContainsAny(rest, `[]\^/`) && strings.Count(rest, "*") < 3 && !strings.Contains(rest, "**"):
		p.shape, p.tail = glob, rest
	default:
		re, err := regexp.Compile(translate(text))
		if err != nil {
			return pattern{}, path.ErrBadPattern
		}
		p.shape, p.expr = expr, re
		if p.depth = -1; !strings.Contains(text, "**") && !strings.ContainsAny(text, `[\`) {
			p.depth = strings.Count(text, "/")
		}
		p.head, p.tail = p.stem, strings.TrimPrefix(text[strings.LastIndexAny(text, wild)+1:], "/")
	}
	return p, nil
}

const wild = `*?[]\`

func special(s string) bool { return strings.ContainsAny(s, wild) }

// translate writes a pattern as the regular expression that Docker would.
func translate(text string) string {
	var b strings.Builder
	b.WriteByte('^')
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '*' && i+1 < len(runes) && runes[i+1] == '*':
			i++
			if i+1 < len(runes) && runes[i+1] == '/' {
				i++
			}
			if i+1 == len(runes) {
				b.WriteString(".*")
			} else {
				b.WriteString("(.*/)?")
			}
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case strings.ContainsRune(".+()|{}$", c):
			b.WriteString(`\` + string(c))
		case c == '\\' && i+1 < len(runes):
			i++
			b.WriteString(`\` + string(runes[i]))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('$')
	return b.String()
}
