package render

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// foreignPlan is a plan in which every text that can come from elsewhere is s.
func foreignPlan(s string) (*plan.Plan, Header) {
	a := state.Address{Target: "ecr", Kind: "tag", Name: s}
	old, niu := state.Field{Path: s, Value: s}, state.Field{Path: s, Value: s + "2"}
	have := state.Observed{ID: s, URL: s, Note: s}
	p := &plan.Plan{
		Actions: []plan.Action{
			{ID: plan.ID(s), Op: plan.Create, Target: a, Reason: s, Changes: []plan.Change{{Path: s, New: &niu, Widening: true}}},
			{ID: plan.ID(s + "2"), Op: plan.Update, Target: a, Have: have, Reason: s, Changes: []plan.Change{{Path: s, Old: &old, New: &niu}, {Path: s, Old: &old}}},
			{ID: plan.ID(s + "3"), Op: plan.Delete, Target: a, Have: have, Reason: s, Needs: []plan.ID{plan.ID(s)}},
		},
		Notes: []state.Note{{Target: a, Text: s}, {Target: a, Text: s, Warning: true}},
	}
	h := Header{Manifests: []string{s}, Environment: s, Account: s, Region: s, Identity: s, Target: s, Services: []Service{{Name: s, URL: s}}}
	return p, h
}

// foreignView is the view of that plan, with an orphan.
func foreignView(s string) *Plan {
	v := NewPlan(foreignPlan(s))
	v.Orphans = []Orphan{{Service: s, Live: s, URL: s, Region: s, Repository: s, Manifest: s, Environment: s, Reason: "file", History: s, Delete: s, Keep: s}}
	return v
}

// foreignNote is a plan of nothing whose orphans nobody could look for.
func foreignNote(s string) *Plan {
	v := NewPlan(&plan.Plan{}, Header{})
	v.Unchecked = s
	return v
}

func foreignReport(s string) *Report {
	p, h := foreignPlan(s)
	return NewReport(&apply.Report{Results: []apply.Result{
		{Action: p.Actions[0], Status: apply.Done, Outcome: state.Outcome{ID: s, URL: s}},
		{Action: p.Actions[1], Status: apply.Failed, Err: errors.New(s)},
		{Action: p.Actions[2], Status: apply.Skipped, Because: plan.ID(s)},
	}}, errors.New(s), h)
}

var (
	spans    = regexp.MustCompile("`[^`\n]*`(<br>)?|<code>[^<\n]*</code>")
	hostile  = []string{"|", "`", "``", "\\", "\\|", "<script>", "</details>", "<!--", "-->", "[a](http://b)", "![a](b)", "@somebody", "#1", "www.x.y", "http://x.y", "*", "_", "~~", "\n", "\r\n", "\n\n", "# ", "---", "&lt;", "\x1b[2J", "\x1b]8;;http://x\x07", "\u009b2J", "\u202e", "\u200b", "\xff", "\t", " ", "\"", "a", "web", "é", "日本", "(sensitive #1)", "%s"}
	controls = func(r rune) bool { return r != '\n' && !printable(r) }
)

func drawForeign(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()), 1, 6).Draw(t, "foreign")
	return notBlank(strings.Join(parts, ""))
}

// notBlank makes sure that s is shown at all: a blank fact of a header is not.
func notBlank(s string) string {
	if strings.TrimSpace(s) == "" {
		return s + "x"
	}
	return s
}

// skeleton is what Markdown parses: all but what is within code.
func skeleton(md string) string { return spans.ReplaceAllString(md, "code") }

func TestMarkdown_foreignTextIsInCodeOnly(t *testing.T) {
	plain, note := skeleton(foreignView("x").markdown()), skeleton(foreignNote("x").markdown())
	report := oneLine(skeleton(foreignReport("x").markdown()))
	require.NotContains(t, plain+note+report, "x", "the test can see what is foreign")
	rapid.Check(t, func(t *rapid.T) {
		s := drawForeign(t)
		if got := skeleton(foreignView(s).markdown()); got != plain {
			t.Fatalf("%q breaks out of the plan:\n%s", s, got)
		}
		if got := skeleton(foreignNote(s).markdown()); got != note {
			t.Fatalf("%q breaks out of the note:\n%s", s, got)
		}
		if got := oneLine(skeleton(foreignReport(s).markdown())); got != report {
			t.Fatalf("%q breaks out of the report:\n%s", s, got)
		}
	})
}

