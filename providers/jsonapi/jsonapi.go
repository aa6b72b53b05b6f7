// Package jsonapi calls an HTTP API that speaks JSON, with one token: once more where the API
// was at fault, later where it asks for that, and only where it was told to. What GitHub and
// GitLab mean by their answers is theirs to say; how to call is said here.
package jsonapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	callTime = 30 * time.Second // for one attempt
	attempts = 4
	pauseMax = time.Minute // the longest that an API may ask us to wait
)

// Client calls one API. Its fields are set before the first call.
type Client struct {
	Name    string            // of the API, for people
	Setting string            // the variable that says where it is
	Header  map[string]string // of every request; it has the token
	Most    int64             // bytes of an answer
	// PutOff reports whether an answer only asks to come back later. Default: none does.
	PutOff func(status int, header http.Header) bool
	// Limited reports the same of an answer which looks like another one, and until when that
	// holds. Default: none does.
	Limited func(now time.Time, status int, header http.Header, answer []byte) (until time.Time, yes bool)
	// Said is the API's own words in an answer that refuses, or "".
	Said func(answer []byte) string
	// Fixes say what to do about the statuses of answers that refuse.
	Fixes map[int]string
	// Wait waits between attempts; it ends early with the context. Default: the real time.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the time. Default: the real one.
	Now func() time.Time
}

// direct follows no redirect: the token is for the address that was given.
var direct = &http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// IsAddress reports whether a text can be where an API is.
func IsAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// Error says what an API refused.
type Error struct {
	What   string // that was asked
	Status int    // of HTTP, 401 without a token, 429 whenever a limit is reached; 0 where no answer came
	Why    string
	Fix    string
}

var _ error = (*Error)(nil)

func (e *Error) Error() string { return e.What + ": " + e.Why }

// Hint says what to do about it.
func (e *Error) Hint() string { return e.Fix }

// Credentials reports whether the token is absent, not valid, or may not do this.
func (e *Error) Credentials() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Call makes a call and decodes its answer into out. One that may be made twice is made
// again where the API was at fault, and any that the API put off.
func (c *Client) Call(ctx context.Context, what, method, address string, again bool, in, out any) (http.Header, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	for n := 1; ; n++ {
		status, header, answer, err := c.once(ctx, method, address, body)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		pause := time.Second << n
		if after, none := strconv.Atoi(header.Get("Retry-After")); none == nil {
			pause = time.Duration(after) * time.Second
		}
		var (
			until   time.Time
			limited bool
		)
		if err == nil && c.Limited != nil {
			now := c.now()
			if until, limited = c.Limited(now, status, header, answer); until.After(now) {
				pause = until.Sub(now)
			}
		}
		if n < attempts && pause <= pauseMax && (limited || err == nil && c.PutOff != nil && c.PutOff(status, header) || again && (err != nil || status >= 500)) {
			if err := c.wait(ctx, pause); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case err != nil:
			return nil, &Error{What: what, Why: err.Error(), Fix: "run it again once " + c.Name + " answers"}
		case limited:
			return nil, c.exceeded(what, status, answer, until)
		case status/100 != 2:
			return nil, c.refused(what, status, answer)
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return nil, &Error{What: what, Status: status, Why: "the answer is not JSON", Fix: "look at " + c.Setting}
		}
		return header, nil
	}
}

func (c *Client) once(ctx context.Context, method, address string, body []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range c.Header {
		req.Header.Set(name, value)
	}
	res, err := direct.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, c.Most))
	return res.StatusCode, res.Header, answer, err
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// exceeded is no refusal of the token, whatever the status: it is for who reads it to wait.
func (c *Client) exceeded(what string, status int, answer []byte, until time.Time) error {
	e := c.refused(what, status, answer)
	e.Status, e.Fix = http.StatusTooManyRequests, "run it again then"
	e.Why += ": its rate limit lets nothing through until " + until.UTC().Format("2006-01-02 15:04:05 UTC")
	return e
}

func (c *Client) refused(what string, status int, answer []byte) *Error {
	e := &Error{What: what, Status: status, Why: fmt.Sprintf("%s answered %d %s", c.Name, status, http.StatusText(status)), Fix: c.Fixes[status]}
	if said := c.Said(answer); said != "" {
		e.Why += fmt.Sprintf(": %q", said)
	}
	return e
}

func (c *Client) wait(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
