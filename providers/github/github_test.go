package github_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/providers/github/githubtest"
)

func client(t *testing.T, s *githubtest.Server, token string) (*github.Client, *[]time.Duration) {
	t.Helper()
	env := map[string]string{"GITHUB_TOKEN": token, "GITHUB_API_URL": s.URL}
	c, err := github.New(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	require.NoError(t, err)
	var waits []time.Duration
	c.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	return c, &waits
}

func TestComments_ofManyPages(t *testing.T) {
	s := githubtest.New(t)
	for i := range 201 {
		s.Add([]string{"bot", "eve"}[i%2], strconv.Itoa(i))
	}
	c, _ := client(t, s, "bot")
	got, err := c.Comments(t.Context(), "o/r", 7)
	require.NoError(t, err)
	require.Len(t, got, 201)
	require.True(t, got[200].Own)
	require.False(t, got[199].Own)
	_, err = c.Comments(t.Context(), "o/r", 8)
	require.ErrorContains(t, err, "Could not resolve")
}

func TestPut(t *testing.T) {
	s := githubtest.New(t, "fork")
	s.Add("eve", "hers")
	c, _ := client(t, s, "bot")
	url, err := c.Put(t.Context(), "o/r", 7, 0, "one")
	require.NoError(t, err)
	require.Contains(t, url, "issuecomment-2")
	_, err = c.Put(t.Context(), "o/r", 7, 2, "two")
	require.NoError(t, err)
	require.Equal(t, "two", s.Comments()[1].Body)
	_, err = c.Put(t.Context(), "o/r", 7, 1, "forged")
	require.True(t, github.Forbidden(err))
	_, err = c.Put(t.Context(), "o/r", 7, 0, strings.Repeat("x", github.MaxComment+1))
	require.ErrorContains(t, err, "422")
	fork, _ := client(t, s, "fork")
	_, err = fork.Put(t.Context(), "o/r", 7, 0, "x")
	require.True(t, github.Forbidden(err))
}

func TestCall_again(t *testing.T) {
	s := githubtest.New(t)
	c, waits := client(t, s, "bot")
	s.Fail(502, 429)
	_, err := c.Comments(t.Context(), "o/r", 7)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Second, time.Second}, *waits)
	s.Fail(502)
	_, err = c.Put(t.Context(), "o/r", 7, 0, "once")
	require.ErrorContains(t, err, "502", "what may have been made is not made again")
	require.Empty(t, s.Comments())
}

func TestNew_withoutToken(t *testing.T) {
	_, err := github.New(func(string) (string, bool) { return "", false })
	require.ErrorContains(t, err, "no token")
}
