// Package joblogtest is the runner of GitHub Actions for tests, as far as it reads what a
// step prints. It shares no code with what it tests.
// https://github.com/actions/runner/blob/main/src/Runner.Worker/ActionCommandManager.cs
package joblogtest

import (
	"regexp"
	"slices"
	"strings"
)

// Command is one that the runner obeys.
type Command struct {
	Name       string
	Properties map[string]string
	Data       string
}

var (
	newForm = regexp.MustCompile(`^\s*::([^\s:]+)(?: ([^\n]*?))?::(.*)$`)
	oldForm = regexp.MustCompile(`##\[([^\s\]]+)(?: ([^\]]*))?\](.*)$`)
	known   = []string{"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
		"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"}
	unescape = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
)

// Read returns the commands that the runner obeys of what a step printed, and whether it
// obeys what the step prints next.
func Read(printed string) (obeyed []Command, obeys bool) {
	stopped := ""
	for _, line := range strings.FieldsFunc(printed, func(r rune) bool { return r == '\n' || r == '\r' }) {
		c, ok := parse(line, stopped)
		switch {
		case !ok:
		case stopped != "":
			if strings.EqualFold(c.Name, stopped) {
				stopped = ""
			}
		case c.Name == "stop-commands":
			stopped = c.Data
		default:
			obeyed = append(obeyed, c)
		}
	}
	return obeyed, stopped == ""
}

func parse(line, stopped string) (Command, bool) {
	for _, form := range []*regexp.Regexp{newForm, oldForm} {
		m := form.FindStringSubmatch(line)
		if m == nil || !slices.Contains(known, strings.ToLower(m[1])) && !strings.EqualFold(m[1], stopped) {
			continue
		}
		c := Command{Name: strings.ToLower(m[1]), Properties: map[string]string{}, Data: unescape.Replace(m[3])}
		for _, p := range strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ';' }) {
			if name, value, ok := strings.Cut(p, "="); ok {
				c.Properties[name] = unescape.Replace(value)
			}
		}
		return c, true
	}
	return Command{}, false
}
