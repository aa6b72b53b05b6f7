package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// FormatVersion is the version of every JSON output of this package. It changes when a
// field changes its meaning or goes away; fields may be added within a version.
const FormatVersion = "1"

// Format is how a view is written.
type Format string

const (
	Text     Format = "text"
	Markdown Format = "markdown"
	JSON     Format = "json"
)

// Options steer how a view is written.
type Options struct {
	Format Format // default Text
	Color  bool   // ANSI colours, in text only
}

// View is a [Plan], a [Report], a [Drift], a [History], a [Record] or a [Failure].
type View interface {
	text(o Options) string
	markdown() string
}

// Write writes v to w at once.
func Write(w io.Writer, v View, o Options) error {
	var out string
	switch o.Format {
	case Text, "":
		out = v.text(o)
	case Markdown:
		out = v.markdown()
	case JSON:
		data, err := encode(v, "  ")
		if err != nil {
			return err
		}
		out = data
	default:
		return fmt.Errorf("format %q is none of text, markdown, json", o.Format)
	}
	_, err := io.WriteString(w, out)
	return err
}

// Header says what a plan or an apply was about. What is empty is not shown.
type Header struct {
	Manifests   []string  `json:"manifests"` // as the user named them
	Environment string    `json:"environment,omitempty"`
	Account     string    `json:"account,omitempty"`
	Region      string    `json:"region,omitempty"`
	Identity    string    `json:"identity,omitempty"` // the ARN of who asks
	Target      string    `json:"target,omitempty"`
	Sandbox     bool      `json:"sandbox"`
	Services    []Service `json:"services"`
	// Compared is how many resources were compared with what is live.
	Compared int `json:"compared,omitempty"`
	// Destroy says that everything of the services is to go.
	Destroy bool `json:"destroy,omitempty"`
	// Verb is the command, unless it is apply or destroy: redeploy, rollback, promote, prune.
	Verb string `json:"verb,omitempty"`
}

// Service is one of those that a plan is about.
type Service struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"` // empty as long as it does not exist
	// Release is the number of the record that the run has left; 0 for none.
	Release int `json:"release,omitempty"`
	// Result is, of several services, how this one fares: see the constants.
	Result string `json:"result,omitempty"`
	// Version is image.version of the manifest.
	Version string `json:"version,omitempty"`
	// Target is what the service runs on.
	Target string `json:"target,omitempty"`
	// Changes count what a plan of several services does to this one. What services share
	// is counted for each of them.
	Changes *Summary `json:"changes,omitempty"`
	// Errors say why it is refused, locked or skipped.
	Errors []Problem `json:"errors,omitempty"`
}

// normal gives lists that are absent the form of empty ones.
func (h Header) normal() Header {
	h.Manifests = append([]string{}, h.Manifests...)
	h.Services = append([]Service{}, h.Services...)
	return h
}

// sources names the manifests: "deploy.yaml", "a.yaml and b.yaml".
func (h Header) sources() string {
	names := make([]string, len(h.Manifests))
	for i, m := range h.Manifests {
		names[i] = clean(m)
	}
	return list(names, "the manifest")
}

// list joins names as a sentence does.
func list(names []string, none string) string {
	switch n := len(names); n {
	case 0:
		return none
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// facts are the lines under which a header is shown, label by label.
func (h Header) facts() [][2]string {
	var facts [][2]string
	add := func(label, value string) {
		if value != "" {
			facts = append(facts, [2]string{label, value})
		}
	}
	manifests := strings.Join(h.Manifests, ", ")
	if n := len(h.Manifests); n > 10 {
		manifests = fmt.Sprintf("%s and %d more", strings.Join(h.Manifests[:10], ", "), n-10)
	}
	if manifests != "" && h.Environment != "" {
		manifests += " with environment " + h.Environment
	}
	add("manifest", manifests)
	services := h.Services
	if h.tells() { // the table has them
		services = nil
	}
	for _, s := range services {
		add("service", strings.TrimSpace(s.Name+"  "+s.URL))
	}
	target := h.Target
	if h.Sandbox {
		target = strings.TrimSpace(target + " in the sandbox")
	}
	add("target", target)
	add("account", h.Account)
	add("region", h.Region)
	add("identity", h.Identity)
	return facts
}

// symbol is Terraform's sign for an operation.
func symbol(op plan.Op, replace bool) string {
	switch {
	case replace:
		return "-/+"
	case op == plan.Create:
		return "+"
	case op == plan.Delete:
		return "-"
	}
	return "~"
}

// encode returns v as JSON with a final newline. Unlike encoding/json it also escapes
// what a terminal may obey and JSON may hold: C1 controls and marks of direction.
func encode(v any, indent string) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	data := b.String()
	b.Reset()
	for _, r := range data {
		switch {
		case r == '\n' || printable(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String(), nil
}
