package github_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github"
)

// TestCall_withinTheRateLimits: what GitHub puts off is no refusal of the token. It is waited
// for, or the error says until when.
func TestCall_withinTheRateLimits(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	const primary, secondary = `{"message":"API rate limit exceeded for installation"}`, `{"message":"You have exceeded a secondary rate limit"}`
	const limited, empty = `{"data":null,"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`, `{"data":{"repository":{"pullRequest":{"comments":{"nodes":[],"pageInfo":{}}}}}}`
	const may = `{"message":"Resource not accessible by integration"}`
	type answer struct {
		status int
		header map[string]string
		body   string
	}
	for name, tc := range map[string]struct {
		put       bool     // which may not be made twice
		answers   []answer // the last one stays
		waits     []time.Duration
		says      string // in the error
		forbidden bool
	}{
		"primary, until soon": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(40 * time.Second)}, primary}, {201, nil, `{}`}},
			waits: []time.Duration{40 * time.Second}},
		"primary, as 429": {put: true, answers: []answer{{429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(40 * time.Second)}, primary}, {201, nil, `{}`}},
			waits: []time.Duration{40 * time.Second}},
		"primary, ended by now": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(-time.Second)}, primary}, {201, nil, `{}`}},
			waits: []time.Duration{2 * time.Second}},
		"primary, for long": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(50 * time.Minute)}, primary}},
			says: `GitHub answered 403 Forbidden: "API rate limit exceeded for installation": its rate limit lets nothing through until 2026-11-27 12:50:00 UTC`},
		"primary, for nobody knows how long": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "0"}, primary}, {201, nil, `{}`}},
			waits: []time.Duration{time.Minute}},
		"secondary": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "17"}, secondary}, {201, nil, `{}`}},
			waits: []time.Duration{time.Minute}},
		"secondary that goes on": {put: true, answers: []answer{{403, nil, secondary}},
			waits: []time.Duration{time.Minute, time.Minute, time.Minute}, says: "until 2026-11-27 12:01:00 UTC"},
		"a wait that is asked for": {put: true, answers: []answer{{403, map[string]string{"Retry-After": "7"}, secondary}, {201, nil, `{}`}},
			waits: []time.Duration{7 * time.Second}},
		"a long wait that is asked for": {put: true, answers: []answer{{403, map[string]string{"Retry-After": "120"}, secondary}},
			says: "until 2026-11-27 12:02:00 UTC"},
		"too many, and no more than that": {put: true, answers: []answer{{429, nil, `{}`}, {201, nil, `{}`}},
			waits: []time.Duration{time.Minute}},
		"GraphQL, until soon": {answers: []answer{{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(40 * time.Second)}, limited}, {200, nil, empty}},
			waits: []time.Duration{40 * time.Second}},
		"GraphQL, for long": {answers: []answer{{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(50 * time.Minute)}, limited}},
			says: `GitHub answered 200 OK: "API rate limit exceeded": its rate limit lets nothing through until 2026-11-27 12:50:00 UTC`},
		"GraphQL, secondary": {answers: []answer{{200, nil, `{"errors":[{"message":"You have exceeded a secondary rate limit"}]}`}, {200, nil, empty}},
			waits: []time.Duration{time.Minute}},
		"the last call within the limit": {answers: []answer{{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(50 * time.Minute)}, empty}}},
		"a refusal": {put: true, answers: []answer{{403, map[string]string{"X-RateLimit-Remaining": "17", "X-RateLimit-Reset": in(40 * time.Second)}, may}},
			says: "403 Forbidden", forbidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			left := tc.answers
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				a := left[0]
				if len(left) > 1 {
					left = left[1:]
				}
				for k, v := range a.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(a.status)
				_, _ = w.Write([]byte(a.body))
			}))
			defer s.Close()
			env := map[string]string{"GITHUB_TOKEN": "bot", "GITHUB_API_URL": s.URL}
			c, err := github.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
			require.NoError(t, err)
			var waits []time.Duration
			c.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			c.Now = func() time.Time { return now }
			if tc.put {
				_, err = c.OpenIssue(t.Context(), "o/r", "title", "body", "drift")
			} else {
				_, err = c.Comments(t.Context(), "o/r", 7)
			}
			require.Equal(t, tc.waits, waits)
			require.Equal(t, tc.forbidden, github.Forbidden(err))
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.says)
			e, ok := err.(*github.Error)
			require.True(t, ok, "%T", err)
			require.Equal(t, tc.forbidden, e.Credentials(), "the exit code says what is at fault")
			require.Equal(t, tc.forbidden, e.Hint() == "give the token issues: write", e.Hint())
		})
	}
}
