package gitlab

import (
	"context"
	"fmt"
	"net/http"
)

// MaxNote is how many characters a note may have.
// https://docs.gitlab.com/administration/instance_limits/
const MaxNote = 1_000_000

// Note is a comment on the merge request.
type Note struct {
	ID   int64
	URL  string
	Body string
	Own  bool // its author is the token's own user
}

// Notes reads what has been said on the merge request, the oldest first.
// https://docs.gitlab.com/api/notes/#list-all-merge-request-notes
func (c *Client) Notes(ctx context.Context) ([]Note, error) {
	what := "read the notes of merge request !" + c.request
	var me struct{ ID int64 }
	if _, err := c.call(ctx, what, http.MethodGet, "/user", true, nil, &me); err != nil {
		return nil, err
	}
	var notes []Note
	for page := "1"; page != ""; {
		var all []struct {
			ID     int64
			Body   string
			System bool // GitLab's own: that somebody pushed, and the like
			Author struct{ ID int64 }
		}
		header, err := c.call(ctx, what, http.MethodGet, c.path()+"?sort=asc&order_by=created_at&per_page=100&page="+page, true, nil, &all)
		if err != nil {
			return nil, err
		}
		for _, n := range all {
			if !n.System {
				notes = append(notes, Note{ID: n.ID, URL: c.url(n.ID), Body: n.Body, Own: n.Author.ID == me.ID})
			}
		}
		page = header.Get("X-Next-Page")
	}
	return notes, nil
}

// Put edits a note, or makes it where id is 0, and returns its URL.
func (c *Client) Put(ctx context.Context, id int64, body string) (string, error) {
	method, path := http.MethodPost, c.path()
	if id != 0 {
		method, path = http.MethodPut, fmt.Sprintf("%s/%d", c.path(), id)
	}
	var made struct{ ID int64 }
	_, err := c.call(ctx, "note on merge request !"+c.request, method, path, id != 0, map[string]string{"body": body}, &made)
	return c.url(made.ID), err
}

func (c *Client) path() string {
	return "/projects/" + c.project + "/merge_requests/" + c.request + "/notes"
}

func (c *Client) url(id int64) string {
	if c.page == "" {
		return fmt.Sprintf("note %d of merge request !%s", id, c.request)
	}
	return fmt.Sprintf("%s/-/merge_requests/%s#note_%d", c.page, c.request, id)
}
