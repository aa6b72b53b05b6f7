package manifest

import "slices"

// Refused is a manifest, or one document of several in a file, that is wrong and so not
// among [Set.Documents].
type Refused struct {
	Service string // "" where the manifest does not even say
	File    string // as the user named it
	Errors  []*Error
}

// Mistakes is all that keeps manifests from being planned: a *multierror.Error of
// [*Error]s in the order of the text, each once.
func (s *Set) Mistakes() error {
	f := &findings{errors: slices.Clone(s.Unread)}
	for _, r := range s.Refused {
		f.errors = append(f.errors, r.Errors...)
	}
	return f.err()
}

// Err is what is wrong with this one, in the order of the text.
func (r Refused) Err() error {
	f := &findings{errors: slices.Clone(r.Errors)}
	return f.err()
}

// unread notes a path that gives no manifest at all.
func (l *loader) unread(at pos, fix, format string, args ...any) {
	f := &findings{}
	f.fail(at, "", fix, format, args...)
	l.set.Unread = append(l.set.Unread, f.errors...)
}

// refuse notes a document that is wrong.
func (l *loader) refuse(service, file string, errs ...*Error) {
	l.set.Refused = append(l.set.Refused, Refused{Service: service, File: file, Errors: errs})
}

// twice takes out the documents whose service another one declares, too: nobody knows
// which of them is meant.
func (l *loader) twice() {
	l.set.Documents = slices.DeleteFunc(l.set.Documents, func(d Document) bool {
		err, again := l.again[d.Spec.Service]
		if again {
			l.refuse(d.Spec.Service, d.Spec.File, err)
		}
		return again
	})
}
