package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/image/source/git"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/render/joblog"
)

// journal is stderr: what is written passes the log of the CI job, if this is one, and then
// the redactor.
type journal struct {
	*render.Redactor
	log *joblog.Log
}

var (
	_ io.WriteCloser = (*journal)(nil)
	_ render.Folds   = (*journal)(nil)
)

func newJournal(w io.Writer, ci joblog.CI) *journal {
	r := render.NewRedactor(w)
	return &journal{r, joblog.New(r, joblog.Options{CI: ci, Now: time.Now, Token: word})}
}

// word is one that nobody can guess.
func word() string { return "apron-" + strings.ToLower(rand.Text()) }

// Write implements [io.Writer].
func (j *journal) Write(p []byte) (int, error) { return j.log.Write(p) }

// Close lets go of what is held back.
func (j *journal) Close() error { return errors.Join(j.log.Close(), j.Redactor.Close()) }

// Fold implements [render.Folds].
func (j *journal) Fold(title string) { j.log.Fold(j.Redact(title)) }

// Unfold implements [render.Folds].
func (j *journal) Unfold() { j.log.Unfold() }

// annotate shows a finding beside the change. Commands escape their text, so that secrets
// are taken out before.
func (j *journal) annotate(level joblog.Level, at joblog.Place, text, hint string) {
	if hint != "" {
		text += "\nhint: " + hint
	}
	j.log.Annotate(level, at, j.Redact(text))
}

// enter tells the streams which CI reads them, if one does. A result that goes to a file is
// left as it is: no runner reads that.
func (a *app) enter() {
	a.ci = joblog.Detect(a.lookup)
	a.err = newJournal(a.stderr, a.ci)
	if f, ok := a.stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return
		}
	}
	if a.ci == joblog.Actions {
		a.out = render.NewRedactor(joblog.NewResult(a.stdout))
	}
}

// warn says what may be wrong.
func (a *app) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.say("apron: warning: %s", text)
	a.err.annotate(joblog.Warning, joblog.Place{}, text, "")
}

// warnOf says what is probably not meant in a manifest.
func (a *app) warnOf(w manifest.Warning) {
	a.say("apron: warning: %s", w)
	if w.Hint != "" {
		a.say("apron: hint: %s", w.Hint)
	}
	a.err.annotate(joblog.Warning, a.place(w.File, w.Line, w.Column), w.Path+": "+w.Text, w.Hint)
}

// annotate shows the errors of a run beside the change, each once.
func (a *app) annotate(err error) {
	told := map[string]bool{}
	for _, e := range flatten(err) {
		if told[e.Error()] {
			continue
		}
		told[e.Error()] = true
		if bad, ok := errors.AsType[*manifest.Error](e); ok {
			text := bad.Msg
			if bad.Path != "" {
				text = bad.Path + ": " + text
			}
			a.err.annotate(joblog.Error, a.place(bad.File, bad.Line, bad.Column), text, bad.Fix)
			continue
		}
		var h interface{ Hint() string }
		hint := ""
		if errors.As(e, &h) {
			hint = h.Hint()
		}
		a.err.annotate(joblog.Error, joblog.Place{}, e.Error(), hint)
	}
}

// place is where something stands, from the root of the repository: of the one that the
// file is in, or else of the one that the job has checked out.
func (a *app) place(file string, line, column int) joblog.Place {
	at := joblog.Place{File: filepath.ToSlash(file), Line: line, Column: column}
	abs, err := filepath.Abs(file)
	if err != nil {
		return at
	}
	root := a.fallback("GITHUB_WORKSPACE", "")
	if r, err := git.Find(filepath.Dir(abs)); err == nil {
		root = r.Root
	}
	if rel, err := filepath.Rel(root, abs); err == nil && root != "" && filepath.IsLocal(rel) {
		at.File = filepath.ToSlash(rel)
	}
	return at
}

// inRepository is a file by its place in the repository, or by its plain path where there is
// none.
func (a *app) inRepository(file string) string { return path.Clean(a.place(file, 0, 0).File) }
