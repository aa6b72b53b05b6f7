package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Issue is an issue of a repository.
type Issue struct {
	Number int
	URL    string
	Title  string
	Body   string
	Open   bool
	Own    bool // its author is the token's own user
}

const issuesQuery = `query($owner:String!,$name:String!,$label:String!,$after:String){
repository(owner:$owner,name:$name){issues(first:100,after:$after,labels:[$label],orderBy:{field:CREATED_AT,direction:ASC}){
nodes{number url title body state viewerDidAuthor} pageInfo{hasNextPage endCursor}}}}`

// Issues reads the issues that have a label, open or not, the oldest first.
// https://docs.github.com/en/graphql/reference/objects#issue
func (c *Client) Issues(ctx context.Context, repository, label string) ([]Issue, error) {
	what := "read the issues of " + repository
	var issues []Issue
	err := c.connection(ctx, what, issuesQuery, repository, map[string]any{"label": label}, func(data json.RawMessage) (page, error) {
		var r *struct {
			Issues struct {
				Nodes []struct {
					Number           int
					URL, Title, Body string
					State            string
					ViewerDidAuthor  bool
				}
				PageInfo page
			}
		}
		if err := decode(what, data, &r); err != nil {
			return page{}, err
		}
		if r == nil {
			return page{}, &Error{What: what, Status: http.StatusNotFound, Why: "there is no such repository", Fix: "look at GITHUB_REPOSITORY"}
		}
		for _, n := range r.Issues.Nodes {
			issues = append(issues, Issue{Number: n.Number, URL: n.URL, Title: n.Title, Body: n.Body, Open: n.State == "OPEN", Own: n.ViewerDidAuthor})
		}
		return r.Issues.PageInfo, nil
	})
	return issues, aboutIssues(err)
}

// OpenIssue makes an issue with a label, and returns its URL.
// https://docs.github.com/en/rest/issues/issues#create-an-issue
func (c *Client) OpenIssue(ctx context.Context, repository, title, body, label string) (string, error) {
	return c.issue(ctx, "open an issue in "+repository, http.MethodPost, fmt.Sprintf("%s/repos/%s/issues", c.api, repository),
		map[string]any{"title": title, "body": body, "labels": []string{label}})
}

// EditIssue gives an issue another body, and opens it again if it is closed.
// https://docs.github.com/en/rest/issues/issues#update-an-issue
func (c *Client) EditIssue(ctx context.Context, repository string, number int, body string) error {
	_, err := c.issue(ctx, fmt.Sprintf("edit %s#%d", repository, number), http.MethodPatch, fmt.Sprintf("%s/repos/%s/issues/%d", c.api, repository, number),
		map[string]any{"body": body, "state": "open"})
	return err
}

// CloseIssue comments on an issue, and closes it.
func (c *Client) CloseIssue(ctx context.Context, repository string, number int, why string) error {
	what := fmt.Sprintf("close %s#%d", repository, number)
	address := fmt.Sprintf("%s/repos/%s/issues/%d", c.api, repository, number)
	if _, err := c.issue(ctx, what, http.MethodPost, address+"/comments", map[string]any{"body": why}); err != nil {
		return err
	}
	_, err := c.issue(ctx, what, http.MethodPatch, address, map[string]any{"state": "closed", "state_reason": "completed"})
	return err
}

func (c *Client) issue(ctx context.Context, what, method, address string, in map[string]any) (string, error) {
	var made struct {
		URL string `json:"html_url"`
	}
	err := c.call(ctx, what, method, address, method == http.MethodPatch, in, &made)
	return made.URL, aboutIssues(err)
}

// aboutIssues has an error say what helps with issues.
func aboutIssues(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusForbidden:
			e.Fix = "give the token issues: write"
		case http.StatusGone:
			e.Fix = "turn issues on in the settings of the repository"
		}
	}
	return err
}
