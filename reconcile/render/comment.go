package render

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Comment is what a comment on a pull request says besides the plan.
type Comment struct {
	Marker      string // hidden, by which the comment is found again
	Short       string // the marker of a comment that is cut, or that lacks what could not be read
	Fingerprint string
	Since       *Since // nil in the first version
	Max         int    // characters
}

// Since is how a plan differs from the one that the comment showed before, as IDs.
type Since struct {
	Added   []string `json:"added,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Gone    []string `json:"gone,omitempty"`
}

// Body writes the comment. One of a plan that lacks what could not be read says so, and has
// the marker of one that approves nothing. Where the whole is too long, sections are left
// out, the least needed first, and the comment says so.
func (c Comment) Body(v *Plan) string {
	head := fmt.Sprintf("**%s**\n\n", v.headline())
	rest := strings.TrimPrefix(v.markdown(), head)
	since, graph := c.Since.markdown(), v.graph()
	whole := c.Marker + "\n" + head + v.caution() + since + rest + "\n" + graph + "Fingerprint: " + code(c.Fingerprint) + "\n"
	if unread := v.unread(); unread != "" {
		head += unread
		whole = c.Short + "\n" + head + v.caution() + since + rest + "\n" + graph
	}
	if utf8.RuneCountInString(whole) <= c.Max {
		return whole
	}
	const note = "> [!WARNING]\n> This comment is cut, and approves nothing: the whole would be longer than a comment may be. `apron plan` shows what is left out: "
	out := "the order of the actions, the settings"
	if len(v.Orphans) > 0 {
		out += ", the orphans"
	}
	for _, try := range []struct{ kept, out string }{
		{v.caution() + since + rest + "\n", "the order of the actions"},
		{v.caution() + since, out},
		{v.caution(), out + ", what changed since the last version"},
	} {
		cut := c.Short + "\n" + head + try.kept + note + try.out + ".\n"
		if utf8.RuneCountInString(cut) <= c.Max {
			return cut
		}
	}
	return c.Short + "\n" + head + note + "all but the summary, also which settings widen access.\n"
}

// Unplanned writes the comment of a commit that there is no plan of, and says why. It has the
// full marker as long as there is room for it and for every error.
func (c Comment) Unplanned(errors []Problem) string {
	const head = "> [!CAUTION]\n> The plan could not be made at this commit. This comment approves nothing until it can be: what it showed before is out of date.\n\n"
	text := head
	for i, e := range errors {
		const more = "\nThere is more than a comment can hold: the log of the run has it.\n"
		line := e.markdown()
		if utf8.RuneCountInString(c.Short+"\n"+text+line+more) > c.Max {
			return c.Short + "\n" + text + more
		}
		text += line
		if whole := c.Marker + "\n" + text; i == len(errors)-1 && utf8.RuneCountInString(whole) <= c.Max {
			return whole
		}
	}
	return c.Short + "\n" + text
}

// unread is a box that says that there are services of which the plan knows nothing, so that
// nobody can agree to it.
func (v *Plan) unread() string {
	var names []string
	for _, s := range v.Header.Services {
		if s.Result == Unread {
			names = append(names, code(s.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "> [!WARNING]\n> This comment approves nothing: what there is to do for " + list(names, "") + " is not known. Why it cannot be read stands below.\n\n"
}

// caution is a red box that names every setting that lets somebody do more than before.
// https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#alerts
func (v *Plan) caution() string {
	var b strings.Builder
	for _, a := range v.Actions {
		if !a.Widening {
			continue
		}
		var paths []string
		for _, f := range a.Fields {
			if f.Widening {
				paths = append(paths, code(f.Path))
			}
		}
		fmt.Fprintf(&b, "> - %s widens access", code(a.Address))
		if len(paths) > 0 {
			b.WriteString(": " + strings.Join(paths, ", "))
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return ""
	}
	return "> [!CAUTION]\n" + b.String() + "\n"
}

// graph is the actions as a Mermaid flowchart, folded away.
// https://mermaid.js.org/syntax/flowchart.html
func (v *Plan) graph() string {
	if len(v.Actions) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<details>\n<summary>Order of the actions</summary>\n\n```mermaid\nflowchart LR\n")
	number := map[string]int{}
	for i, a := range v.Actions {
		number[a.ID] = i
		fmt.Fprintf(&b, "  a%d[\"%s\"]\n", i, mermaid(a.ID))
	}
	for i, a := range v.Actions {
		for _, need := range a.Needs {
			if n, ok := number[need]; ok {
				fmt.Fprintf(&b, "  a%d --> a%d\n", n, i)
			}
		}
	}
	b.WriteString("```\n\n</details>\n\n")
	return b.String()
}

// mermaid is foreign text as a label. All but letters, digits and the plainest marks
// become entity codes: neither the label, nor a line, nor the block can be ended.
func mermaid(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', strings.ContainsRune(" -/_.", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

func (s *Since) markdown() string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	for _, p := range []struct {
		what string
		ids  []string
	}{{"new", s.Added}, {"not as before", s.Changed}, {"gone", s.Gone}} {
		for _, id := range p.ids {
			fmt.Fprintf(&b, "- %s: %s\n", p.what, code(id))
		}
	}
	if b.Len() == 0 {
		return "Since the last version of this comment nothing has changed.\n\n"
	}
	return "Since the last version of this comment:\n\n" + b.String() + "\n"
}
