package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// secrets looks where an image keeps texts: its environment, labels, start command and
// history. Whoever may pull the image may read all of them.
func secrets(c *v1.ConfigFile, w Wanted) []Finding {
	l := look{Wanted: w, seen: map[string]bool{}}
	for _, e := range c.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		l.variable("the image's environment", name, value, "move it out of the image, into secrets")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Config.Labels)) {
		if what := l.signed(c.Config.Labels[name]); what != "" {
			l.add("label "+name, "", what, "leave it out of the image")
		}
	}
	for _, word := range slices.Concat(c.Config.Entrypoint, c.Config.Cmd) {
		l.text("the start command", word, "read it from the environment: secrets puts it there")
	}
	for i, h := range c.History {
		l.text(fmt.Sprintf("step %d of the image's history", i+1), h.CreatedBy,
			"build with RUN --mount=type=secret, and rotate it: it stays readable in every copy of the image")
	}
	return l.all
}

// look gathers what it sees, each name once: a variable that is set shows up in the
// history too.
type look struct {
	Wanted
	all  []Finding
	seen map[string]bool
}

func (l *look) add(where, name, what, fix string) {
	text := fmt.Sprintf("%s seems to hold %s", where, what)
	if name != "" {
		if l.seen[name] {
			return
		}
		l.seen[name] = true
		text = fmt.Sprintf("%s in %s seems to hold %s", name, where, what)
	}
	l.all = append(l.all, Finding{Warn, l.Key, text, fix})
}

// variable looks at a name and its value. It reports whether it found something.
func (l *look) variable(where, name, value, fix string) bool {
	what := l.signed(value)
	if what == "" && l.SecretLooking != nil && l.SecretLooking(name) && !points(value) {
		what = "a secret"
	}
	if what == "" {
		return false
	}
	l.add(where, name, what, fix)
	return true
}

func (l *look) signed(value string) string {
	if l.Signature == nil {
		return ""
	}
	return l.Signature(value)
}

var (
	// assignment is NAME=value, as ENV, ARG, export and BuildKit's list of build arguments
	// in front of a RUN ("|1 TOKEN=… /bin/sh -c …") write it, and flags do.
	assignment = pattern.Lazy(`(?:^|[\s;&|(])-{0,2}([A-Za-z_][A-Za-z0-9_.-]*)=("[^"]*"|'[^']*'|[^\s;&|)]*)`)
	// spaced is the old form of ENV, and bearer an HTTP header.
	spaced = pattern.Lazy(`\bENV\s+([A-Za-z_][A-Za-z0-9_]*)\s+([^=\s]\S*)$`)
	bearer = pattern.Lazy(`(?i)\bauthorization:\s*(?:bearer|basic|token)\s+[^\s"'$]`)
)

// text looks through a line for assignments, and for values that say themselves what they
// are.
func (l *look) text(where, line, fix string) {
	found := false
	for _, m := range slices.Concat(assignment().FindAllStringSubmatch(line, -1), spaced().FindAllStringSubmatch(line, -1)) {
		found = l.variable(where, m[1], strings.Trim(m[2], `"'`), fix) || found
	}
	what := l.signed(line)
	if what == "" && bearer().MatchString(line) {
		what = "a token"
	}
	if what != "" && !found {
		l.add(where, "", what, fix)
	}
}

var filePath = pattern.Lazy(`^(/[A-Za-z0-9._-]+){2,}$`)

// points reports whether a value is no secret but nothing, a switch, another variable, a
// file, or what is left where one was blanked out.
func points(value string) bool {
	switch v := strings.TrimSpace(value); strings.ToLower(v) {
	case "", "true", "false":
		return true
	default:
		return strings.HasPrefix(v, "$") || filePath().MatchString(v) || strings.Trim(v, "*xX") == ""
	}
}
