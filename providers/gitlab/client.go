package gitlab

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
	pauseMax  = time.Minute // the longest that GitLab may ask us to wait
	answerMax = 64 << 20    // bytes: a page of notes of a million characters each is larger, and refused
)

// tokenName is the variable that holds the token. That of a job, CI_JOB_TOKEN, may not write
// notes. https://docs.gitlab.com/ci/jobs/ci_job_token/
const tokenName = "APRON_GITLAB_TOKEN"

// Client speaks with GitLab about one merge request.
type Client struct {
	api, token       string
	project, request string // ids as GitLab names them
	page             string // of the merge request, for people; may be empty
	http             *http.Client
	// Wait waits between attempts; it ends early with the context.
	Wait func(ctx context.Context, d time.Duration) error
}

// ErrNone says that a job is for no merge request.
var ErrNone = errors.New("this job is for no merge request")

// New reads which merge request the job is for, and the token. Without a token it returns an
// [*Error] that is [Forbidden]: the pipelines of forks have none.
// https://docs.gitlab.com/ci/variables/predefined_variables/
func New(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	c := &Client{token: get(tokenName), Wait: wait,
		api:     strings.TrimSuffix(get("CI_API_V4_URL"), "/"),
		project: cmp.Or(get("CI_MERGE_REQUEST_PROJECT_ID"), get("CI_PROJECT_ID")), // of a fork's pipeline, the project that it asks
		request: get("CI_MERGE_REQUEST_IID"),
		page:    cmp.Or(get("CI_MERGE_REQUEST_PROJECT_URL"), get("CI_PROJECT_URL")),
		http:    &http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, id := range []string{c.project, c.request} {
		if n, err := strconv.ParseUint(id, 10, 63); err != nil || n == 0 {
			return nil, ErrNone
		}
	}
	if u, err := url.Parse(c.api); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, &Error{What: "gitlab", Why: fmt.Sprintf("%q is no address of an API", c.api), Fix: "set CI_API_V4_URL to https://HOST/api/v4, as GitLab CI does"}
	}
	if c.token == "" {
		return nil, &Error{What: "gitlab", Status: http.StatusUnauthorized, Why: "there is no token", Fix: "make a project access token with the scope api and the role Reporter, and set it as the masked variable " + tokenName}
	}
	return c, nil
}

// Token is the secret that the client sends, to be hidden from everything printed.
func (c *Client) Token() string { return c.token }

// Error says what GitLab refused.
type Error struct {
	What   string // that was asked
	Status int    // of HTTP, 401 without a token; 0 where no answer came
	Why    string
	Fix    string
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.What + ": " + e.Why }
func (e *Error) Hint() string  { return e.Fix }

// Forbidden reports whether err says that there is no token, or that it may not do this.
func Forbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// call makes a call and decodes its answer into out. One that may be made twice is made
// again where GitLab was at fault, and any that GitLab put off.
// https://docs.gitlab.com/security/rate_limits/
func (c *Client) call(ctx context.Context, what, method, path string, again bool, in, out any) (http.Header, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	for n := 1; ; n++ {
		status, header, answer, err := c.once(ctx, method, c.api+path, body)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		pause := time.Second << n
		if after, wrong := strconv.Atoi(header.Get("Retry-After")); wrong == nil {
			pause = time.Duration(after) * time.Second
		}
		if n < attempts && pause <= pauseMax && (status == http.StatusTooManyRequests || again && (err != nil || status >= 500)) {
			if err := c.Wait(ctx, pause); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case err != nil:
			return nil, &Error{What: what, Why: err.Error(), Fix: "run it again once GitLab answers"}
		case status/100 != 2:
			return nil, refused(what, status, answer)
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return nil, &Error{What: what, Status: status, Why: "the answer is not JSON", Fix: "look at CI_API_V4_URL"}
		}
		return header, nil
	}
}

func (c *Client) once(ctx context.Context, method, address string, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("PRIVATE-TOKEN", c.token)
	req.Header.Set("Content-Type", "application/json")
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
		Message any `json:"message"` // a text, or texts by field
		Error   string
	}
	_ = json.Unmarshal(answer, &said) // what is no JSON says nothing
	e := &Error{What: what, Status: status, Why: fmt.Sprintf("GitLab answered %d %s", status, http.StatusText(status))}
	if said.Message != nil {
		e.Why += fmt.Sprintf(": %q", fmt.Sprint(said.Message))
	} else if said.Error != "" {
		e.Why += fmt.Sprintf(": %q", said.Error)
	}
	switch status {
	case http.StatusUnauthorized:
		e.Fix = "the token is not valid any more: set " + tokenName + " to one that is"
	case http.StatusForbidden:
		e.Fix = "give the token of " + tokenName + " the scope api and the role Reporter"
	case http.StatusNotFound:
		e.Fix = "look at CI_PROJECT_ID and CI_MERGE_REQUEST_IID, and whether the token of " + tokenName + " is of that project"
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
