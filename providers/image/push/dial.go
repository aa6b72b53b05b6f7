package push

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// begins is how many uploads may begin in a second, and in a burst: ECR's quota for
// InitiateLayerUpload and CompleteLayerUpload is 100.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
const begins = 100

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
	c := &client{base: base, to: to, auth: auth, attempts: o.Attempts, backoff: o.Backoff, pace: rate.NewLimiter(begins, begins)}
	if loopback(base.Hostname()) {
		c.pace.SetLimit(rate.Inf)
	}
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
		t.ReadBufferSize, t.WriteBufferSize = 16<<10, 64<<10
		// One connection for each upload: where the rate of a connection is limited,
		// HTTP/2 would share one among all.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
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
	return 16
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// temporary reports whether err may go away by itself: what the network does, its time
// limits too, but not a lack of credentials, a bad certificate or a name that nobody
// knows. That a context has ended is for the caller to see.
func temporary(err error) bool {
	if _, ok := errors.AsType[*restartError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*sourceError](err); ok {
		return false
	}
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
