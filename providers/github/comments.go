package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// MaxComment is how many characters a comment may have.
const MaxComment = 65536

// Comment is a comment on a pull request.
type Comment struct {
	ID   int64
	URL  string
	Body string
	Own  bool // its author is the token's own user
}

const commentsQuery = `query($owner:String!,$name:String!,$number:Int!,$after:String){
repository(owner:$owner,name:$name){pullRequest(number:$number){comments(first:100,after:$after){
nodes{databaseId url body viewerDidAuthor} pageInfo{hasNextPage endCursor}}}}}`

// Comments reads the comments of a pull request of a repository, "owner/name".
// https://docs.github.com/en/graphql/reference/objects#issuecomment
func (c *Client) Comments(ctx context.Context, repository string, number int) ([]Comment, error) {
	what := fmt.Sprintf("read the comments of %s#%d", repository, number)
	owner, name, _ := strings.Cut(repository, "/")
	var comments []Comment
	var after *string
	for {
		var answer struct {
			Data struct {
				Repository *struct {
					PullRequest *struct {
						Comments struct {
							Nodes []struct {
								DatabaseID      int64
								URL, Body       string
								ViewerDidAuthor bool
							}
							PageInfo struct {
								HasNextPage bool
								EndCursor   string
							}
						}
					}
				}
			}
			Errors []struct{ Type, Message string }
		}
		err := c.call(ctx, what, http.MethodPost, c.graphql, true, map[string]any{"query": commentsQuery, "variables": map[string]any{
			"owner": owner, "name": name, "number": number, "after": after}}, &answer)
		switch r := answer.Data.Repository; {
		case err != nil:
			return nil, err
		case len(answer.Errors) > 0:
			e := &Error{What: what, Why: fmt.Sprintf("GitHub says %q", answer.Errors[0].Message), Fix: "look at GITHUB_REPOSITORY and the permissions of the token"}
			if answer.Errors[0].Type == "FORBIDDEN" {
				e.Status = http.StatusForbidden
			}
			return nil, e
		case r == nil || r.PullRequest == nil:
			return nil, &Error{What: what, Status: http.StatusNotFound, Why: "there is no such pull request", Fix: "look at GITHUB_REPOSITORY and GITHUB_REF"}
		}
		page := answer.Data.Repository.PullRequest.Comments
		for _, n := range page.Nodes {
			comments = append(comments, Comment{ID: n.DatabaseID, URL: n.URL, Body: n.Body, Own: n.ViewerDidAuthor})
		}
		if !page.PageInfo.HasNextPage {
			return comments, nil
		}
		after = &page.PageInfo.EndCursor
	}
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
