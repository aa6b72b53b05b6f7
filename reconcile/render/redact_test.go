package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func redacted(chunks []string, values ...string) string {
	var b bytes.Buffer
	r := NewRedactor(&b, values...)
	for _, c := range chunks {
		_, _ = r.Write([]byte(c))
	}
	_ = r.Close()
	return b.String()
}

func TestRedactor_replacesValuesInEverySpelling(t *testing.T) {
	const secret = "p\"ss w/rd&<é>|"
	quoted, _ := json.Marshal(secret)
	for name, text := range map[string]string{
		"plain":      secret,
		"JSON":       strings.Trim(string(quoted), `"`),
		"Go":         strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"Go, ASCII":  strings.Trim(fmt.Sprintf("%+q", secret), `"`),
		"query":      url.QueryEscape(secret),
		"path":       url.PathEscape(secret),
		"base64":     base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 URL": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"hex":        fmt.Sprintf("%x", secret),
		"HEX":        fmt.Sprintf("%X", secret),
		"Markdown":   strings.Trim(code(secret), "`\""),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "a (sensitive) b", redacted([]string{"a " + text + " b"}, secret))
		})
	}
}

// A line that an application logged as JSON is quoted once more where apron writes JSON.
func TestRedactor_replacesWhatWasQuotedTwice(t *testing.T) {
	const secret = "p\"ss\\w/rd&<é>|\tx"
	quoted, _ := json.Marshal(secret)
	for name, line := range map[string]string{
		"plain":          secret,
		"JSON":           `{"msg":` + string(quoted) + `}`,
		"Go":             fmt.Sprintf("value=%q", secret),
		"Go within JSON": fmt.Sprintf(`{"msg":%q}`, fmt.Sprintf("value=%q", secret)),
	} {
		t.Run(name, func(t *testing.T) {
			again, err := encode(map[string]string{"why": line}, "")
			require.NoError(t, err)
			html, err := json.Marshal(line)
			require.NoError(t, err)
			for _, text := range []string{again, string(html), code(line), clean(line)} {
				out := redacted([]string{text}, secret)
				require.Contains(t, out, Mask)
				require.NotContains(t, out, "ss")
			}
		})
	}
}

func TestRedactor_findsAValueInTheBase64OfALongerText(t *testing.T) {
	const secret = "correct horse battery"
	for _, user := range []string{"", "u", "us", "ana"} {
		out := redacted([]string{base64.StdEncoding.EncodeToString([]byte(user + ":" + secret + "\n"))}, secret)
		require.Contains(t, out, Mask)
		require.Less(t, len(out)-len(Mask), 12, out)
	}
}

func TestRedactor_hidesTheLinesOfAKey(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
	out := redacted([]string{"| MIIEvQIBADANBgkq\n| hkiG9w0BAQEFAASC\n"}, key)
	require.Equal(t, "| (sensitive)\n| (sensitive)\n", out)
}

func TestRedactor_leavesShortValuesAlone(t *testing.T) {
	require.Equal(t, "a abc b", redacted([]string{"a abc b"}, "abc", "a", ""))
}

func TestRedactor_coversWhatOverlaps(t *testing.T) {
	for name, tc := range map[string]struct {
		values []string
		want   string
	}{
		"one in another":  {[]string{"2345", "123456"}, "0(sensitive)789"},
		"start of longer": {[]string{"1234", "123456"}, "0(sensitive)789"},
		"overlapping":     {[]string{"1234", "3456"}, "0(sensitive)789"},
		"side by side":    {[]string{"1234", "5678"}, "0(sensitive)(sensitive)9"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, redacted([]string{"0123456789"}, tc.values...))
			require.Equal(t, tc.want, redacted(strings.Split("0123456789", ""), tc.values...))
		})
	}
}

