package gitlab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/jsonapi"
)

// tokenName is the variable that holds the token. That of a job, CI_JOB_TOKEN, may not write
// notes. https://docs.gitlab.com/ci/jobs/ci_job_token/
const tokenName = "APRON_GITLAB_TOKEN"

// answerMax is in bytes: a page of notes of a million characters each is larger, and refused.
const answerMax = 64 << 20

// Client speaks with GitLab about one merge request.
type Client struct {
	jsonapi.Client
	api, token       string
	project, request string // ids as GitLab names them
	page             string // of the merge request, for people; may be empty
}

// Error says what GitLab refused.
type Error = jsonapi.Error

// ErrNone says that a job is for no merge request.
var ErrNone = errors.New("this job is for no merge request")

// New reads which merge request the job is for, and the token. Without a token it returns an
// [*Error] that is [Forbidden]: the pipelines of forks have none.
// https://docs.gitlab.com/ci/variables/predefined_variables/
func New(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	c := &Client{token: get(tokenName),
		api:     strings.TrimSuffix(get("CI_API_V4_URL"), "/"),
		project: cmp.Or(get("CI_MERGE_REQUEST_PROJECT_ID"), get("CI_PROJECT_ID")), // of a fork's pipeline, the project that it asks
		request: get("CI_MERGE_REQUEST_IID"),
		page:    cmp.Or(get("CI_MERGE_REQUEST_PROJECT_URL"), get("CI_PROJECT_URL")),
	}
	c.Client = jsonapi.Client{Name: "GitLab", Setting: "CI_API_V4_URL", Most: answerMax, PutOff: putOff, Said: said,
		Header: map[string]string{"PRIVATE-TOKEN": c.token},
		Fixes: map[int]string{
			http.StatusUnauthorized: "the token is not valid any more: set " + tokenName + " to one that is",
			http.StatusForbidden:    "give the token of " + tokenName + " the scope api and the role Reporter",
			http.StatusNotFound:     "look at CI_PROJECT_ID and CI_MERGE_REQUEST_IID, and whether the token of " + tokenName + " is of that project",
		}}
	for _, id := range []string{c.project, c.request} {
		if n, err := strconv.ParseUint(id, 10, 63); err != nil || n == 0 {
			return nil, ErrNone
		}
	}
	if !jsonapi.IsAddress(c.api) {
		return nil, &Error{What: "gitlab", Why: fmt.Sprintf("%q is no address of an API", c.api), Fix: "set CI_API_V4_URL to https://HOST/api/v4, as GitLab CI does"}
	}
	if c.token == "" {
		return nil, &Error{What: "gitlab", Status: http.StatusUnauthorized, Why: "there is no token", Fix: "make a project access token with the scope api and the role Reporter, and set it as the masked variable " + tokenName}
	}
	return c, nil
}

// Token is the secret that the client sends, to be hidden from everything printed.
func (c *Client) Token() string { return c.token }

// Forbidden reports whether err says that there is no token, or that it may not do this.
func Forbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// putOff is how GitLab asks to come back later.
// https://docs.gitlab.com/security/rate_limits/
func putOff(status int, _ http.Header) bool { return status == http.StatusTooManyRequests }

func said(answer []byte) string {
	var body struct {
		Message any `json:"message"` // a text, or texts by field
		Error   string
	}
	_ = json.Unmarshal(answer, &body) // what is no JSON says nothing
	if body.Message != nil {
		return fmt.Sprint(body.Message)
	}
	return body.Error
}

func (c *Client) call(ctx context.Context, what, method, path string, again bool, in, out any) (http.Header, error) {
	return c.Call(ctx, what, method, c.api+path, again, in, out)
}
