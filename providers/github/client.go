package github

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	callTime  = 30 * time.Second // for one attempt
	attempts  = 4
	pauseMax  = time.Minute // the longest that GitHub may ask us to wait
	answerMax = 16 << 20    // bytes
)

// Client calls GitHub with one token.
type Client struct {
	api, graphql, token string
	http                *http.Client
	// Wait waits between attempts; it ends early with the context.
	Wait func(ctx context.Context, d time.Duration) error
}

// New reads the token and, for GitHub Enterprise, the addresses from the environment.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func New(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	c := &Client{token: cmp.Or(get("GITHUB_TOKEN"), get("GH_TOKEN")), Wait: wait,
		api:     strings.TrimSuffix(cmp.Or(get("GITHUB_API_URL"), "https://api.github.com"), "/"),
		graphql: get("GITHUB_GRAPHQL_URL"),
		http:    &http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if c.graphql == "" { // Enterprise: https://HOST/api/v3 and https://HOST/api/graphql
		c.graphql = strings.TrimSuffix(c.api, "/v3") + "/graphql"
	}
	if c.token == "" {
		return nil, &Error{What: "github", Status: http.StatusUnauthorized, Why: "there is no token", Fix: "set GITHUB_TOKEN: in Actions, env: GITHUB_TOKEN: ${{ github.token }} and permissions: pull-requests: write"}
	}
	for _, address := range []string{c.api, c.graphql} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, &Error{What: "github", Why: fmt.Sprintf("%q is no address of an API", address), Fix: "set GITHUB_API_URL and GITHUB_GRAPHQL_URL to https://…, or neither"}
		}
	}
	return c, nil
}

// Token is the secret that the client sends, to be hidden from everything printed.
func (c *Client) Token() string { return c.token }

// Error says what GitHub refused.
type Error struct {
	What   string // that was asked
	Status int    // of HTTP, 401 without a token; 0 where no answer came
	Why    string
	Fix    string
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.What + ": " + e.Why }
func (e *Error) Hint() string  { return e.Fix }

// Credentials reports whether the token is absent, not valid, or may not do this.
func (e *Error) Credentials() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Forbidden reports whether err says that the token may not do this, as that of a pull
// request from a fork may not.
func Forbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden
}

// call makes a call and decodes its answer into out. One that may be made twice is made
// again where GitHub was at fault, and any that GitHub put off.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
func (c *Client) call(ctx context.Context, what, method, address string, again bool, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	for n := 1; ; n++ {
		status, header, answer, err := c.once(ctx, method, address, body)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause := time.Second << n
		after, asked := strconv.Atoi(header.Get("Retry-After"))
		putOff := (status == http.StatusForbidden || status == http.StatusTooManyRequests) && asked == nil
		if asked == nil {
			pause = time.Duration(after) * time.Second
		}
		if n < attempts && pause <= pauseMax && (putOff || again && (err != nil || status >= 500)) {
			if err := c.Wait(ctx, pause); err != nil {
				return err
			}
			continue
		}
		switch {
		case err != nil:
			return &Error{What: what, Why: err.Error(), Fix: "run it again once GitHub answers"}
		case status/100 != 2:
			return refused(what, status, answer)
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return &Error{What: what, Status: status, Why: "the answer is not JSON", Fix: "look at GITHUB_API_URL"}
		}
		return nil
	}
}

func (c *Client) once(ctx context.Context, method, address string, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerMax))
	return res.StatusCode, res.Header, answer, err
}

func refused(what string, status int, answer []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &said) // what is no JSON says nothing
	e := &Error{What: what, Status: status, Why: fmt.Sprintf("GitHub answered %d %s", status, http.StatusText(status))}
	if said.Message != "" {
		e.Why += fmt.Sprintf(": %q", said.Message)
	}
	switch status {
	case http.StatusUnauthorized:
		e.Fix = "the token is not valid any more: set GITHUB_TOKEN to one that is"
	case http.StatusForbidden:
		e.Fix = "give the token pull-requests: write; that of a pull request from a fork cannot have it"
	case http.StatusNotFound:
		e.Fix = "look at GITHUB_REPOSITORY, and whether the token may read it"
	}
	return e
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
