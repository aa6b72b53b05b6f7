package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/state"
)

// Checks is the view of what was looked at before a rollout.
type Checks struct {
	FormatVersion string       `json:"format_version"`
	Kind          string       `json:"kind"` // "verify"
	Header        Header       `json:"header"`
	Summary       ChecksCounts `json:"summary"`
	Checks        []Check      `json:"checks"` // in the order in which they were made
}

var _ View = (*Checks)(nil)

// ChecksCounts counts checks by how they ended.
type ChecksCounts struct {
	OK         int `json:"ok"`
	Failed     int `json:"failed"`
	NotChecked int `json:"not_checked"`
}

// Check is one thing that was looked at.
type Check struct {
	Service string `json:"service"`
	Check   string `json:"check"`   // a key of the manifest, or "region", "image", "quota"
	Verdict string `json:"verdict"` // ok, failed, not checked
	Text    string `json:"text"`
	Fix     string `json:"fix,omitempty"`
}

// NewChecks makes the view of checks.
func NewChecks(all []state.Check, h Header) *Checks {
	v := &Checks{FormatVersion: FormatVersion, Kind: "verify", Header: h.normal(), Checks: []Check{}}
	for _, c := range all {
		switch c.Verdict {
		case state.Passed:
			v.Summary.OK++
		case state.Broken:
			v.Summary.Failed++
		default:
			v.Summary.NotChecked++
		}
		v.Checks = append(v.Checks, Check{Service: c.Service, Check: c.Path, Verdict: string(c.Verdict), Text: c.Text, Fix: c.Fix})
	}
	return v
}

func (v *Checks) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	b.WriteString(v.Header.text(p))
	column := 0
	for _, c := range v.Checks {
		column = max(column, min(utf8.RuneCountInString(c.label(v)), 50))
	}
	for _, c := range v.Checks {
		label := c.label(v)
		pad := strings.Repeat(" ", max(column-utf8.RuneCountInString(label), 0))
		fmt.Fprintf(&b, "%s  %s%s  %s\n", p.in(verdictColor(c.Verdict), fmt.Sprintf("%-11s", c.Verdict)), label, pad, clean(c.Text))
		if c.Fix != "" {
			fmt.Fprintf(&b, "%s  %s\n", strings.Repeat(" ", 11+2+column), p.in(cyan, clean(c.Fix)))
		}
	}
	if len(v.Checks) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(p.in(v.color(), v.headline()) + "\n")
	return b.String()
}

// label names a check, and its service where there are several.
func (c Check) label(v *Checks) string {
	if len(v.Header.Services) > 1 {
		return clean(c.Service + " " + c.Check)
	}
	return clean(c.Check)
}

func verdictColor(verdict string) string {
	switch verdict {
	case string(state.Passed):
		return green
	case string(state.Broken):
		return red
	}
	return yellow
}

func (v *Checks) color() string {
	if v.Summary.Failed > 0 {
		return red
	}
	return green
}

// headline says in a line what became of it.
func (v *Checks) headline() string {
	s := v.Summary
	counts := fmt.Sprintf("%d ok, %d failed, %d not checked.", s.OK, s.Failed, s.NotChecked)
	switch {
	case s.Failed > 0:
		return "A rollout would fail: " + counts
	case s.NotChecked > 0:
		return "Nothing stands in the way, as far as it could be checked: " + counts
	}
	return "Nothing stands in the way: " + counts
}

func (v *Checks) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", v.headline())
	if len(v.Checks) > 0 {
		b.WriteString("| | Check | | |\n|---|---|---|---|\n")
		for _, c := range v.Checks {
			verdict, fix := c.Verdict, ""
			if c.Verdict == string(state.Broken) {
				verdict = "**" + verdict + "**"
			}
			if c.Fix != "" {
				fix = code(c.Fix)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", verdict, code(c.label(v)), code(c.Text), fix)
		}
		b.WriteByte('\n')
	}
	b.WriteString(v.Header.markdown())
	return b.String()
}
