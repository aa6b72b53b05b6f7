package render

import "strings"

// Failure is what a command has to say that could not begin: for a machine that reads
// its stdout.
type Failure struct {
	FormatVersion string    `json:"format_version"`
	Kind          string    `json:"kind"` // "error"
	Errors        []Problem `json:"errors"`
}

// NewFailure makes the view of err.
func NewFailure(err error) *Failure {
	v := &Failure{FormatVersion: FormatVersion, Kind: "error", Errors: []Problem{}}
	for _, p := range problems(err) {
		v.Errors = append(v.Errors, Problem{Why: p.text, Hint: p.hint})
	}
	return v
}

// Problems are the errors that err holds, for others to read: with hide done to their text.
func Problems(err error, hide func(string) string) []Problem {
	return namedProblems(NewFailure(err).Errors, hide)
}

func (v *Failure) text(Options) string {
	var b strings.Builder
	for _, e := range v.Errors {
		write(&b, "error:", e.Why)
		if e.Hint != "" {
			write(&b, "hint:", e.Hint)
		}
	}
	return b.String()
}

func (v *Failure) markdown() string {
	var b strings.Builder
	for _, e := range v.Errors {
		b.WriteString(e.markdown())
	}
	return b.String()
}
