package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// page is where a connection of GraphQL goes on.
type page struct {
	HasNextPage bool
	EndCursor   string
}

// actor is whoever did something. Logins are no identities: that of an app has [bot] behind
// it in some places and not in others, and a login can pass to somebody else.
// https://docs.github.com/en/graphql/reference/interfaces#actor
type actor struct {
	ID       string
	Typename string `json:"__typename"` // User, Bot, Mannequin, …
}

const actorFields = `{__typename ...on Node{id}}`

// connection asks for a repository, page by page. read is given what the repository holds
// and says where it goes on; "null" is a repository that is not there.
func (c *Client) connection(ctx context.Context, what, query, repository string, variables map[string]any, read func(json.RawMessage) (page, error)) error {
	owner, name, _ := strings.Cut(repository, "/")
	variables["owner"], variables["name"], variables["after"] = owner, name, nil
	for {
		var answer struct {
			Data   struct{ Repository json.RawMessage }
			Errors []struct{ Type, Message string }
		}
		err := c.call(ctx, what, http.MethodPost, c.graphql, true, map[string]any{"query": query, "variables": variables}, &answer)
		if err != nil {
			return err
		}
		if len(answer.Errors) > 0 {
			e := &Error{What: what, Why: fmt.Sprintf("GitHub says %q", answer.Errors[0].Message), Fix: "look at GITHUB_REPOSITORY and the permissions of the token"}
			if answer.Errors[0].Type == "FORBIDDEN" {
				e.Status = http.StatusForbidden
			}
			return e
		}
		next, err := read(answer.Data.Repository)
		if err != nil || !next.HasNextPage {
			return err
		}
		variables["after"] = next.EndCursor
	}
}

// limitsGraphQL reports whether an answer says that too much was asked for.
func limitsGraphQL(answer []byte) bool {
	var body struct {
		Errors []struct{ Type, Message string }
	}
	_ = json.Unmarshal(answer, &body) // what is no object is no answer of GraphQL
	for _, e := range body.Errors {
		// RATE_LIMITED as documented, RATE_LIMIT as sent
		if strings.HasPrefix(e.Type, "RATE_LIMIT") || secondary(e.Message) {
			return true
		}
	}
	return false
}

// decode reads a part of an answer.
func decode(what string, data json.RawMessage, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return &Error{What: what, Why: "the answer is not what was asked for", Fix: "look at GITHUB_GRAPHQL_URL"}
	}
	return nil
}

// later is the later of a time and one that may be missing.
func later(t time.Time, other *time.Time) time.Time {
	if other != nil && other.After(t) {
		return *other
	}
	return t
}
