package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// What a table of several services says of each. An apply says done and failed, too.
const (
	Changes   = "changes"   // the plan does something to it
	Unchanged = "unchanged" // there is nothing to do for it
	Refused   = "refused"   // its manifest or its plan is not sound, and nothing is done to it
	Unread    = "unread"    // what is live of it, or what it needs, could not be read, and nothing is done to it
	Locked    = "locked"    // another run writes to it, and this one does nothing
	Skipped   = "skipped"   // something it needs, or is for, did not succeed, or is left out
)

// Plan fills in what a plan does to the service, as far as its actions are about it.
func (s *Service) Plan(p *plan.Plan, about func(plan.Action) bool) {
	mine := plan.Plan{}
	for _, a := range p.Actions {
		if about(a) {
			mine.Actions = append(mine.Actions, a)
		}
	}
	s.Changes = &Summary{}
	s.Changes.Add, s.Changes.Change, s.Changes.Destroy = mine.Counts()
	s.Result = Unchanged
	if !mine.Empty() {
		s.Result = Changes
	}
}

// Refuse fills in that the service is left out, and why.
func (s *Service) Refuse(result string, err error) {
	s.Result = result
	for _, p := range problems(err) {
		s.Errors = append(s.Errors, Problem{Why: p.text, Hint: p.hint})
	}
}

// ResultOf sums up how the actions that concern a service ended: the worst counts.
func ResultOf(results []apply.Result) string {
	result := Unchanged
	for _, r := range results {
		switch {
		case r.Status == apply.Failed:
			return string(apply.Failed)
		case r.Status == apply.Skipped:
			result = Skipped
		case result == Unchanged:
			result = string(r.Status)
		}
	}
	return result
}

// tells reports whether the run is about several services, so that it takes a table to say
// how each of them fares.
func (h Header) tells() bool {
	return len(h.Services) > 1 && slices.ContainsFunc(h.Services, func(s Service) bool { return s.Result != "" })
}

// leftOut names the services that something is wrong with.
func (h Header) leftOut() []string {
	var names []string
	for _, s := range h.Services {
		if len(s.Errors) > 0 {
			names = append(names, inSentence(s.Name))
		}
	}
	return names
}

// inSentence is foreign text within a sentence that is text and Markdown alike: a name like
// most stays as it is, and any other is code.
func inSentence(s string) string {
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-./", r)) {
			return code(s)
		}
	}
	return s
}

// without is a sentence that names the services that are left out, or "".
func (h Header) without() string {
	if !h.tells() {
		return ""
	}
	return without(h.leftOut())
}

func without(names []string) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return " 1 service is left out: " + names[0] + "."
	case n > 5:
		return fmt.Sprintf(" %d services are left out: %s and %d more.", n, strings.Join(names[:5], ", "), n-5)
	default:
		return fmt.Sprintf(" %d services are left out: %s.", n, list(names, ""))
	}
}

// table is one line for each service: its name and the cells of each further column.
func table(p paint, rows []Service, columns []string, cells func(Service) []string) string {
	width := make([]int, len(columns))
	for i, c := range columns {
		if width[i] = len(c); c == "RESULT" {
			width[i] = len(Unchanged) // the longest, so that tables of one service look alike
		}
	}
	all := make([][]string, len(rows))
	for i, s := range rows {
		all[i] = cells(s)
		for j, c := range all[i] {
			all[i][j] = orDash(clean(c))
			width[j] = max(width[j], utf8.RuneCountInString(all[i][j]))
		}
	}
	line := func(cells []string, color func(int) string) string {
		var b strings.Builder
		for j, c := range cells {
			pad := ""
			if j < len(cells)-1 {
				pad = strings.Repeat(" ", width[j]-utf8.RuneCountInString(c)+2)
			}
			if code := color(j); code != "" {
				c = p.in(code, c)
			}
			b.WriteString(c + pad)
		}
		return b.String() + "\n"
	}
	var b strings.Builder
	b.WriteString(p.in(dim, strings.TrimSuffix(line(columns, func(int) string { return "" }), "\n")) + "\n")
	for i, s := range rows {
		b.WriteString(line(all[i], func(j int) string {
			switch columns[j] {
			case "RESULT":
				return faringColor(s.Result)
			case "URL":
				return cyan
			}
			return ""
		}))
	}
	return b.String()
}

func markdownTable(rows []Service, columns []string, cells func(Service) []string) string {
	var b strings.Builder
	for _, c := range columns {
		b.WriteString("| " + c[:1] + strings.ToLower(c[1:]) + " ")
	}
	b.WriteString("|\n" + strings.Repeat("|---", len(columns)) + "|\n")
	for _, s := range rows {
		for j, c := range cells(s) {
			switch {
			case c == "":
				c = "-"
			case columns[j] != "RESULT":
				c = code(c)
			}
			b.WriteString("| " + c + " ")
		}
		b.WriteString("|\n")
	}
	return strings.ReplaceAll(b.String(), "| Url ", "| URL ")
}

func faringColor(result string) string {
	switch result {
	case Unchanged:
		return dim
	case Refused, Unread:
		return red
	}
	return statusColor(result)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

var reportColumns = []string{"SERVICE", "RESULT", "VERSION", "URL"}

func reportCells(s Service) []string { return []string{s.Name, s.Result, s.Version, s.URL} }

// rows are the services as the table has them, with the URLs that the run leaves behind.
func (v *Report) rows() []Service {
	rows := slices.Clone(v.Header.Services)
	left := v.urls()
	for i := range rows {
		rows[i].URL = ""
		if n := slices.IndexFunc(left, func(s Service) bool { return s.Name == rows[i].Name }); n >= 0 {
			rows[i].URL = left[n].URL
		}
	}
	return rows
}

// columns are those of the table of a plan.
func (v *Plan) columns() []string {
	if v.Header.Environment == "" {
		return []string{"SERVICE", "TARGET", "CHANGES", "RESULT"}
	}
	return []string{"SERVICE", "ENVIRONMENT", "TARGET", "CHANGES", "RESULT"}
}

func (v *Plan) cells(s Service) []string {
	changes := ""
	if c := s.Changes; c != nil {
		for _, n := range []struct {
			sign  string
			count int
		}{{"+", c.Add}, {"~", c.Change}, {"-", c.Destroy}} {
			if n.count > 0 {
				changes += fmt.Sprintf(" %s%d", n.sign, n.count)
			}
		}
	}
	cells := []string{s.Name, v.Header.Environment, s.Target, strings.TrimSpace(changes), s.Result}
	if v.Header.Environment == "" {
		cells = slices.Delete(cells, 1, 2)
	}
	return cells
}
