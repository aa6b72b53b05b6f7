package gitlab_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/gitlab"
	"github.com/apron-deploy/apron/providers/gitlab/gitlabtest"
)

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func client(t *testing.T, s *gitlabtest.Server, token string) (*gitlab.Client, *[]time.Duration) {
	t.Helper()
	c, err := gitlab.New(lookup(s.Variables(token)))
	require.NoError(t, err)
	var waits []time.Duration
	c.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	return c, &waits
}

func TestNotes_ofManyPages(t *testing.T) {
	s := gitlabtest.New(t)
	for i := range 201 {
		s.Add([]string{"bot", "eve", ""}[i%3], strconv.Itoa(i))
	}
	c, _ := client(t, s, "bot")
	got, err := c.Notes(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 134, "what GitLab says itself is no note")
	require.Equal(t, gitlab.Note{ID: 1, URL: "https://gitlab.example.com/g/p/-/merge_requests/7#note_1", Body: "0", Own: true}, got[0])
	require.False(t, got[1].Own)
	require.Equal(t, "199", got[133].Body)
}

func TestPut(t *testing.T) {
	s := gitlabtest.New(t, "reader")
	s.Add("eve", "hers")
	c, _ := client(t, s, "bot")
	url, err := c.Put(t.Context(), 0, "one")
	require.NoError(t, err)
	require.Equal(t, "https://gitlab.example.com/g/p/-/merge_requests/7#note_2", url)
	_, err = c.Put(t.Context(), 2, "two")
	require.NoError(t, err)
	require.Equal(t, "two", s.Notes()[1].Body)
	_, err = c.Put(t.Context(), 1, "forged")
	require.True(t, gitlab.Forbidden(err))
	_, err = c.Put(t.Context(), 0, strings.Repeat("é", gitlab.MaxNote))
	require.NoError(t, err)
	_, err = c.Put(t.Context(), 0, strings.Repeat("é", gitlab.MaxNote+1))
	require.ErrorContains(t, err, "is too long")
	reader, _ := client(t, s, "reader")
	_, err = reader.Put(t.Context(), 0, "x")
	require.True(t, gitlab.Forbidden(err))
	expired, _ := client(t, s, "expired")
	_, err = expired.Notes(t.Context())
	require.True(t, gitlab.Forbidden(err))
}

func TestCall_again(t *testing.T) {
	s := gitlabtest.New(t)
	c, waits := client(t, s, "bot")
	s.Fail(502, 429)
	_, err := c.Notes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Second, time.Second}, *waits)
	s.Fail(502)
	_, err = c.Put(t.Context(), 0, "once")
	require.ErrorContains(t, err, "502", "what may have been made is not made again")
	require.Empty(t, s.Notes())
}

func TestNew(t *testing.T) {
	s := gitlabtest.New(t)
	for name, tc := range map[string]struct {
		edit      func(vars map[string]string)
		says      string
		forbidden bool
	}{
		"no token":           {func(v map[string]string) { delete(v, "APRON_GITLAB_TOKEN") }, "no token", true},
		"no merge request":   {func(v map[string]string) { delete(v, "CI_MERGE_REQUEST_IID") }, "no merge request", false},
		"a path as a number": {func(v map[string]string) { v["CI_MERGE_REQUEST_IID"] = "7/../8" }, "no merge request", false},
		"no address":         {func(v map[string]string) { v["CI_API_V4_URL"] = "gitlab" }, "no address", false},
	} {
		t.Run(name, func(t *testing.T) {
			vars := s.Variables("bot")
			tc.edit(vars)
			_, err := gitlab.New(lookup(vars))
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, tc.forbidden, gitlab.Forbidden(err))
		})
	}
}

// TestNew_ofAFork asks the project that the merge request is for.
func TestNew_ofAFork(t *testing.T) {
	s := gitlabtest.New(t)
	vars := s.Variables("bot")
	vars["CI_PROJECT_ID"], vars["CI_MERGE_REQUEST_PROJECT_ID"] = "43", "42"
	c, err := gitlab.New(lookup(vars))
	require.NoError(t, err)
	_, err = c.Put(t.Context(), 0, "one")
	require.NoError(t, err)
}