func TestRedactor_holdsBackOnlyWhatMayBecomeAValue(t *testing.T) {
	var b bytes.Buffer
	r := NewRedactor(&b, "secret")
	fmt.Fprint(r, "Really? (yes/no) ")
	require.Equal(t, "Really? (yes/no) ", b.String())
	fmt.Fprint(r, "sec")
	require.Equal(t, "Really? (yes/no) ", b.String())
	fmt.Fprint(r, "ond")
	require.Equal(t, "Really? (yes/no) second", b.String())
	fmt.Fprint(r, "secre")
	require.NoError(t, r.Close())
	require.Equal(t, "Really? (yes/no) secondsecre", b.String())
}

func TestRedactor_hidesWhatBecomesKnownLater(t *testing.T) {
	var b bytes.Buffer
	r := NewRedactor(&b)
	fmt.Fprint(r, "secret ")
	r.Hide("secret")
	fmt.Fprint(r, "secret ")
	require.NoError(t, r.Close())
	require.Equal(t, "secret (sensitive) ", b.String())
}

func TestRedactor_reportsTheErrorOfItsWriter(t *testing.T) {
	r := NewRedactor(iotest.TruncateWriter(io.Discard, 0), "secret")
	_, err := r.Write([]byte("fine"))
	require.NoError(t, err)
	full := errors.New("disk full")
	_, err = NewRedactor(failing{full}).Write([]byte("x"))
	require.ErrorIs(t, err, full)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestRedactor_isSafeForConcurrentUse(t *testing.T) {
	r := NewRedactor(io.Discard)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r.Hide(fmt.Sprintf("secret %d", i))
			fmt.Fprintf(r, "secret %d", i)
		})
	}
	wg.Wait()
	require.NoError(t, r.Close())
}

// chunked cuts text at drawn places.
func chunked(t *rapid.T, text string) []string {
	var chunks []string
	for len(text) > 0 {
		n := rapid.IntRange(1, len(text)).Draw(t, "chunk")
		chunks, text = append(chunks, text[:n]), text[n:]
	}
	return chunks
}

func TestRedactor_noValueIsEverInTheOutputWhateverTheChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// A small alphabet makes values overlap, contain each other and repeat.
		values := rapid.SliceOfN(rapid.StringMatching(`[ab"&]{4,9}|[abc\n]{8,20}`), 1, 4).Draw(t, "values")
		var text strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			v := rapid.SampledFrom(values).Draw(t, "value")
			switch rapid.IntRange(0, 4).Draw(t, "part") {
			case 0:
				text.WriteString(rapid.StringMatching(`[abc"&\n]{0,6}`).Draw(t, "noise"))
			case 1:
				text.WriteString(rapid.SampledFrom(forms(v)).Draw(t, "form"))
			default:
				text.WriteString(v)
			}
		}
		whole := redacted([]string{text.String()}, values...)
		if cut := redacted(chunked(t, text.String()), values...); cut != whole {
			t.Fatalf("in pieces %q, and at once %q", cut, whole)
		}
		for _, between := range strings.Split(whole, Mask) {
			for _, v := range values {
				for _, form := range forms(v) {
					if strings.Contains(between, form) {
						t.Fatalf("%q is in %q", form, whole)
					}
				}
			}
		}
	})
}

func TestRedactor_leavesEverythingElseAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z \n]{0,200}`).Draw(t, "text")
		if out := redacted(chunked(t, text), "UPPER CASE", "12345"); out != text {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

func FuzzRedactor(f *testing.F) {
	f.Add("secret", "a secret b", 3)
	f.Add("abab", "abababab", 1)
	f.Fuzz(func(t *testing.T, value, text string, size int) {
		if size <= 0 {
			return
		}
		var chunks []string
		for rest := text + value + text; len(rest) > 0; {
			n := min(size, len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		for _, between := range strings.Split(redacted(chunks, value), Mask) {
			if len(value) >= secretMin {
				require.NotContains(t, between, value)
			}
		}
	})
}
