package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
)

// Record is the view of one release with everything that is kept of it.
type Record struct{ release.Record }

var _ View = (*Record)(nil)

// NewRecord makes the view of a record, whose JSON is the record itself.
func NewRecord(r release.Record) *Record { return &Record{Record: r} }

// facts are the lines that a record starts with, label by label.
func (v *Record) facts() [][2]string {
	r := v.Record
	name := fmt.Sprintf("%d of %s", r.Number, r.Service)
	if r.Environment != "" {
		name += ", environment " + r.Environment
	}
	line := NewHistory(r.Service, r.Image.Repository, []release.Record{r}, 0).Releases[0]
	facts := [][2]string{{"release", name}, {"result", line.outcome()}, {"why", r.Error},
		{"when", r.StartedAt.UTC().Format(time.RFC3339) + ", took " + took(time.Duration(r.TookMS)*time.Millisecond)}, {"who", r.Actor.ARN}}
	if r.Actor.CI+r.Actor.Run != "" {
		facts = append(facts, [2]string{"ci", strings.TrimSpace(r.Actor.CI + " " + r.Actor.Run)})
	}
	if c := r.Commit; c != nil {
		text := c.SHA
		if c.Branch != "" {
			text += " on " + c.Branch
		}
		if c.Dirty {
			text += ", with local changes"
		}
		facts = append(facts, [2]string{"commit", text})
	}
	facts = append(facts, [2]string{"image", image(r.Image)}, [2]string{"place", r.Account + ", " + r.Region + ", " + r.Target}, [2]string{"apron", r.Apron})
	shown := facts[:0]
	for _, f := range facts {
		if f[1] != "" {
			shown = append(shown, f)
		}
	}
	return shown
}

func image(i release.Image) string {
	text := i.Repository
	if i.Tag != "" {
		text += ":" + i.Tag
	}
	if i.Digest != "" {
		text += "@" + i.Digest
	}
	if i.Version != "" {
		text += ", version " + i.Version
	}
	return text
}

// actions are the steps as a plan shows them.
func (v *Record) actions() []Action {
	var actions []Action
	for _, a := range v.Actions {
		shown := Action{ID: a.ID, Op: a.Op, Symbol: symbol(plan.Op(a.Op), false), Address: a.Address, Cause: a.Cause, Reason: a.Error}
		for _, c := range a.Changes {
			f := Field{Path: c.Path, Symbol: "~", Cause: c.Cause, Old: kept(c.Old), New: kept(c.New)}
			switch {
			case c.Secret: // which of the two sides there were is not kept either
				f.New = &Value{Sensitive: -1}
			case c.Old == nil:
				f.Symbol = "+"
			case c.New == nil:
				f.Symbol = "-"
			}
			shown.Fields = append(shown.Fields, f)
		}
		actions = append(actions, shown)
	}
	return actions
}

func kept(s *string) *Value {
	if s == nil {
		return nil
	}
	return &Value{Text: s}
}

func (v *Record) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	for _, f := range v.facts() {
		lines := cleanLines(f[1])
		fmt.Fprintf(&b, "%s %s\n", p.in(dim, fmt.Sprintf("%-9s", f[0])), lines[0])
		for _, l := range lines[1:] {
			fmt.Fprintf(&b, "%10s%s\n", "", l)
		}
	}
	for i, a := range v.actions() {
		done := v.Actions[i]
		block := a.block(p)
		head, rest, _ := strings.Cut(block, "\n")
		b.WriteString("\n" + p.in(statusColor(done.Status), fmt.Sprintf("%-7s", done.Status)) + head + "\n" + rest)
	}
	if v.Cut {
		b.WriteString("\nThe values of these changes are not kept: the record was too large.\n")
	}
	if v.Manifest != "" {
		b.WriteString("\n" + p.in(bold, "The manifest as it was understood:") + "\n\n")
		for _, l := range cleanLines(v.Manifest) {
			b.WriteString(strings.TrimRight("  "+l, " ") + "\n")
		}
	}
	return b.String()
}

func (v *Record) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | |\n|---|---|\n")
	for _, f := range v.facts() {
		fmt.Fprintf(&b, "| %s | %s |\n", f[0], code(strings.Join(cleanLines(f[1]), " ")))
	}
	if len(v.Actions) > 0 {
		b.WriteString("\n| | Resource | Setting | Old | New | |\n|---|---|---|---|---|---|\n")
	}
	for i, a := range v.actions() {
		done := v.Actions[i]
		fmt.Fprintf(&b, "| `%s` | %s | | | | %s |\n", a.Symbol, code(a.Address), done.Status)
		for _, f := range a.settings() {
			before, after := f.markdownTexts()
			fmt.Fprintf(&b, "| `%s` | | %s | %s | %s | %s |\n", f.Symbol, code(f.Path), before, after, f.remark())
		}
	}
	if v.Manifest != "" {
		b.WriteString("\n<details>\n<summary>The manifest as it was understood</summary>\n\n")
		for _, l := range cleanLines(v.Manifest) {
			b.WriteString(strings.TrimRight("    "+l, " ") + "\n")
		}
		b.WriteString("\n</details>\n")
	}
	return b.String()
}
