// Package ignore decides which paths of a build context Docker leaves out.
//
// The rules are those of BuildKit's matcher, where the last pattern that matches a path
// or one of its parents decides:
//
//	*.log            files ending in .log at the top
//	**/*.log         the same, anywhere
//	docs             the directory and all below it
//	!docs/README.md  except this one
//
// A context has many paths and patterns few shapes, so a pattern is compiled to string
// comparisons where its shape allows, and to a regular expression only otherwise; and
// those that want a certain name or extension are looked up by it, so that most patterns
// are never compared. A [Matcher] does not change once made and may be used by many
// goroutines.
//
// https://docs.docker.com/build/concepts/context/#dockerignore-files
package ignore

import (
	"fmt"
	"io"
	"math/bits"
	"path"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"
)

// Parse reads the patterns of an ignore file.
func Parse(r io.Reader) ([]string, error) { return ignorefile.ReadAll(r) }

// Matcher holds compiled patterns.
type Matcher struct {
	patterns []pattern
	// Which patterns can match a path: those for its last element, those for its
	// extension, and the others.
	names, extensions map[string]set
	others            set
}

// New compiles patterns, in the form that [Parse] returns them.
func New(patterns []string) (*Matcher, error) {
	m := &Matcher{patterns: make([]pattern, 0, len(patterns)), names: map[string]set{}, extensions: map[string]set{}}
	for _, text := range patterns {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		text = path.Clean(text)
		except := text[0] == '!'
		if except {
			text = text[1:]
		}
		if text == "" {
			return nil, fmt.Errorf("pattern %q excepts nothing", "!")
		}
		p, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		p.except = except
		m.patterns = append(m.patterns, p)
	}
	m.others = newSet(len(m.patterns))
	for i := range m.patterns {
		switch name, extension := m.patterns[i].wants(); {
		case name != "":
			m.file(m.names, name, i)
		case extension != "":
			m.file(m.extensions, extension, i)
		default:
			m.others.add(i)
		}
	}
	return m, nil
}

func (m *Matcher) file(under map[string]set, key string, i int) {
	if under[key] == nil {
		under[key] = newSet(len(m.patterns))
	}
	under[key].add(i)
}

// set is a set of patterns, a bit for each.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(i int) { s[i/64] |= 1 << (i % 64) }

// word returns 64 members; the nil set has none.
func (s set) word(i int) uint64 {
	if s == nil {
		return 0
	}
	return s[i]
}

// Dir is what is known of a directory, and decides for what it holds.
type Dir struct {
	// Ignored says that the directory itself is left out. What it holds may still be
	// excepted, see [Matcher.Sealed].
	Ignored bool
	hits    set // patterns that match it, as far as they were looked at
}

// Enter returns what is known of the directory at name, whose parent is in. Names are
// slash-separated and relative to the context, whose own Dir is the zero one.
func (m *Matcher) Enter(in Dir, name string) Dir {
	d := Dir{hits: newSet(len(m.patterns))}
	d.Ignored = m.match(in.hits, name, d.hits)
	return d
}

// Ignores reports whether the file at name, in the directory in, is left out.
func (m *Matcher) Ignores(in Dir, name string) bool { return m.match(in.hits, name, nil) }

// Sealed reports whether d, the directory at name, is left out with all that it can
// hold, so that there is no need to look into it.
func (m *Matcher) Sealed(d Dir, name string) bool {
	if !d.Ignored {
		return false
	}
	below := name + "/"
	for i := range m.patterns {
		if p := &m.patterns[i]; p.except && p.reaches(below) {
			return false
		}
	}
	return true
}

// match follows the order of BuildKit's evaluation to the letter: a pattern that cannot
// change the verdict so far is not looked at, and then does not count as a match for
// what lies below either.
func (m *Matcher) match(parent set, name string, hits set) bool {
	last := name[strings.LastIndexByte(name, '/')+1:]
	byName, byExtension := m.names[last], m.extensions[extension(last)]
	ignored := false
	for w := range m.others {
		known := parent.word(w)
		for left := known | m.others[w] | byName.word(w) | byExtension.word(w); left != 0; left &= left - 1 {
			bit := bits.TrailingZeros64(left)
			p := &m.patterns[w*64+bit]
			if known>>bit&1 == 0 && (p.except != ignored || !p.match(name)) {
				continue
			}
			if hits != nil {
				hits.add(w*64 + bit)
			}
			ignored = !p.except
		}
	}
	return ignored
}
