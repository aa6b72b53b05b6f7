// Package push writes images to a registry over the OCI distribution protocol, asking
// as few questions as it can.
//
//	the tag is there     1 request
//	otherwise, each      HEAD blob; if it is missing POST, PUT
//	  layer and config
//	at last              PUT manifest
//
// Blobs go up several at once, each as one request of known length, which ECR takes for
// any size; a broken upload starts again from its beginning. Credentials come from a
// function and are asked for again when the registry refuses them: ECR answers an expired
// token with 403 and no challenge.
//
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"golang.org/x/sync/errgroup"
)

// Destination is where an image goes.
type Destination struct {
	// Endpoint is the registry: a scheme and a host. Plain http is for loopback only.
	Endpoint   string
	Repository string
	Tag        string
}

// Credentials returns the user name and password for the registry. It is called once by
// each push or look-up, and again whenever the registry refuses what it returned; calls
// of one push come one at a time.
type Credentials func(ctx context.Context) (username, password string, err error)

// Options steer a push. The zero value is sensible.
type Options struct {
	// FirstWins keeps what the tag names already, whatever it is.
	FirstWins bool
	// Progress is told how many bytes of the blobs are in the registry, and how many
	// there are. Calls come one at a time and must not block for long.
	Progress func(done, total int64)
	Jobs     int // blobs at once; 0 means 8
	Attempts int // of one request or upload; 0 means 5
	// Backoff is the wait before the first repetition, doubled each time; 0 means 500 ms.
	Backoff time.Duration
	// Transport is for tests; nil is one of the push's own.
	Transport http.RoundTripper
}

// Stats says what a push took.
type Stats struct {
	Existed  bool  // the tag was there: nothing was sent
	Blobs    int   // layers and config, each digest once
	Uploaded int   // of them
	Bytes    int64 // that were uploaded
	Requests int
}

// Push writes img to the destination and returns the digest that the tag then names.
func Push(ctx context.Context, img v1.Image, to Destination, auth Credentials, o Options) (string, Stats, error) {
	c, err := dial(to, auth, o)
	if err != nil {
		return "", Stats{}, err
	}
	defer c.close()
	digest, stats, err := c.push(ctx, img, o)
	stats.Requests = int(c.requests.Load())
	if err != nil {
		return "", stats, fmt.Errorf("push to %s: %w", to, err)
	}
	return digest, stats, nil
}

// Lookup returns the digest that the tag names, or an empty text if there is no such tag.
func Lookup(ctx context.Context, to Destination, auth Credentials, o Options) (string, error) {
	c, err := dial(to, auth, o)
	if err != nil {
		return "", err
	}
	defer c.close()
	digest, err := c.manifest(ctx)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", to, err)
	}
	return digest, nil
}

// String names the destination for people, without the scheme.
func (d Destination) String() string {
	host := d.Endpoint
	if u, err := url.Parse(d.Endpoint); err == nil && u.Host != "" {
		host = u.Host
	}
	return host + "/" + d.Repository + ":" + d.Tag
}

func dial(to Destination, auth Credentials, o Options) (*client, error) {
	base, err := url.Parse(to.Endpoint)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("registry %q: not an address with https://", to.Endpoint)
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, fmt.Errorf("registry %s: credentials are sent over plain http to this machine only", to.Endpoint)
	}
	if base.Path == "" {
		base.Path = "/"
	}
	c := &client{base: base, to: to, auth: auth, attempts: o.Attempts, backoff: o.Backoff}
	if c.attempts == 0 {
		c.attempts = 5
	}
	if c.backoff == 0 {
		c.backoff = 500 * time.Millisecond
	}
	c.http.Transport = o.Transport
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = jobs(o)
		t.ResponseHeaderTimeout = 5 * time.Minute
		c.http.Transport, c.close = t, t.CloseIdleConnections
	} else {
		c.close = func() {}
	}
	return c, nil
}

func jobs(o Options) int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 8
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (c *client) push(ctx context.Context, img v1.Image, o Options) (string, Stats, error) {
	var stats Stats
	raw, err := img.RawManifest()
	if err != nil {
		return "", stats, err
	}
	media, err := img.MediaType()
	if err != nil {
		return "", stats, err
	}
	hash, err := img.Digest()
	if err != nil {
		return "", stats, err
	}
	there, err := c.manifest(ctx)
	if err != nil {
		return "", stats, err
	}
	if there != "" && (o.FirstWins || there == hash.String()) {
		stats.Existed = true
		return there, stats, nil
	}
	blobs, err := blobsOf(img)
	if err != nil {
		return "", stats, err
	}
	meter := &meter{report: o.Progress}
	for _, b := range blobs {
		meter.total += b.size
	}
	meter.add(0)
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs(o))
	for _, b := range blobs {
		group.Go(func() error {
			sent, err := c.blob(gctx, b, meter)
			if err != nil {
				return fmt.Errorf("layer %s: %w", b.digest, err)
			}
			mu.Lock()
			defer mu.Unlock()
			stats.Blobs++
			if sent {
				stats.Uploaded++
				stats.Bytes += b.size
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", stats, err
	}
	err = c.put(ctx, raw, string(media))
	if refused, ok := errors.AsType[*Error](err); ok && refused.taken() {
		// Somebody else was faster. An immutable tag refuses even the same image.
		there, lookErr := c.manifest(ctx)
		if lookErr == nil && there != "" && (o.FirstWins || there == hash.String()) {
			return there, stats, nil
		}
	}
	if err != nil {
		return "", stats, err
	}
	return hash.String(), stats, nil
}

// blob is a layer or a configuration.
type blob struct {
	digest string
	size   int64
	open   func() (io.ReadCloser, error)
}

// blobsOf lists the blobs of an image, each digest once.
func blobsOf(img v1.Image) ([]blob, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return nil, err
	}
	var blobs []blob
	seen := map[string]bool{}
	for _, l := range append(layers, config) {
		media, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		size, err := l.Size()
		if err != nil {
			return nil, err
		}
		if seen[digest.String()] || !media.IsDistributable() {
			continue
		}
		seen[digest.String()] = true
		blobs = append(blobs, blob{digest.String(), size, l.Compressed})
	}
	return blobs, nil
}

// meter counts bytes and reports them in order.
type meter struct {
	mu     sync.Mutex
	report func(done, total int64)
	done   int64
	total  int64
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.report != nil {
		m.report(m.done, m.total)
	}
}

// temporary reports whether err may go away by itself: what the network does, its time
// limits too, but not a lack of credentials, a bad certificate or a name that nobody
// knows. That a context has ended is for the caller to see.
func temporary(err error) bool {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.temporary()
	}
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
