package joblog_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/apron-deploy/apron/reconcile/render/joblog"
	"github.com/apron-deploy/apron/reconcile/render/joblog/joblogtest"
)

func newLog(ci joblog.CI) (*joblog.Log, *bytes.Buffer) {
	var out bytes.Buffer
	n := 0
	return joblog.New(&out, joblog.Options{CI: ci, Now: func() time.Time { return time.Unix(1700000000, 0) },
		Token: func() string { n++; return fmt.Sprintf("word%d", n) }}), &out
}

func TestLog_inActions(t *testing.T) {
	l, out := newLog(joblog.Actions)
	fmt.Fprint(l, "ours\n")
	l.Fold("image: building, 100%")
	fmt.Fprint(l, "image | step 1\n")
	l.Unfold()
	l.Unfold()
	fmt.Fprint(l, "arn:aws:iam::123456789012:role/x is harmless\n")
	l.Annotate(joblog.Error, joblog.Place{File: "a,b:c.yaml", Line: 3, Column: 7}, "one\ntwo, 50%: three")
	l.Annotate(joblog.Warning, joblog.Place{}, "nowhere")
	fmt.Fprint(l, "  ::error::not ours\nand an end")
	require.NoError(t, l.Close())
	require.Equal(t, `ours
::group::image: building, 100%25
::stop-commands::word1
image | step 1
::word1::
::endgroup::
arn:aws:iam::123456789012:role/x is harmless
::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=apron::one%0Atwo, 50%25: three
::warning title=apron::nowhere
::stop-commands::word2
  ::error::not ours
and an end
::word2::
`, out.String())
}

func TestLog_inGitLab(t *testing.T) {
	l, out := newLog(joblog.GitLab)
	l.Fold("one")
	l.Fold("two")
	fmt.Fprint(l, "::error::means nothing here, and a line may wait")
	l.Annotate(joblog.Error, joblog.Place{File: "a"}, "is not a thing")
	require.NoError(t, l.Close())
	require.Equal(t, "\x1b[0Ksection_start:1700000000:apron_word1[collapsed=true]\r\x1b[0Kone\n"+
		"\x1b[0Ksection_end:1700000000:apron_word1\r\x1b[0K\n"+
		"\x1b[0Ksection_start:1700000000:apron_word2[collapsed=true]\r\x1b[0Ktwo\n"+
		"::error::means nothing here, and a line may wait"+
		"\x1b[0Ksection_end:1700000000:apron_word2\r\x1b[0K\n", out.String())
}

func TestLog_elsewhere(t *testing.T) {
	l, out := newLog(joblog.None)
	l.Fold("one")
	fmt.Fprint(l, "::error::\r##[error]")
	l.Annotate(joblog.Error, joblog.Place{File: "a"}, "is not a thing")
	require.NoError(t, l.Close())
	require.Equal(t, "::error::\r##[error]", out.String())
}

// hostile are pieces of which commands are made.
var hostile = []string{"::", ":", "##[", "#", "[", "]", "error", "set-output name=x", "stop-commands", "add-mask", "word1", "word2", "endgroup",
	" ", "\t", "\n", "\r", "\r\n", "x", "é", "\u200b", "\x1b[31m", "\x00", "%0A"}

func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()), 0, 12).Draw(t, "text"), "")
}

// TestLog_foreignTextIsNotObeyed: whatever is written, and however it is cut, the runner
// obeys our commands and no others, and whoever prints next is heard. The words cannot be
// guessed, so that those of the test are kept out of what is written.
func TestLog_foreignTextIsNotObeyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		n := 0
		l := joblog.New(&out, joblog.Options{CI: joblog.Actions, Token: func() string { n++; return "secret-" + strconv.Itoa(n) }})
		ours := 0
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				l.Fold(drawText(t))
				ours++
			case 1:
				l.Annotate(joblog.Error, joblog.Place{File: drawText(t)}, drawText(t))
				ours++
			default:
				fmt.Fprint(l, drawText(t))
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		obeyed, obeys := joblogtest.Read(out.String())
		if !obeys {
			t.Fatalf("the next step is not heard:\n%q", out.String())
		}
		for _, c := range obeyed {
			if c.Name == "group" || c.Name == "error" && c.Properties["title"] == "apron" {
				ours--
			} else if c.Name != "endgroup" {
				t.Fatalf("the runner obeys %v of\n%q", c, out.String())
			}
		}
		if ours != 0 {
			t.Fatalf("%d of our commands are not obeyed:\n%q", ours, out.String())
		}
	})
}

// FuzzResult_isNotObeyed: a result has no command, and a JSON one says the same as before.
func FuzzResult_isNotObeyed(f *testing.F) {
	for _, s := range []string{"::set-output name=x::y", "a ##[error]b", "##", "[", " \t::add-mask::a", "\u200b::error::", "a\r::error::b", "##\u200b[error]x"} {
		f.Add(s, s, 3)
	}
	f.Fuzz(func(t *testing.T, one, two string, cut int) {
		text := one + two
		cut = max(0, min(cut, len(text)))
		var out bytes.Buffer
		r := joblog.NewResult(&out)
		for _, part := range []string{text[:cut], text[cut:]} {
			n, err := r.Write([]byte(part))
			require.NoError(t, err)
			require.Equal(t, len(part), n)
		}
		obeyed, obeys := joblogtest.Read(out.String())
		require.Empty(t, obeyed, "%q", out.String())
		require.True(t, obeys)
	})
}

func TestResult_ofJSON(t *testing.T) {
	for _, text := range []string{`{"a": "x ##[error]y", "b": [[1], "::error::"]}`, `["\n::", "##["]`} {
		var out bytes.Buffer
		_, err := joblog.NewResult(&out).Write([]byte(text))
		require.NoError(t, err)
		require.JSONEq(t, text, out.String())
		require.NotContains(t, out.String(), "##[")
	}
}

func TestDetect(t *testing.T) {
	for name, want := range map[string]joblog.CI{"GITHUB_ACTIONS": joblog.Actions, "GITLAB_CI": joblog.GitLab, "CI": joblog.None} {
		vars := map[string]string{name: "true"}
		require.Equal(t, want, joblog.Detect(func(n string) (string, bool) { v, ok := vars[n]; return v, ok }))
	}
}
