package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// packers is how many layers are compressed and sent at once; fewer than blobs at once,
// because each holds a buffer.
const packers = 8

// transfer is one blob on its way, over all attempts.
type transfer struct {
	c       *client
	part    *part
	track   *track
	packing chan struct{}
	memory  Memory

	state   State
	at      *url.URL // the upload, once the registry has begun one
	whole   bool     // what the registry says of its progress has proved wrong
	data    *buffer  // a layer that was compressed and is small
	started *packed  // the beginning of one that is not
}

// run ends when the blob is in the registry.
func (t *transfer) run(ctx context.Context, there map[string]bool) (State, error) {
	defer t.release()
	if t.part.layer != nil {
		if !there[t.part.desc.Digest.String()] {
			select {
			case t.packing <- struct{}{}:
				defer func() { <-t.packing }()
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
	}
	if there[t.part.desc.Digest.String()] {
		t.state = Existed
	} else if err := t.c.retry(ctx, func() error { return t.try(ctx) }); err != nil {
		return "", fmt.Errorf("layer %s: %w", t.part.name(), err)
	}
	t.track.end(t.state, t.part.desc)
	if t.memory != nil {
		t.memory.Found(t.c.to.host(), t.c.to.Repository, t.part.desc.Digest.String())
	}
	return t.state, nil
}

func (t *transfer) release() {
	if t.data != nil {
		t.data.free()
	}
	if t.started != nil {
		t.started.Close()
	}
}

// try is an attempt. It leaves behind what the next one can use.
func (t *transfer) try(ctx context.Context) error {
	var asked string
	exists := func() (bool, error) {
		if digest := t.part.desc.Digest.String(); t.part.known() && digest != asked {
			asked = digest
			resp, err := t.c.do(ctx, request{method: http.MethodHead, url: t.c.url("blobs/%s", digest), want: []int{200, 404}})
			if err != nil || resp.StatusCode == http.StatusOK {
				t.state = Existed
				return err == nil, err
			}
		}
		return false, nil
	}
	if there, err := exists(); there || err != nil {
		return err
	}
	offset, err := t.resume(ctx)
	if err != nil {
		return err
	}
	if t.at == nil && t.part.known() && t.candidate() != "" {
		if mounted, err := t.begin(ctx, t.candidate()); mounted || err != nil {
			return err
		}
	}
	if t.part.layer != nil && t.data == nil && t.started == nil {
		if err := t.pack(ctx); err != nil {
			return err
		}
		if t.data != nil {
			if there, err := exists(); there || err != nil {
				return err
			}
		}
	}
	if t.at == nil {
		if _, err := t.begin(ctx, ""); err != nil {
			return err
		}
	}
	err = t.send(ctx, offset)
	if e, ok := errors.AsType[*Error](err); ok && e.Status < 500 {
		t.at = nil
		if offset > 0 {
			// ECR keeps chunks that it does not admit to; then the rest does not fit.
			t.whole = true
			return &restartError{err}
		}
	}
	if err == nil {
		t.state = Uploaded
	}
	return err
}

// restartError says that a resumed upload was refused, and that a whole one may not be.
type restartError struct{ error }

func (e *restartError) Unwrap() error { return e.error }

// candidate is another repository of the registry that may have the blob.
func (t *transfer) candidate() string {
	if t.whole {
		return ""
	}
	var names []string
	if name, ok := strings.CutPrefix(t.part.from, t.c.to.host()+"/"); ok {
		names = append(names, name)
	}
	if t.memory != nil {
		names = append(names, t.memory.Repositories(t.c.to.host(), t.part.desc.Digest.String())...)
	}
	for _, name := range names {
		if _, refused := t.c.unmountable.Load(name); !refused && name != t.c.to.Repository {
			return name
		}
	}
	return ""
}

// begin begins an upload, unless the registry takes the blob from another repository.
func (t *transfer) begin(ctx context.Context, from string) (mounted bool, err error) {
	if err := t.c.pace.Wait(ctx); err != nil {
		return false, context.Cause(ctx)
	}
	to := t.c.url("blobs/uploads/")
	want := []int{202}
	if from != "" {
		to.RawQuery = url.Values{"mount": {t.part.desc.Digest.String()}, "from": {from}}.Encode()
		want = append(want, 201)
	}
	resp, err := t.c.do(ctx, request{method: http.MethodPost, url: to, want: want})
	if e, ok := errors.AsType[*Error](err); ok && from != "" && e.Status < 500 && e.Status != http.StatusTooManyRequests {
		t.c.unmountable.Store(from, true) // not allowed, or gone; nor is it for other layers
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if resp.StatusCode == http.StatusCreated {
		t.state = Mounted
		return true, nil
	}
	if t.at, err = location(resp); err != nil || t.at == nil {
		return false, fmt.Errorf("the registry began an upload without saying where it goes")
	}
	return false, nil
}

// location is where an upload goes on, or nil if the response does not say.
func location(resp *http.Response) (*url.URL, error) {
	if resp.Header.Get("Location") == "" {
		return nil, nil
	}
	return resp.Request.URL.Parse(resp.Header.Get("Location"))
}

// resume asks how much the registry has of an upload that broke. If it does not tell,
// there is none.
func (t *transfer) resume(ctx context.Context) (int64, error) {
	if t.at == nil {
		return 0, nil
	}
	at := t.at
	t.at = nil
	if t.whole {
		return 0, nil
	}
	resp, err := t.c.do(ctx, request{method: http.MethodGet, url: at, want: []int{204}})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, nil
	}
	_, last, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Range"), "bytes="), "-")
	end, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil || end < 0 || t.part.known() && end >= t.part.desc.Size {
		return 0, nil
	}
	if t.at, err = location(resp); err != nil || t.at == nil {
		t.at = at
	}
	if end == 0 { // "0-0" is what some say of nothing
		return 0, nil
	}
	return end + 1, nil
}

// send sends the blob from offset on, and ends the upload.
func (t *transfer) send(ctx context.Context, offset int64) (err error) {
	if offset > 0 {
		t.track.add(offset)
		defer func() {
			if err != nil {
				t.track.add(-offset)
			}
		}()
	}
	if t.part.layer != nil && t.data == nil {
		return t.stream(ctx, offset)
	}
	size := t.part.desc.Size
	open := t.part.open
	if t.data != nil {
		open = t.data.open
	}
	r := request{method: http.MethodPut, url: ending(t.at, t.part.desc.Digest.String()), want: []int{201, 204}, track: t.track,
		media: "application/octet-stream", size: size - offset, body: func() (io.ReadCloser, error) { return skip(open, offset) }}
	if offset > 0 {
		r.part = fmt.Sprintf("%d-%d", offset, size-1)
	}
	_, err = t.c.do(ctx, r)
	return err
}

// stream compresses while it sends. The digest is known when that is done.
func (t *transfer) stream(ctx context.Context, offset int64) error {
	var last *packed
	resp, err := t.c.do(ctx, request{method: http.MethodPatch, url: t.at, want: []int{201, 202, 204}, track: t.track,
		media: "application/octet-stream", size: -1, body: func() (io.ReadCloser, error) {
			var err error
			if last, t.started = t.started, nil; last == nil {
				last, err = newPacked(ctx, t.part.layer)
			}
			if err != nil {
				return nil, err
			}
			return last, last.skip(offset)
		}})
	if err != nil {
		if last != nil {
			last.Close()
			if cause := last.cause(); cause != nil { // the connection broke because there was no more to send
				return &sourceError{cause}
			}
		}
		return err
	}
	digest, size, ok := last.sum()
	if !ok {
		return fmt.Errorf("the registry took an upload before its end: %w", io.ErrUnexpectedEOF)
	}
	t.settle(digest, size)
	at, err := location(resp)
	if err != nil || at == nil {
		at = t.at
	}
	_, err = t.c.do(ctx, request{method: http.MethodPut, url: ending(at, digest.String()), want: []int{201, 204}})
	return err
}

// sourceError says that the layer itself could not be read; the network is not to blame.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// pack compresses a layer, all of it if it stays small.
func (t *transfer) pack(ctx context.Context) error {
	p, err := newPacked(ctx, t.part.layer)
	if err != nil {
		return &sourceError{err}
	}
	small, err := p.fill()
	if err != nil {
		p.Close()
		return &sourceError{err}
	}
	if !small {
		t.started = p
		return nil
	}
	digest, size, _ := p.sum()
	t.data = p.take()
	t.settle(digest, size)
	return nil
}

// settle notes what the layer has become.
func (t *transfer) settle(digest v1.Hash, size int64) {
	t.part.desc.Digest, t.part.desc.Size = digest, size
	t.part.layer.Record(digest, size)
	t.track.resize(size)
}

func ending(at *url.URL, digest string) *url.URL {
	to := *at
	query := to.Query()
	query.Set("digest", digest)
	to.RawQuery = query.Encode()
	return &to
}

// skip opens a body without its first bytes.
func skip(open func() (io.ReadCloser, error), offset int64) (io.ReadCloser, error) {
	r, err := open()
	if err != nil || offset == 0 {
		return r, err
	}
	if s, ok := r.(io.Seeker); ok {
		_, err = s.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, r, offset)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// buffer is a small layer, compressed.
type buffer struct {
	bytes []byte
	full  []byte // of which bytes is a part; goes back to the pool
	lent  []*lent
}

// open lends the bytes.
func (b *buffer) open() (io.ReadCloser, error) {
	l := &lent{r: bytes.NewReader(b.bytes)}
	b.lent = append(b.lent, l)
	return l, nil
}

// free takes the bytes back from transports that may still read.
func (b *buffer) free() {
	for _, l := range b.lent {
		l.Close()
	}
	buffers.Put(&b.full)
}
