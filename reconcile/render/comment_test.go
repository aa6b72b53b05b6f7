package render

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func commented(value string, actions int) *Plan {
	v := &Plan{}
	for i := range actions {
		id := fmt.Sprintf("update apprunner/service/web%d", i)
		v.Actions = append(v.Actions, Action{ID: id, Op: "update", Symbol: "~", Address: id[7:], Widening: i == 0,
			Fields: []Field{{Path: "env.A", Symbol: "~", Old: &Value{Text: &value}, New: &Value{Text: &value}, Widening: i == 0}}})
		if i > 0 {
			v.Actions[i].Needs = []string{v.Actions[i-1].ID}
		}
	}
	return v
}

func TestComment_body(t *testing.T) {
	c := Comment{Marker: "<!-- full -->", Short: "<!-- cut -->", Fingerprint: "apron-1", Max: 65536, Since: &Since{Gone: []string{"delete x"}}}
	body := c.Body(commented("v", 2))
	require.True(t, strings.HasPrefix(body, "<!-- full -->\n**Plan:"), body)
	for _, want := range []string{"> [!CAUTION]\n> - `apprunner/service/web0` widens access: `env.A`\n", "- gone: `delete x`\n", "  a0 --> a1\n", "Fingerprint: `apron-1`\n"} {
		require.Contains(t, body, want)
	}
}

// TestComment_ofWhatCouldNotBeReadApprovesNothing, and says so whatever there is room for.
func TestComment_ofWhatCouldNotBeReadApprovesNothing(t *testing.T) {
	v := commented("v", 30)
	lost := Service{Name: "a`b"}
	lost.Refuse(Unread, hinted{"arn:x: describe: AccessDeniedException", ""})
	v.Header.Services = []Service{{Name: "web", Result: Changes}, lost}
	for _, max := range []int{65536, 1500, 800} {
		body := Comment{Marker: "<!-- full -->", Short: "<!-- cut -->", Fingerprint: "apron-1", Max: max}.Body(v)
		require.LessOrEqual(t, utf8.RuneCountInString(body), max)
		require.True(t, strings.HasPrefix(body, "<!-- cut -->\n**Plan:"))
		require.Contains(t, body, "> This comment approves nothing: what there is to do for `\"a\\x60b\"` is not known.")
		require.NotContains(t, body, "apron-1")
	}
}

func TestComment_isCutBySection(t *testing.T) {
	for _, max := range []int{4000, 1500, 600} {
		body := Comment{Marker: "<!-- full -->", Short: "<!-- cut -->", Fingerprint: "apron-1", Max: max, Since: &Since{Gone: []string{strings.Repeat("y", 900)}}}.Body(commented("v", 30))
		require.LessOrEqual(t, utf8.RuneCountInString(body), max)
		require.True(t, strings.HasPrefix(body, "<!-- cut -->\n"))
		require.Contains(t, body, "approves nothing")
		require.NotContains(t, body, "apron-1")
	}
}

func TestPlan_Named(t *testing.T) {
	v := commented("host db.internal:5432", 1)
	body := Comment{Max: 65536}.Body(v.Named(Names(map[string]string{"db.internal": "HOST", "db.internal:5432": "ALL"})))
	require.Contains(t, body, "host ${ALL}")
	require.NotContains(t, body, "db.internal")
	require.Equal(t, "host db.internal:5432", *v.Actions[0].Fields[0].Old.Text, "the plan itself stays")
}

func TestNames_ofShortValues(t *testing.T) {
	hide := Names(map[string]string{"1": "DEBUG", "": "NONE", "db.internal": "HOST"})
	require.Equal(t, "${DEBUG}", hide("1"))
	require.Equal(t, "1024 on ${HOST}", hide("1024 on db.internal"))
	require.Empty(t, hide(""))
}

func FuzzComment_foreignText(f *testing.F) {
	for _, s := range []string{"<!-- apron:plan -->", "```\n# x", "a|b`c", "@all", "\"]\n  click a0", "> [!CAUTION]", "</details>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := commented(s, 1)
		v.Actions[0].ID, v.Actions[0].Address, v.Actions[0].Reason = s, s, s
		v.Actions[0].Fields[0].Path = s
		body := Comment{Marker: "<!-- m -->", Max: 1 << 30, Since: &Since{Added: []string{s}}}.Body(v)
		plain := Comment{Marker: "<!-- m -->", Max: 1 << 30, Since: &Since{Added: []string{"x"}}}.Body(func() *Plan {
			v := commented("x", 1)
			v.Actions[0].ID, v.Actions[0].Address, v.Actions[0].Reason = "x", "x", "x"
			v.Actions[0].Fields[0].Path = "x"
			return v
		}())
		for _, mark := range []string{"\n", "`", "|"} {
			require.Equal(t, strings.Count(plain, mark), strings.Count(body, mark), "%q in\n%s", mark, body)
		}
	})
}

// TestComment_unplanned has every error that there is room for, and says where the rest is.
func TestComment_unplanned(t *testing.T) {
	var errors []Problem
	for i := range 40 {
		errors = append(errors, Problem{Why: fmt.Sprintf("a.yaml:%d:1: `x` <!-- is unknown", i), Hint: "take | it out"})
	}
	for max, want := range map[int]struct {
		marker string
		all    bool
	}{65536: {"<!-- full -->", true}, 3000: {"<!-- cut -->", false}, 400: {"<!-- cut -->", false}} {
		body := Comment{Marker: "<!-- full -->", Short: "<!-- cut -->", Fingerprint: "apron-1", Max: max}.Unplanned(errors)
		require.LessOrEqual(t, utf8.RuneCountInString(body), max)
		require.True(t, strings.HasPrefix(body, want.marker+"\n> [!CAUTION]\n> The plan could not be made"), body)
		require.Contains(t, body, "- **Error**: `\"a.yaml:0:1: \\x60x\\x60 <!-- is unknown\"`<br>hint: `\"take \\x7c it out\"`\n")
		require.Equal(t, want.all, strings.Contains(body, "a.yaml:39:1"))
		require.Equal(t, !want.all, strings.Contains(body, "the log of the run has it"))
		require.NotContains(t, body, "apron-1")
	}
	long := Comment{Marker: "<!-- " + strings.Repeat("m", 3900) + " -->", Short: "<!-- cut -->", Max: 4000}.Unplanned(errors[:2])
	require.True(t, strings.HasPrefix(long, "<!-- cut -->\n"), "the errors go before the plan that was")
	require.Contains(t, long, "a.yaml:1:1")
}
