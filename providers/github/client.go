package github

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/jsonapi"
)

// Client calls GitHub with one token.
type Client struct {
	jsonapi.Client
	api, graphql, token string
}

// Error says what GitHub refused.
type Error = jsonapi.Error

// New reads the token and, for GitHub Enterprise, the addresses from the environment.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func New(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	c := &Client{token: cmp.Or(get("GITHUB_TOKEN"), get("GH_TOKEN")),
		api:     strings.TrimSuffix(cmp.Or(get("GITHUB_API_URL"), "https://api.github.com"), "/"),
		graphql: get("GITHUB_GRAPHQL_URL"),
	}
	c.Client = jsonapi.Client{Name: "GitHub", Setting: "GITHUB_API_URL", Most: 16 << 20, Limited: limited, Said: said,
		Header: map[string]string{"Authorization": "Bearer " + c.token, "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
		Fixes: map[int]string{
			http.StatusUnauthorized: "the token is not valid any more: set GITHUB_TOKEN to one that is",
			http.StatusForbidden:    "give the token pull-requests: write; that of a pull request from a fork cannot have it",
			http.StatusNotFound:     "look at GITHUB_REPOSITORY, and whether the token may read it",
		}}
	if c.graphql == "" { // Enterprise: https://HOST/api/v3 and https://HOST/api/graphql
		c.graphql = strings.TrimSuffix(c.api, "/v3") + "/graphql"
	}
	if c.token == "" {
		return nil, &Error{What: "github", Status: http.StatusUnauthorized, Why: "there is no token", Fix: "set GITHUB_TOKEN: in Actions, env: GITHUB_TOKEN: ${{ github.token }} and permissions: pull-requests: write"}
	}
	for _, address := range []string{c.api, c.graphql} {
		if !jsonapi.IsAddress(address) {
			return nil, &Error{What: "github", Why: fmt.Sprintf("%q is no address of an API", address), Fix: "set GITHUB_API_URL and GITHUB_GRAPHQL_URL to https://…, or neither"}
		}
	}
	return c, nil
}

// Token is the secret that the client sends, to be hidden from everything printed.
func (c *Client) Token() string { return c.token }

// Forbidden reports whether err says that the token may not do this, as that of a pull
// request from a fork may not.
func Forbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden
}

// atLeast is how long to stay away where GitHub does not say how long.
const atLeast = time.Minute

// limited is how GitHub asks to come back later, which has the status of a token that may not
// do something. GraphQL says it with status 200.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
// https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
func limited(now time.Time, status int, header http.Header, answer []byte) (until time.Time, yes bool) {
	after, none := strconv.Atoi(header.Get("Retry-After"))
	spent := header.Get("X-RateLimit-Remaining") == "0"
	switch status {
	case http.StatusTooManyRequests:
		yes = true
	case http.StatusForbidden:
		yes = none == nil || spent || secondary(said(answer))
	case http.StatusOK: // a limit that is spent with this call has let it through
		yes = limitsGraphQL(answer)
	}
	if !yes {
		return time.Time{}, false
	}
	if none == nil {
		return now.Add(time.Duration(after) * time.Second), true
	}
	if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); spent && err == nil {
		return time.Unix(reset, 0), true
	}
	return now.Add(atLeast), true
}

func secondary(message string) bool {
	return strings.Contains(strings.ToLower(message), "secondary rate limit")
}

// said is GitHub's reason: that of GraphQL is the first of its errors.
func said(answer []byte) string {
	var body struct {
		Message string `json:"message"`
		Errors  []struct{ Message string }
	}
	_ = json.Unmarshal(answer, &body) // what is no JSON says nothing
	if body.Message == "" && len(body.Errors) > 0 {
		return body.Errors[0].Message
	}
	return body.Message
}

func (c *Client) call(ctx context.Context, what, method, address string, again bool, in, out any) error {
	_, err := c.Call(ctx, what, method, address, again, in, out)
	return err
}
