package apprunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/state"
)

// ProbeError says that a service was rolled out and does not answer as asked.
type ProbeError struct {
	Service, URL string
	Want         int
	Got          string
}

var _ error = (*ProbeError)(nil)

func (e *ProbeError) Error() string {
	return fmt.Sprintf("service %q was rolled out, but GET %s should answer %d and gave %s", e.Service, e.URL, e.Want, e.Got)
}

// Hint says what to do.
func (e *ProbeError) Hint() string {
	return "App Runner keeps the new version because its health check passed: look at `apron status`, or correct verify: in the manifest"
}

// DeploymentFailed marks the error as a failed deployment, for the exit code.
func (e *ProbeError) DeploymentFailed() bool { return true }

// Verify asks the real URL of a service for what its manifest says, until it answers so
// or the time for it is over. A service without probes is verified by nothing.
func (p *Provider) Verify(ctx context.Context, service, base string) error {
	if len(p.o.Probes[service]) == 0 {
		return nil
	}
	if base == "" {
		return fmt.Errorf("service %q has no URL to verify", service)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.ProbeFor, errProbeTime)
	defer cancel()
	for _, probe := range p.o.Probes[service] {
		if err := p.probe(ctx, service, base, probe); err != nil {
			return err
		}
	}
	return nil
}

var errProbeTime = errors.New("the time for it is over")

func (p *Provider) probe(ctx context.Context, service, base string, probe state.Probe) error {
	failed := &ProbeError{Service: service, URL: base + probe.Path, Want: probe.Status, Got: "no answer"}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, failed.URL, nil)
		if err != nil {
			return err
		}
		res, err := p.web.Do(req)
		switch {
		case err == nil:
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // for the connection to be used again
			_ = res.Body.Close()
			if res.StatusCode == probe.Status {
				return nil
			}
			failed.Got = res.Status
		case ctx.Err() == nil:
			failed.Got = err.Error()
		}
		if err := awsapi.Sleep(ctx, min(time.Second, p.o.Poll)); errors.Is(err, errProbeTime) {
			return failed
		} else if err != nil {
			return err
		}
	}
}

// webClient asks services as a browser would. Redirects are answers: following one
// would verify another page. Names under localhost are dialled on loopback, which
// RFC 6761 asks of resolvers and Go's does not do.
func webClient() *http.Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if local(r.URL.Hostname()) {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(addr); err == nil && local(host) {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
		return dialer.DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: transport, Timeout: 15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func local(host string) bool { return host == "localhost" || strings.HasSuffix(host, ".localhost") }
