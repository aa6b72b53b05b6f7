package github_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/providers/github/githubtest"
)

func TestComments_sayWhoWroteAndEdited(t *testing.T) {
	s := githubtest.New(t)
	for _, author := range []string{"apron[bot]", "apron[bot]", "apron[bot]", "eve"} {
		s.Add(author, "x")
	}
	s.Edit(2, "apron[bot]", "mine")
	s.Edit(3, "eve", "forged")
	s.Edit(4, "eve", "hers")
	c, _ := client(t, s, "apron[bot]")
	got, err := c.Comments(t.Context(), "o/r", 7)
	require.NoError(t, err)
	var own, kept []bool
	for _, c := range got {
		own, kept = append(own, c.Own), append(kept, c.Kept)
	}
	require.Equal(t, []bool{true, true, true, false}, own)
	require.Equal(t, []bool{true, true, false, true}, kept)
	require.Equal(t, 4*time.Minute, got[1].At.Sub(got[0].At), "an edit is what counts")
	s.Edit(1, "", "an account that is gone has edited this")
	got, err = c.Comments(t.Context(), "o/r", 7)
	require.NoError(t, err)
	require.False(t, got[0].Kept)
}

func TestMerged_isByTheMergeCommit(t *testing.T) {
	s := githubtest.New(t)
	c, _ := client(t, s, "bot")
	got, err := c.Merged(t.Context(), "o/r", "head-1", "main")
	require.NoError(t, err)
	require.Empty(t, got, "an open one is not merged")
	many := make([]int, 150)
	for i := range many {
		many[i] = i + 1
	}
	s.Merge("queued-1", many...)
	got, err = c.Merged(t.Context(), "o/r", "queued-1", "main")
	require.NoError(t, err)
	require.Equal(t, many, got)
	got, err = c.Merged(t.Context(), "o/r", "queued-1", "dev")
	require.NoError(t, err)
	require.Empty(t, got, "they were merged into main")
	s.Fail(404)
	_, err = c.Merged(t.Context(), "o/r", "gone", "main")
	require.ErrorContains(t, err, "find the pull request of commit gone in o/r: GitHub answered 404")
}

func TestPull_readsReviewsOfManyPages(t *testing.T) {
	s := githubtest.New(t)
	s.Strangers("eve")
	for range 100 {
		s.Review("bob", "COMMENTED")
	}
	s.Review("eve", "APPROVED")
	s.Push("head-2")
	s.Review("check[bot]", "APPROVED")
	s.Review("bob", "APPROVED")
	s.Dismiss()
	s.Review("", "APPROVED")
	s.Merge("merge-1", 7)
	c, _ := client(t, s, "apron[bot]")
	p, err := c.Pull(t.Context(), "o/r", 7)
	require.NoError(t, err)
	require.Equal(t, "head-2", p.Head)
	require.Equal(t, "User_ann", p.Author)
	require.Len(t, p.Reviews, 104)
	require.True(t, p.MergedAt.After(p.Reviews[103].At))
	for i := range p.Reviews {
		require.False(t, p.Reviews[i].At.IsZero())
		p.Reviews[i].At = p.MergedAt
	}
	require.Equal(t, []github.Review{
		{Author: "User_eve", Person: true, State: "APPROVED", Commit: "head-1", At: p.MergedAt},
		{Author: "Bot_check", MayPush: true, State: "APPROVED", Commit: "head-2", At: p.MergedAt},
		{Author: "User_bob", Person: true, MayPush: true, State: "DISMISSED", Commit: "head-2", At: p.MergedAt},
		{MayPush: true, State: "APPROVED", Commit: "head-2", At: p.MergedAt},
	}, p.Reviews[100:])
	own, _ := client(t, s, "bob")
	p, err = own.Pull(t.Context(), "o/r", 7)
	require.NoError(t, err)
	require.False(t, p.Reviews[102].Person, "the token's own user is nobody else")
	_, err = c.Pull(t.Context(), "o/r", 8)
	require.ErrorContains(t, err, "Could not resolve")
}
