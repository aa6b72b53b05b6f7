package github_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/providers/github/githubtest"
)

func TestIssues_ofManyPagesAndOnlyWithTheLabel(t *testing.T) {
	s := githubtest.New(t)
	for i := range 201 {
		author := "eve"
		if i == 200 {
			author = "apron[bot]"
		}
		s.AddIssue(author, fmt.Sprint(i), "x", "drift")
		s.AddIssue(author, "other", "x")
	}
	c, _ := client(t, s, "apron[bot]")
	got, err := c.Issues(t.Context(), "o/r", "drift")
	require.NoError(t, err)
	require.Len(t, got, 201)
	require.False(t, got[199].Own)
	require.True(t, got[200].Own)
	require.Equal(t, "200", got[200].Title)
}

func TestIssues_saysWhatHelps(t *testing.T) {
	s := githubtest.New(t)
	c, _ := client(t, s, "bot")
	for status, helps := range map[int]string{403: "issues: write", 410: "turn issues on"} {
		s.Fail(status)
		_, err := c.OpenIssue(t.Context(), "o/r", "title", "body", "drift")
		e, ok := err.(*github.Error)
		require.True(t, ok, "%T", err)
		require.Contains(t, e.Hint(), helps)
	}
}
