package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// MaxComment is how many characters a comment may have.
const MaxComment = 65536

// Comment is a comment on a pull request.
type Comment struct {
	ID   int64
	URL  string
	Body string
	Own  bool      // its author is the token's own user
	Kept bool      // nobody but its author has edited it last
	At   time.Time // it was written, or edited
}

const commentsQuery = `query($owner:String!,$name:String!,$number:Int!,$after:String){
repository(owner:$owner,name:$name){pullRequest(number:$number){comments(first:100,after:$after){
nodes{databaseId url body viewerDidAuthor createdAt lastEditedAt author` + actorFields + ` editor` + actorFields + `}
pageInfo{hasNextPage endCursor}}}}}`

// Comments reads the comments of a pull request of a repository, "owner/name".
// https://docs.github.com/en/graphql/reference/objects#issuecomment
func (c *Client) Comments(ctx context.Context, repository string, number int) ([]Comment, error) {
	what := fmt.Sprintf("read the comments of %s#%d", repository, number)
	var comments []Comment
	err := c.connection(ctx, what, commentsQuery, repository, map[string]any{"number": number}, func(data json.RawMessage) (page, error) {
		var r *struct {
			PullRequest *struct {
				Comments struct {
					Nodes    []commentNode
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
		for _, n := range r.PullRequest.Comments.Nodes {
			comments = append(comments, n.comment())
		}
		return r.PullRequest.Comments.PageInfo, nil
	})
	return comments, err
}

type commentNode struct {
	DatabaseID      int64
	URL, Body       string
	ViewerDidAuthor bool
	CreatedAt       time.Time
	LastEditedAt    *time.Time
	Author, Editor  *actor // null once the account is gone
}

func (n commentNode) comment() Comment {
	c := Comment{ID: n.DatabaseID, URL: n.URL, Body: n.Body, Own: n.ViewerDidAuthor, At: later(n.CreatedAt, n.LastEditedAt)}
	c.Kept = n.LastEditedAt == nil && n.Editor == nil || n.Author != nil && n.Editor != nil && n.Author.ID != "" && n.Author.ID == n.Editor.ID
	return c
}

func noPull(what string) error {
	return &Error{What: what, Status: http.StatusNotFound, Why: "there is no such pull request", Fix: "look at GITHUB_REPOSITORY and GITHUB_REF"}
}

// Put edits a comment, or makes it where id is 0, and returns its URL.
// https://docs.github.com/en/rest/issues/comments
func (c *Client) Put(ctx context.Context, repository string, number int, id int64, body string) (string, error) {
	method, address := http.MethodPost, fmt.Sprintf("%s/repos/%s/issues/%d/comments", c.api, repository, number)
	if id != 0 {
		method, address = http.MethodPatch, fmt.Sprintf("%s/repos/%s/issues/comments/%d", c.api, repository, id)
	}
	var made struct {
		URL string `json:"html_url"`
	}
	err := c.call(ctx, fmt.Sprintf("comment on %s#%d", repository, number), method, address, id != 0, map[string]string{"body": body}, &made)
	return made.URL, err
}
