package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Pull is a pull request and what was said of it.
type Pull struct {
	Number   int
	Author   string    // identity; empty where the account is gone
	Head     string    // the last commit of its branch
	MergedAt time.Time // zero if it is not
	Reviews  []Review  // the oldest first
}

// Review is a review of a pull request.
type Review struct {
	Author  string // identity; empty where the account is gone
	Person  bool   // and neither an app nor the token's own user
	MayPush bool   // to the repository
	State   string // APPROVED, CHANGES_REQUESTED, DISMISSED, COMMENTED, PENDING
	Commit  string // that was reviewed
	At      time.Time
}

// perPage is the most that REST gives at once.
const perPage = 100

// Merged lists the pull requests that were merged as a commit, by number. After a merge,
// a squash or a rebase that is the commit which the base branch came to, also out of a
// merge queue.
// https://docs.github.com/en/rest/commits/commits#list-pull-requests-associated-with-a-commit
//
// A branch leaves out those that were merged into another: what is reviewed there may be by
// other rules.
func (c *Client) Merged(ctx context.Context, repository, commit, branch string) ([]int, error) {
	var numbers []int
	for n := 1; ; n++ {
		var pulls []struct {
			Number         int
			MergedAt       *time.Time `json:"merged_at"`
			MergeCommitSHA string     `json:"merge_commit_sha"`
			Base           struct{ Ref string }
		}
		query := url.Values{"per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(n)}}
		address := fmt.Sprintf("%s/repos/%s/commits/%s/pulls?%s", c.api, repository, url.PathEscape(commit), query.Encode())
		if err := c.call(ctx, "find the pull request of commit "+commit+" in "+repository, http.MethodGet, address, true, nil, &pulls); err != nil {
			return nil, err
		}
		for _, p := range pulls {
			if p.MergedAt != nil && p.MergeCommitSHA == commit && p.Base.Ref == branch {
				numbers = append(numbers, p.Number)
			}
		}
		if len(pulls) < perPage {
			return numbers, nil
		}
	}
}

const reviewsQuery = `query($owner:String!,$name:String!,$number:Int!,$after:String){
repository(owner:$owner,name:$name){pullRequest(number:$number){headRefOid mergedAt author` + actorFields + `
reviews(first:100,after:$after){nodes{state submittedAt viewerDidAuthor authorCanPushToRepository commit{oid} author` + actorFields + `}
pageInfo{hasNextPage endCursor}}}}}`

// Pull reads a pull request and its reviews.
// https://docs.github.com/en/graphql/reference/objects#pullrequestreview
func (c *Client) Pull(ctx context.Context, repository string, number int) (Pull, error) {
	what := fmt.Sprintf("read the reviews of %s#%d", repository, number)
	p := Pull{Number: number}
	err := c.connection(ctx, what, reviewsQuery, repository, map[string]any{"number": number}, func(data json.RawMessage) (page, error) {
		var r *struct {
			PullRequest *struct {
				HeadRefOid string
				MergedAt   *time.Time
				Author     *actor
				Reviews    struct {
					Nodes    []reviewNode
					PageInfo page
				}
			}
		}
		if err := decode(what, data, &r); err != nil {
			return page{}, err
		}
		if r == nil || r.PullRequest == nil {
			return page{}, noPull(what)
		}
		got := r.PullRequest
		p.Head, p.MergedAt = got.HeadRefOid, later(time.Time{}, got.MergedAt)
		if got.Author != nil {
			p.Author = got.Author.ID
		}
		for _, n := range got.Reviews.Nodes {
			p.Reviews = append(p.Reviews, n.review())
		}
		return got.Reviews.PageInfo, nil
	})
	return p, err
}

type reviewNode struct {
	State                                      string
	SubmittedAt                                *time.Time // null while it is pending
	ViewerDidAuthor, AuthorCanPushToRepository bool
	Commit                                     *struct{ OID string }
	Author                                     *actor
}

func (n reviewNode) review() Review {
	r := Review{State: n.State, MayPush: n.AuthorCanPushToRepository, At: later(time.Time{}, n.SubmittedAt)}
	if n.Author != nil {
		r.Author, r.Person = n.Author.ID, n.Author.Typename == "User" && !n.ViewerDidAuthor
	}
	if n.Commit != nil {
		r.Commit = n.Commit.OID
	}
	return r
}
