package joblog

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// CI is what keeps the log.
type CI string

const (
	None    CI = ""
	Actions CI = "GitHub Actions"
	GitLab  CI = "GitLab"
)

// Detect tells by the environment which CI this is.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
// https://docs.gitlab.com/ci/variables/predefined_variables/
func Detect(lookup func(string) (string, bool)) CI {
	is := func(name string) bool { v, _ := lookup(name); return v == "true" }
	switch {
	case is("GITHUB_ACTIONS"):
		return Actions
	case is("GITLAB_CI"):
		return GitLab
	}
	return None
}

// Options steer a [Log].
type Options struct {
	CI CI
	// Token makes a word that nobody can guess.
	Token func() string
	Now   func() time.Time
}

// Log is the log of a job. In GitHub Actions it writes whole lines, and holds the
// beginning of one back until it ends or the log is closed. Its methods may be called
// from several goroutines.
type Log struct {
	w io.Writer
	o Options

	mu      sync.Mutex
	out     bytes.Buffer // decided, to be written at once
	line    []byte       // begun and not ended
	stopped string       // the word at which the runner obeys again; empty: it does
	folded  bool
	section string // GitLab's name of the fold
	err     error  // of the first write that failed
}

var _ io.WriteCloser = (*Log)(nil)

// New returns a log that is written to w.
func New(w io.Writer, o Options) *Log { return &Log{w: w, o: o} }

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	if l.o.CI != Actions {
		return l.w.Write(p)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		n := bytes.IndexAny(rest, "\r\n") + 1 // the runner ends a line at either
		if n == 0 {
			l.line = append(l.line, rest...)
			break
		}
		l.line = append(l.line, rest[:n]...)
		l.end()
		rest = rest[n:]
	}
	if err := l.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end takes the line that was begun for ended.
func (l *Log) end() {
	if obeyed(l.line) {
		l.stop()
	}
	l.out.Write(l.line)
	l.line = l.line[:0]
}

// stop has the runner obey nothing until it is told a word.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#stopping-and-starting-workflow-commands
func (l *Log) stop() {
	if l.stopped == "" {
		l.stopped = l.o.Token()
		fmt.Fprintf(&l.out, "::stop-commands::%s\n", l.stopped)
	}
}

// command has the runner obey a line of ours.
func (l *Log) command(line string) {
	if len(l.line) > 0 {
		l.line = append(l.line, '\n')
		l.end()
	}
	l.obey()
	l.out.WriteString(line + "\n")
}

func (l *Log) obey() {
	if l.stopped != "" {
		fmt.Fprintf(&l.out, "::%s::\n", l.stopped)
		l.stopped = ""
	}
}

func (l *Log) flush() error {
	if l.out.Len() > 0 {
		if _, err := l.w.Write(l.out.Bytes()); err != nil && l.err == nil {
			l.err = err
		}
		l.out.Reset()
	}
	return l.err
}

// Fold begins a part of the log that is folded away under a title, and in which others
// are heard. A part that was begun before ends.
func (l *Log) Fold(title string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unfold()
	switch l.o.CI {
	case Actions:
		l.command("::group::" + data(title))
		l.stop()
		l.folded = true
	case GitLab:
		// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
		l.section = "apron_" + l.o.Token()
		fmt.Fprintf(&l.out, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", l.o.Now().Unix(), l.section, title)
		l.folded = true
	}
	_ = l.flush() // the next write tells
}

// Unfold ends the part that was begun.
func (l *Log) Unfold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unfold()
	_ = l.flush()
}

func (l *Log) unfold() {
	if !l.folded {
		return
	}
	l.folded = false
	if l.o.CI == Actions {
		l.command("::endgroup::")
		return
	}
	fmt.Fprintf(&l.out, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", l.o.Now().Unix(), l.section)
}

// Level is how grave a finding is.
type Level string

const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Place is where in the repository something was found. Line and column count from 1 and
// are 0 where they mean nothing, as File is empty then.
type Place struct {
	File         string // relative to the root of the repository, with slashes
	Line, Column int
}

// Annotate shows a finding where people look at the change, if the CI can.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
func (l *Log) Annotate(level Level, at Place, text string) {
	if l.o.CI != Actions {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var properties []string
	if at.File != "" {
		properties = append(properties, "file="+property(at.File))
		if at.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", at.Line), fmt.Sprintf("col=%d", at.Column))
		}
	}
	properties = append(properties, "title=apron")
	l.command("::" + string(level) + " " + strings.Join(properties, ",") + "::" + data(text))
	_ = l.flush()
}

// Close writes what was held back, ends what was begun, and lets the runner obey whoever
// comes next. It does not close the writer beneath, and more may be written afterwards.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 && (l.stopped != "" || obeyed(l.line)) {
		l.line = append(l.line, '\n') // so that the word stands on a line of its own
	}
	l.end()
	l.unfold()
	l.obey()
	return l.flush()
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// data is text as a command takes it, and property as the value of one of its properties.
func data(s string) string     { return dataEscapes.Replace(s) }
func property(s string) string { return propertyEscapes.Replace(s) }