// oneLine undoes that an error keeps its lines, each as code of its own.
func oneLine(skeleton string) string {
	return regexp.MustCompile("code( code)+").ReplaceAllString(skeleton, "code")
}

func TestMarkdown_codeHasNoPipeAndNoBacktickWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := code(drawForeign(t))
		if within := c[1 : len(c)-1]; c[0] != '`' || c[len(c)-1] != '`' || within == "" || strings.ContainsAny(within, "|`\n\r") {
			t.Fatalf("%q", c)
		}
	})
}

func TestText_noControlCharacterOfForeignTextReachesTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawForeign(t)
		var errs strings.Builder
		_ = Error(&errs, errors.New(s), false)
		for name, out := range map[string]string{
			"plan": foreignView(s).text(Options{}), "note": foreignNote(s).text(Options{}), "report": foreignReport(s).text(Options{}), "error": errs.String(),
			"events": foreignEvents(t, Lines, s), "JSON lines": foreignEvents(t, JSONLines, s),
			"live":     strings.NewReplacer("\x1b[1A\x1b[J", "", "\x1b[2A\x1b[J", "").Replace(foreignEvents(t, Live, s)),
			"markdown": foreignView(s).markdown() + foreignReport(s).markdown(), "JSON": encoded(t, foreignView(s)) + encoded(t, foreignReport(s)),
		} {
			if i := strings.IndexFunc(out, controls); i >= 0 || !utf8.ValidString(out) {
				t.Fatalf("%q as %s: %q", s, name, out)
			}
		}
		if got, want := strings.Count(foreignView(s).text(Options{}), "\n"), strings.Count(foreignView("x").text(Options{}), "\n"); got != want {
			t.Fatalf("%q: %d lines instead of %d", s, got, want)
		}
	})
}

func encoded(t *rapid.T, v any) string {
	s, err := encode(v, "  ")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// foreignEvents is a run in which every text that can come from elsewhere is s.
func foreignEvents(t *rapid.T, style Style, s string) string {
	var out strings.Builder
	tick := make(chan time.Time)
	p, _ := foreignPlan(s)
	e := Events(&out, EventOptions{Style: style, Tick: tick, Heartbeat: time.Nanosecond})
	e.Observe(apply.Event{Action: p.Actions[0], Status: apply.Started})
	e.Progress(apply.Progress{Action: p.Actions[0].ID, Phase: s, Done: 1, Total: 2})
	e.Progress(apply.Progress{Action: p.Actions[0].ID, Line: s, Source: s})
	e.Progress(apply.Progress{Action: p.Actions[0].ID, Phase: s, Done: 2, Total: 2})
	for range 2 { // the second is taken only when the first was dealt with
		tick <- time.Time{}
	}
	e.Observe(apply.Event{Action: p.Actions[0], Status: apply.Failed, Err: errors.New(s)})
	e.Observe(apply.Event{Action: p.Actions[2], Status: apply.Skipped, Because: plan.ID(s)})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPlan_aSecretValueOccursInNoOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &plan.Plan{}
		var values []string
		field := func() *state.Field {
			f := &state.Field{Path: "a", Value: rapid.StringMatching(`[G-Z]{6,40}`).Draw(t, "value"), Secret: true}
			if len(values) > 0 && rapid.Bool().Draw(t, "again") {
				f.Value = values[0]
			}
			values = append(values, f.Value)
			return f
		}
		for range rapid.IntRange(1, 5).Draw(t, "actions") {
			c := plan.Change{Path: "value", Old: field(), New: field()}
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				c.Old = nil
			case 1:
				c.New = nil
			}
			p.Actions = append(p.Actions, plan.Action{Op: plan.Update, Target: address("a/b/c"), Changes: []plan.Change{c},
				Want: state.Resource{Fields: []state.Field{*field()}}, Have: state.Observed{Resource: state.Resource{Fields: []state.Field{*field()}}}})
		}
		v := NewPlan(p, Header{})
		out := v.text(Options{}) + v.markdown() + encoded(t, v)
		for _, s := range values {
			if strings.Contains(out, s) {
				t.Fatalf("%q is in\n%s", s, out)
			}
		}
	})
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	plain := skeleton(foreignView("x").markdown())
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, plain, skeleton(foreignView(notBlank(s)).markdown()))
	})
}
