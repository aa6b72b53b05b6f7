package foreign

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/manifest"
)

// File is a file of a source.
type File struct {
	Name string // as the user named it
	Data []byte
}

// Class says what a [Note] is about.
type Class string

const (
	Look   Class = "look"   // it needs a look: it could not be expressed, or must be set
	Other  Class = "other"  // the manifest says it in another way
	Remain Class = "remain" // it is no part of a service, and stays where it is
)

// Note is what a draft does not say by itself about something in the source. It never
// quotes a value.
type Note struct {
	Place Place
	Key   string // by the source's own names
	Text  string
	Class Class
}

func (n Note) String() string { return n.Place.String() + ": " + n.Key + ": " + n.Text }

// Variable is an environment variable that a draft asks for.
type Variable struct {
	Name string
	For  string // what it stands for, as the source writes it
	// Example is a value of the right shape.
	Example string
	Secret  bool // the draft takes it as a secret: env:NAME
}

// Service is the draft of one service.
type Service struct {
	Name      string // as the manifest has it
	Draft     manifest.Draft
	Notes     []Note
	Variables []Variable
}

// Result is what a source has to say.
type Result struct {
	Format   string // "Terraform"
	Services []Service
}

// Text is the manifest: one document a service.
func (r *Result) Text() []byte {
	var texts []string
	for _, s := range r.Services {
		texts = append(texts, string(s.Draft.Text()))
	}
	return []byte(strings.Join(texts, "---\n"))
}

// source is what the services of one run have in common.
type source struct {
	files     string // their names
	format    string
	tool      string // who knows what the source does not say
	resources []*resource
	notes     []Note
	names     map[string]string // of variables: what each stands for
	numbers   map[string]int    // of their examples
}

func newSource(format, tool string, files []File) *source {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if len(files) > 1 {
		names = []string{path.Dir(names[0]) + "/"}
	}
	return &source{files: names[0], format: format, tool: tool, names: map[string]string{}, numbers: map[string]int{}}
}

func (s *source) note(class Class, at Place, key, what string) {
	s.notes = add(s.notes, Note{at, key, what, class})
}

func add(notes []Note, n Note) []Note {
	n.Key, n.Text = printable(n.Key), printable(n.Text)
	if slices.Contains(notes, n) {
		return notes
	}
	return append(notes, n)
}

// printable makes a text fit for a comment and for a terminal.
func printable(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0x2028 || r == 0x2029 || r == 0xfffd || r == 0xfffe || r == 0xffff {
			return ' '
		}
		return r
	}, s)), " ")
}

// finish lays out the services, each with what is to be told about it.
func (s *source) finish(services []*service) (*Result, error) {
	r := &Result{Format: s.format}
	taken := map[string]bool{}
	for i, v := range services {
		if i == 0 {
			for _, n := range s.notes {
				v.notes = add(v.notes, n)
			}
		}
		if err := v.settle(); err != nil {
			return nil, err
		}
		v.distinct(taken)
		sortNotes(v.notes)
		v.frame()
		name, _ := v.entry("service").Value.(string)
		r.Services = append(r.Services, Service{Name: name, Draft: v.draft, Notes: v.notes, Variables: v.variables})
	}
	return r, nil
}

func sortNotes(notes []Note) {
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Column, b.Place.Column))
	})
}
