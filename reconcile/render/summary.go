package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/apply"
)

// tells reports whether the run was about several services, so that it takes a table to
// say how each of them fared.
func (v *Report) tells() bool {
	return len(v.Header.Services) > 1 && slices.ContainsFunc(v.Header.Services, func(s Service) bool { return s.Result != "" })
}

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

// table is one line for each service.
func (v *Report) table(p paint) string {
	rows := v.rows()
	name, version := len("SERVICE"), len("VERSION")
	for _, s := range rows {
		name, version = max(name, utf8.RuneCountInString(clean(s.Name))), max(version, utf8.RuneCountInString(clean(s.Version)))
	}
	var b strings.Builder
	b.WriteString(p.in(dim, fmt.Sprintf("%-*s  %-9s  %-*s  URL", name, "SERVICE", "RESULT", version, "VERSION")) + "\n")
	for _, s := range rows {
		color := statusColor(s.Result)
		if s.Result == unchanged {
			color = dim
		}
		line := fmt.Sprintf("%-*s  %s  %-*s  %s", name, clean(s.Name), p.in(color, fmt.Sprintf("%-9s", s.Result)), version, orDash(clean(s.Version)), p.in(cyan, orDash(clean(s.URL))))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (v *Report) markdownTable() string {
	var b strings.Builder
	b.WriteString("| Service | Result | Version | URL |\n|---|---|---|---|\n")
	for _, s := range v.rows() {
		cell := func(text string) string {
			if text == "" {
				return "-"
			}
			return code(text)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(s.Name), s.Result, cell(s.Version), cell(s.URL))
	}
	return b.String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// unchanged is the result of a service that there was nothing to do for.
const unchanged = "unchanged"

// ResultOf sums up how the actions that concern a service ended: the worst counts.
func ResultOf(results []apply.Result) string {
	result := unchanged
	for _, r := range results {
		switch {
		case r.Status == apply.Failed:
			return string(apply.Failed)
		case r.Status == apply.Skipped:
			result = string(apply.Skipped)
		case result == unchanged:
			result = string(r.Status)
		}
	}
	return result
}
