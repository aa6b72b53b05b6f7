package render

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

func (v *Report) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	column := 0
	for _, r := range v.Results {
		column = max(column, min(utf8.RuneCountInString(r.label()), 60))
	}
	for _, r := range v.Results {
		b.WriteString(r.line(p, column))
	}
	if len(v.Results) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(p.in(v.color(), v.headline()) + "\n")
	if v.Header.tells() {
		b.WriteString("\n" + table(p, v.rows(), reportColumns, reportCells))
		return b.String()
	}
	for _, s := range v.urls() {
		fmt.Fprintf(&b, "%s %s\n", p.in(dim, clean(s.Name)), p.in(cyan, clean(s.URL)))
	}
	return b.String()
}

// line is one action: how it ended, what it was, how long it took or why it was not
// done.
func (r Result) line(p paint, column int) string {
	pad := strings.Repeat(" ", max(column-utf8.RuneCountInString(r.label()), 0))
	tail := took(time.Duration(r.TookMS) * time.Millisecond)
	if r.Status == string(apply.Skipped) {
		tail = r.skip()
	}
	return fmt.Sprintf("%s %3s %s%s  %s\n", p.in(statusColor(r.Status), fmt.Sprintf("%-7s", r.Status)), r.Symbol, r.label(), pad, p.in(dim, tail))
}

func (r Result) label() string { return label(r.Address, r.Second) }

// label names an action's resource, and tells a second pass from the first.
func label(address string, second bool) string {
	if second {
		return clean(address) + " (second pass)"
	}
	return clean(address)
}

func (r Result) skip() string {
	if r.Because == "" {
		return "interrupted"
	}
	return "as " + clean(r.Because) + " failed"
}

func statusColor(status string) string {
	switch status {
	case string(apply.Done):
		return green
	case string(apply.Failed):
		return red
	}
	return yellow
}

// what names the run.
func (v *Report) what() string {
	switch {
	case v.Header.Destroy:
		return "Destroy"
	case v.Header.Verb != "":
		return strings.ToUpper(v.Header.Verb[:1]) + v.Header.Verb[1:]
	}
	return "Apply"
}

// headline says in a line how the run ended.
func (v *Report) headline() string {
	s, what, without := v.Summary, v.what(), v.Header.without()
	ended := fmt.Sprintf("%d done, %d failed, %d skipped.", s.Done, s.Failed, s.Skipped)
	switch {
	case s.Failed > 0:
		return what + " failed: " + v.failed() + "; " + ended + without
	case s.Skipped > 0:
		return what + " interrupted: " + ended + without
	case without != "":
		return fmt.Sprintf("%s incomplete: %d added, %d changed, %d destroyed.%s", what, s.Added, s.Changed, s.Destroyed, without)
	case len(v.Errors) > 0:
		return what + " failed: " + ended
	}
	return fmt.Sprintf("%s complete: %d added, %d changed, %d destroyed.", what, s.Added, s.Changed, s.Destroyed)
}

func (v *Report) color() string {
	switch {
	case v.Summary.Failed > 0 || len(v.Errors) > 0:
		return red
	case v.Summary.Skipped > 0:
		return yellow
	}
	return green
}

// failed names the first failure, and how many there are beside it.
func (v *Report) failed() string {
	first := ""
	for _, r := range v.Results {
		if r.Status == string(apply.Failed) {
			first = clean(r.Action)
			break
		}
	}
	if more := v.Summary.Failed - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", first, more)
	}
	return first
}

func (v *Report) markdown() string {
	var b strings.Builder
	s := v.Summary
	if s.Failed > 0 {
		fmt.Fprintf(&b, "**%s failed**: %d done, %d failed, %d skipped.%s\n\n", v.what(), s.Done, s.Failed, s.Skipped, v.Header.without())
	} else {
		fmt.Fprintf(&b, "**%s**\n\n", v.headline())
	}
	if v.Header.tells() {
		b.WriteString(markdownTable(v.rows(), reportColumns, reportCells) + "\n")
	} else {
		for _, u := range v.urls() {
			fmt.Fprintf(&b, "- %s %s\n", code(u.Name), code(u.URL))
		}
	}
	for _, e := range v.Errors {
		b.WriteString(e.markdown())
	}
	if !v.Header.tells() && len(v.urls()) > 0 || len(v.Errors) > 0 {
		b.WriteByte('\n')
	}
	if len(v.Results) > 0 {
		fmt.Fprintf(&b, "<details>\n<summary>%d actions</summary>\n\n| | Resource | Result | |\n|---|---|---|---|\n", len(v.Results))
		for _, r := range v.Results {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Symbol, code(r.label()), r.Status, r.markdownTail())
		}
		b.WriteString("\n</details>\n\n")
	}
	b.WriteString(v.Header.markdown())
	return b.String()
}

func (r Result) markdownTail() string {
	switch {
	case r.Status != string(apply.Skipped):
		return took(time.Duration(r.TookMS) * time.Millisecond)
	case r.Because == "":
		return "interrupted"
	}
	return "as " + code(r.Because) + " failed"
}

// markdown is an error as a list item, each of its lines as code.
func (e Problem) markdown() string {
	var b strings.Builder
	b.WriteString("- **Error**:")
	for _, line := range cleanLines(e.Why) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(" " + code(line) + "<br>")
		}
	}
	out := strings.TrimSuffix(b.String(), "<br>")
	if e.Hint != "" {
		out += "<br>hint: " + code(e.Hint)
	}
	return out + "\n"
}

// verb is what an action does, while it does it and afterwards.
func verb(op plan.Op) (doing, did string) {
	switch op {
	case plan.Create:
		return "creating", "created"
	case plan.Delete:
		return "deleting", "deleted"
	case plan.Resume:
		return "resuming", "resumed"
	case plan.Redeploy:
		return "redeploying", "redeployed"
	case plan.Pause:
		return "pausing", "paused"
	}
	return "updating", "updated"
}
