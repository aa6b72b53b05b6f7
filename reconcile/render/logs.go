package render

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// LogLine is a line of an application's or a service's log.
type LogLine struct {
	FormatVersion string    `json:"format_version"`
	Kind          string    `json:"kind"` // "log"
	Time          time.Time `json:"time"`
	Service       string    `json:"service"`
	Source        string    `json:"source"` // application or service
	Stream        string    `json:"stream"`
	ID            string    `json:"id"` // of the event, unique in its log group
	Message       string    `json:"message"`
}

// LogOptions steer [Logs].
type LogOptions struct {
	Format Format // default Text
	Color  bool   // in text only
	// Named says that lines of several services are written, which are told apart.
	Named bool
}

// Logs writes lines of logs as they come: as text, as JSON lines, or as a block of code of
// Markdown.
type Logs struct {
	w     io.Writer
	o     LogOptions
	hues  map[string]string // instance → its colour
	wrote bool
}

// NewLogs returns a writer to w.
func NewLogs(w io.Writer, o LogOptions) *Logs { return &Logs{w: w, o: o, hues: map[string]string{}} }

// Write writes a line. What an application printed in several lines stays so, each after
// the name of who printed it: nothing that is foreign starts a line.
func (v *Logs) Write(l LogLine) error {
	out := ""
	if v.o.Format == JSON {
		l.FormatVersion, l.Kind, l.Time = FormatVersion, "log", l.Time.UTC()
		text, err := encode(l, "")
		if err != nil {
			return err
		}
		out = text
	} else {
		p, indent := paint(v.o.Color), ""
		if v.o.Format == Markdown {
			p, indent = false, "    " // an indented block, which no line of its own can end
			if !v.wrote {
				out = "\n"
			}
		}
		at, who := l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), v.who(l)
		for text := range strings.SplitSeq(strings.TrimRight(l.Message, "\r\n"), "\n") {
			line := fmt.Sprintf("%s%s %s %s", indent, p.in(dim, at), p.in(v.hue(l), who+" |"), cleanLine(text))
			out += strings.TrimRight(line, " ") + "\n"
		}
	}
	v.wrote = true
	_, err := io.WriteString(v.w, out)
	return err
}

// shortID is how much of an instance's or an operation's id is shown.
const shortID = 8

// who names the source of a line, and which instance or deployment of several it was:
// "application/1f2e3d4c", "deployment/5b6a7988", "service".
func (v *Logs) who(l LogLine) string {
	who := clean(l.Source)
	kind, id, _ := strings.Cut(clean(l.Stream), "/")
	switch {
	case kind == "instance":
		who += "/" + id[:min(shortID, len(id))]
	case kind == "deployment":
		who = kind + "/" + id[:min(shortID, len(id))]
	}
	if v.o.Named {
		who = clean(l.Service) + " " + who
	}
	return who
}

// instances are the colours that instances take in turn.
var instances = []string{cyan, green, magenta, blue}

// hue is a source's colour: App Runner itself has one, and each instance has its own as
// far as there are colours.
func (v *Logs) hue(l LogLine) string {
	if l.Source != "application" {
		return yellow
	}
	key := l.Service + " " + l.Stream
	if v.hues[key] == "" {
		v.hues[key] = instances[len(v.hues)%len(instances)]
	}
	return v.hues[key]
}
