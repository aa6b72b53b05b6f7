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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/time/rate"
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
	pace     *rate.Limiter // of uploads begun
	requests atomic.Int64

	unmountable sync.Map // names of repositories that no blob can be mounted from

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

	after time.Duration // what the registry asks to wait
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
	case e.Credentials():
		return "pushing needs ecr:GetAuthorizationToken, BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage and BatchGetImage"
	}
	return ""
}

// Credentials reports whether the lack of them, or of a permission, is the cause. Newer ones
// have been tried by then.
func (e *Error) Credentials() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

func (e *Error) taken() bool { return e.Code == "TAG_INVALID" || e.Status == http.StatusConflict }

// unfounded reports whether a manifest was refused for the lack of a blob.
func (e *Error) unfounded() bool {
	return e.Code == "MANIFEST_BLOB_UNKNOWN" || e.Code == "BLOB_UNKNOWN" || e.Code == "LAYERS_NOT_FOUND"
}

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
		pause := wait + rand.N(wait/2+1)
		if e, ok := errors.AsType[*Error](err); ok {
			pause = max(pause, e.after)
		}
		timer := time.NewTimer(pause)
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

// manifest is what the tag names.
type manifest struct {
	digest string // empty if there is no such tag
	raw    []byte // if it was asked for with GET
}

// lists are the digests of the blobs that it names, and that the registry has therefore.
func (m manifest) lists() map[string]bool {
	all := map[string]bool{}
	image, err := v1.ParseManifest(bytes.NewReader(m.raw))
	if err != nil {
		return all
	}
	for _, d := range append(image.Layers, image.Config) {
		if d.Digest.Hex != "" && d.MediaType.IsDistributable() {
			all[d.Digest.String()] = true
		}
	}
	return all
}

// manifest asks what the tag names, with HEAD or GET.
func (c *client) manifest(ctx context.Context, method string) (manifest, error) {
	return c.named(ctx, method, c.to.Tag)
}

// named asks what any tag of the repository names.
func (c *client) named(ctx context.Context, method, tag string) (m manifest, err error) {
	err = c.retry(ctx, func() error {
		req := request{method: method, url: c.url("manifests/%s", tag), accept: accept, want: []int{200, 404}, keep: method == http.MethodGet}
		resp, err := c.do(ctx, req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
			return err
		}
		if m.digest = resp.Header.Get("Docker-Content-Digest"); m.digest != "" && !req.keep {
			return nil
		}
		if !req.keep {
			req.method, req.keep = http.MethodGet, true
			if resp, err = c.do(ctx, req); err != nil {
				return err
			}
			defer resp.Body.Close()
		}
		if m.raw, err = io.ReadAll(io.LimitReader(resp.Body, most)); err != nil {
			return err
		}
		m.digest = sum(m.raw)
		return nil
	})
	return m, err
}

// most is the largest manifest or configuration that is read.
const most = 8 << 20

func sum(text []byte) string {
	h := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(h[:])
}

// text reads a small blob.
func (c *client) text(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	resp, err := c.do(ctx, request{method: http.MethodGet, url: c.url("blobs/%s", d.Digest), want: []int{200}, keep: true})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil && sum(text) != d.Digest.String() {
		err = fmt.Errorf("blob %s: it is another one", d.Digest)
	}
	return text, err
}

// put writes the manifest.
func (c *client) put(ctx context.Context, raw []byte, media string) error {
	return c.retry(ctx, func() error {
		_, err := c.do(ctx, request{method: http.MethodPut, url: c.url("manifests/%s", c.to.Tag), want: []int{200, 201},
			media: media, size: int64(len(raw)), body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }})
		return err
	})
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
	part   string // "100-199", the bytes of a blob that body is
	size   int64  // of body; -1 if that is not known
	body   func() (io.ReadCloser, error)
	track  *track
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
	if e, ok := errors.AsType[*Error](err); ok && e.Credentials() {
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
			return nil, &sourceError{fmt.Errorf("read what to upload: %w", err)}
		}
		body = &measured{ReadCloser: rc, track: r.track}
		req.Body, req.ContentLength = body, r.size
		if r.size == 0 {
			req.Body = http.NoBody
			rc.Close()
		}
	}
	if r.part != "" {
		req.Header.Set("Content-Range", r.part)
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

// patience is the longest wait that a registry can ask for.
const patience = 30 * time.Second

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
	// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after, its other form is not in use
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.after = min(time.Duration(n)*time.Second, patience)
	}
	return e
}

// measured counts what is read from a body, until it is closed.
type measured struct {
	io.ReadCloser
	track *track

	mu   sync.Mutex
	n    int64
	over bool
}

func (b *measured) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.track == nil {
		return n, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.n += int64(n)
		b.track.add(int64(n))
	}
	return n, err
}

// takeBack undoes the progress of an upload that failed. The transport may still be
// reading when it reports a failure, so that later reads no longer count.
func (b *measured) takeBack() {
	if b == nil || b.track == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.n > 0 {
		b.track.add(-b.n)
		b.n = 0
	}
}
