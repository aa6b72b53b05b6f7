package push

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// client speaks to one repository.
type client struct {
	http     http.Client
	close    func()
	base     *url.URL
	to       Destination
	auth     Credentials
	attempts int
	backoff  time.Duration
	requests atomic.Int64

	mu   sync.Mutex
	user string
	pass string
	seen int // how often credentials were fetched
}

// Error is what a registry answered.
type Error struct {
	Method string
	Path   string
	Status int
	Code   string // "TAG_INVALID", or empty
	Text   string
}

var _ error = (*Error)(nil)

func (e *Error) Error() string {
	what := http.StatusText(e.Status)
	if e.Code != "" {
		what = e.Code + ": " + e.Text
	} else if e.Text != "" {
		what += ": " + e.Text
	}
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, what)
}

// Hint says what usually helps.
func (e *Error) Hint() string {
	switch {
	case e.Code == "NAME_UNKNOWN":
		return "the repository does not exist in this account and Region"
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return "pushing needs ecr:GetAuthorizationToken, BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage and BatchGetImage"
	}
	return ""
}

func (e *Error) taken() bool { return e.Code == "TAG_INVALID" || e.Status == http.StatusConflict }

func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented ||
		e.Code == "BLOB_UPLOAD_INVALID" || e.Code == "BLOB_UPLOAD_UNKNOWN"
}

func (c *client) url(format string, args ...any) *url.URL {
	return c.base.JoinPath("v2", c.to.Repository, fmt.Sprintf(format, args...))
}

// retry repeats f while it fails for a reason that may pass.
func (c *client) retry(ctx context.Context, f func() error) error {
	wait := c.backoff
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt >= c.attempts || ctx.Err() != nil || !temporary(err) {
			return err
		}
		timer := time.NewTimer(wait + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w; before that: %w", context.Cause(ctx), err)
		case <-timer.C:
		}
		wait *= 2
	}
}

// accept are all types of manifests, lest a registry converts the one it has.
var accept = strings.Join([]string{
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
}, ", ")

// manifest returns the digest of the tag's manifest, or an empty text.
func (c *client) manifest(ctx context.Context) (digest string, err error) {
	err = c.retry(ctx, func() error {
		req := request{method: http.MethodHead, url: c.url("manifests/%s", c.to.Tag), accept: accept, want: []int{200, 404}}
		resp, err := c.do(ctx, req)
		if err != nil || resp.StatusCode == http.StatusNotFound {
			return err
		}
		if digest = resp.Header.Get("Docker-Content-Digest"); digest != "" {
			return nil
		}
		req.method, req.keep = http.MethodGet, true
		if resp, err = c.do(ctx, req); err != nil {
			return err
		}
		defer resp.Body.Close()
		h := sha256.New()
		_, err = io.Copy(h, resp.Body)
		digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
		return err
	})
	return digest, err
}

// put writes the manifest.
func (c *client) put(ctx context.Context, raw []byte, media string) error {
	return c.retry(ctx, func() error {
		_, err := c.do(ctx, request{method: http.MethodPut, url: c.url("manifests/%s", c.to.Tag), want: []int{200, 201},
			media: media, size: int64(len(raw)), body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }})
		return err
	})
}

// blob uploads b unless it is there, and reports whether it did.
func (c *client) blob(ctx context.Context, b blob, m *meter) (sent bool, err error) {
	err = c.retry(ctx, func() error {
		resp, err := c.do(ctx, request{method: http.MethodHead, url: c.url("blobs/%s", b.digest), want: []int{200, 404}})
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			m.add(b.size)
			return nil
		}
		resp, err = c.do(ctx, request{method: http.MethodPost, url: c.url("blobs/uploads/"), want: []int{202}})
		if err != nil {
			return err
		}
		at, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return fmt.Errorf("the registry began an upload without saying where it goes")
		}
		query := at.Query()
		query.Set("digest", b.digest)
		at.RawQuery = query.Encode()
		_, err = c.do(ctx, request{method: http.MethodPut, url: at, want: []int{201, 204}, meter: m,
			media: "application/octet-stream", size: b.size, body: b.open})
		sent = err == nil
		return err
	})
	return sent, err
}

// credentialsError says that there are no credentials. Whoever gets them has already
// tried again, where that helps.
type credentialsError struct{ err error }

var _ error = (*credentialsError)(nil)

func (e *credentialsError) Error() string { return "credentials for the registry: " + e.err.Error() }

func (e *credentialsError) Unwrap() error { return e.err }

// request is one question to the registry; its body can be sent again.
type request struct {
	method string
	url    *url.URL
	accept string
	media  string
	size   int64
	body   func() (io.ReadCloser, error)
	meter  *meter
	want   []int // statuses that are no error
	keep   bool  // leave the response's body open
}

// do sends r with credentials, and once more with new ones if they are refused.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	generation, err := c.credentials(ctx, 0)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, r)
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		if _, err := c.credentials(ctx, generation); err != nil {
			return nil, err
		}
		return c.send(ctx, r)
	}
	return resp, err
}

// credentials makes sure that there are some, newer than those of generation stale, and
// returns their generation.
func (c *client) credentials(ctx context.Context, stale int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.auth == nil || c.seen > stale {
		return c.seen, nil
	}
	user, pass, err := c.auth(ctx)
	if err != nil {
		return 0, &credentialsError{err}
	}
	c.user, c.pass = user, pass
	c.seen++
	return c.seen, nil
}

func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	var body *measured
	if r.body != nil {
		rc, err := r.body()
		if err != nil {
			return nil, fmt.Errorf("read what to upload: %w", err)
		}
		body = &measured{ReadCloser: rc, meter: r.meter}
		req.Body, req.ContentLength = body, r.size
		if r.size == 0 {
			req.Body = http.NoBody
			rc.Close()
		}
	}
	if c.auth != nil && r.url.Host == c.base.Host && r.url.Scheme == c.base.Scheme {
		c.mu.Lock()
		req.SetBasicAuth(c.user, c.pass)
		c.mu.Unlock()
	}
	c.requests.Add(1)
	resp, err := c.http.Do(req)
	if err == nil && !slices.Contains(r.want, resp.StatusCode) {
		err = refusal(r, resp)
	}
	if err != nil {
		body.takeBack()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	if !r.keep {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
		resp.Body.Close()
	}
	return resp, nil
}

// refusal reads an error from a response, and closes it.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
func refusal(r request, resp *http.Response) error {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	e := &Error{Method: r.method, Path: r.url.Path, Status: resp.StatusCode}
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(text, &body) == nil && len(body.Errors) > 0 {
		e.Code, e.Text = body.Errors[0].Code, body.Errors[0].Message
	} else if s := strings.TrimSpace(string(text)); len(s) < 300 && !strings.Contains(s, "<") {
		e.Text = s
	}
	return e
}

// measured counts what is read from a body, until it is closed.
type measured struct {
	io.ReadCloser
	meter *meter

	mu   sync.Mutex
	n    int64
	over bool
}

func (b *measured) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.meter == nil {
		return n, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.n += int64(n)
		b.meter.add(int64(n))
	}
	return n, err
}

// takeBack undoes the progress of an upload that failed. The transport may still be
// reading when it reports a failure, so that later reads no longer count.
func (b *measured) takeBack() {
	if b == nil || b.meter == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.n > 0 {
		b.meter.add(-b.n)
		b.n = 0
	}
}
