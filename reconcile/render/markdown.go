package render

import (
	"fmt"
	"strings"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// markdownWidth is where values in Markdown tables are cut.
const markdownWidth = 120

// markdown is the plan for a pull request: the summary, what happens to each resource,
// and its settings folded away.
func (v *Plan) markdown() string {
	var b strings.Builder
	shown := v.shown()
	if len(shown) == 0 && (v.Header.Verb != "" || v.Header.without() != "") {
		fmt.Fprintf(&b, "**%s**\n\n", v.headline())
	} else if len(shown) == 0 {
		fmt.Fprintf(&b, "**No changes.** Live matches %s.", v.Header.codeSources())
		if more := v.compared(); more != "" {
			b.WriteString(" " + more)
		}
		b.WriteString("\n\n")
	} else {
		fmt.Fprintf(&b, "**%s**\n\n", v.headline())
	}
	if v.Header.tells() {
		b.WriteString(markdownTable(v.Header.Services, v.columns(), v.cells) + "\n")
	}
	for _, s := range v.Header.Services {
		for _, e := range s.Errors {
			b.WriteString(e.markdown())
		}
	}
	if len(v.Header.leftOut()) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range v.Notes {
		b.WriteString(n.markdown())
	}
	if len(v.Notes) > 0 {
		b.WriteByte('\n')
	}
	if len(shown) > 0 {
		b.WriteString("| | Resource | |\n|---|---|---|\n")
		for _, a := range shown {
			b.WriteString(a.row())
		}
		b.WriteByte('\n')
	}
	for _, a := range shown {
		b.WriteString(a.details())
	}
	b.WriteString(v.orphanMarkdown())
	b.WriteString(v.Header.markdown())
	return b.String()
}

// mark is a symbol, loud when access is widened.
func mark(symbol string, widening bool) string {
	if widening {
		return "**`!`** `" + symbol + "`"
	}
	return "`" + symbol + "`"
}

// row is an action in the table of them all.
func (a Action) row() string {
	return fmt.Sprintf("| %s | %s | %s |\n", mark(a.Symbol, a.Widening), code(a.Address), a.markdownReason())
}

func (a Action) markdownReason() string {
	var parts []string
	if r := a.remark(); r != "" {
		parts = append(parts, r)
	}
	if a.Reason != "" {
		parts = append(parts, code(a.Reason))
	}
	if a.Widening {
		parts = append(parts, "**widens access**")
	}
	if who := a.Who.blamed(); who != "" {
		parts = append(parts, who)
	}
	return strings.Join(parts, ", ")
}

// details is the folded table of an action's settings.
func (a Action) details() string {
	if len(a.Fields) == 0 {
		return ""
	}
	var b strings.Builder
	settings := "settings"
	if len(a.Fields) == 1 {
		settings = "setting"
	}
	fmt.Fprintf(&b, "<details>\n<summary>%s: %d %s</summary>\n\n", htmlCode(a.Symbol+" "+a.Address), len(a.Fields), settings)
	if a.Op == string(plan.Create) && !a.Replace {
		b.WriteString("| | Setting | Value | |\n|---|---|---|---|\n")
		for _, f := range a.settings() {
			_, after := f.markdownTexts()
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", mark(f.Symbol, f.Widening), code(f.Path), after, f.remark())
		}
	} else {
		b.WriteString("| | Setting | Old | New | |\n|---|---|---|---|---|\n")
		for _, f := range a.settings() {
			before, after := f.markdownTexts()
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", mark(f.Symbol, f.Widening), code(f.Path), before, after, f.remark())
		}
	}
	b.WriteString("\n</details>\n\n")
	return b.String()
}

// markdownTexts is the old and the new value: our own words in italics, foreign text as
// code.
func (f Field) markdownTexts() (before, after string) {
	if f.Restart {
		return "*value changed*", "*redeploy*"
	}
	before, after = f.texts(markdownWidth)
	return markdownText(f.Old, before), markdownText(f.New, after)
}

func markdownText(v *Value, text string) string {
	switch {
	case v == nil:
		return ""
	case v.own() != "":
		return "*" + strings.Trim(v.own(), "()") + "*"
	}
	return span(text)
}

func (n Note) markdown() string {
	kind := "Note"
	if n.Warning {
		kind = "**Warning**"
	}
	return fmt.Sprintf("- %s: %s %s\n", kind, code(n.Address), code(n.Text))
}

func (h Header) codeSources() string {
	names := make([]string, len(h.Manifests))
	for i, m := range h.Manifests {
		names[i] = code(m)
	}
	return list(names, "the manifest")
}

func (h Header) markdown() string {
	facts := h.facts()
	if len(facts) == 0 {
		return ""
	}
	for i, f := range facts {
		facts[i][1] = code(f[1])
	}
	var b strings.Builder
	for i, f := range facts {
		if i > 0 {
			b.WriteString(" · ")
		}
		b.WriteString(f[0] + " " + f[1])
	}
	return b.String() + "\n"
}
