package apprunner

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// Why a request finds no instance.
var (
	errRetired = errors.New("the fleet is retired")
	errNobody  = errors.New("no healthy upstream")
	errCrowded = errors.New("too many requests")
)

// Route returns what answers requests to a host with or without a port: a service's
// "<name>.localhost", the name of a VPC ingress connection or an active custom domain. If no service has the name, the handler answers as App Runner does for hosts
// it does not know, and the bool is false.
func (s *Service) Route(host string) (http.Handler, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	var found http.Handler
	s.doc.View(func(st *state) {
		if r := st.host(strings.ToLower(strings.TrimSuffix(host, "."))); r != nil {
			found = s.app(r.ID, r.Name)
		}
	})
	if found == nil {
		return http.NotFoundHandler(), false
	}
	return found, true
}

// ServeHTTP is the service's front door.
// https://docs.aws.amazon.com/apprunner/latest/dg/develop.html
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		w.WriteHeader(http.StatusForbidden) // App Runner has no WebSockets
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.s.waits.Request)
	defer cancel()
	a.front.ServeHTTP(w, r.WithContext(ctx))
}

// newProxy makes the service's reverse proxy. Answers look like Envoy's, which stands
// in front of App Runner's instances.
func (a *app) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: "instance"}) // the transport knows which
			p.Out.Host = p.In.Host
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			p.Out.Header.Del("X-Forwarded-Host")
		},
		Transport:     trip{a},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  fail,
		ModifyResponse: func(res *http.Response) error {
			res.Header.Set("Server", "envoy")
			return nil
		},
	}
}

// fail answers what no instance answered.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
	switch {
	case errors.Is(err, errNobody):
		text = errNobody.Error()
	case errors.Is(err, errCrowded):
		status, text = http.StatusTooManyRequests, "Too Many Requests"
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		status, text = http.StatusGatewayTimeout, "upstream request timeout"
	case errors.As(err, new(*dialError)):
		text = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
	}
	h := w.Header()
	h.Set("Server", "envoy")
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// dialError says that an instance could not be reached: nothing was sent to it.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// newTransport keeps connections to one instance. They are dropped before the five
// seconds after which common servers drop theirs, so that no request meets a
// connection that is being closed.
func newTransport(run runner.Instance) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := run.Dial(ctx)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
		MaxIdleConnsPerHost: 200,
		IdleConnTimeout:     4 * time.Second,
		DisableCompression:  true,
	}
}

// trip carries a request to an instance of the fleet that serves now. An instance that
// cannot be reached got nothing yet, so another may be asked.
type trip struct{ a *app }

func (t trip) RoundTrip(req *http.Request) (*http.Response, error) {
	var tried []*member
	if req.Body != nil {
		// Transports close a body that they could not send; the server closes it anyway.
		req.Body = io.NopCloser(req.Body)
	}
	for {
		f := t.a.fleet.Load()
		if f == nil {
			return nil, errNobody
		}
		m, err := f.acquire(tried)
		if errors.Is(err, errRetired) {
			if t.a.fleet.Load() == f {
				return nil, errNobody
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		res, err := m.transport.RoundTrip(req)
		if err == nil {
			res.Body = &lease{res.Body, sync.OnceFunc(func() { f.done(m) })}
			return res, nil
		}
		f.done(m)
		if !errors.As(err, new(*dialError)) || req.Context().Err() != nil {
			return nil, err
		}
		tried = append(tried, m)
	}
}

// lease gives an instance back when a response has been read.
type lease struct {
	io.ReadCloser
	done func()
}

func (l *lease) Close() error {
	defer l.done()
	return l.ReadCloser.Close()
}

// acquire picks the member with the fewest requests in flight. More requests than the
// members should have make the fleet grow; more than the largest fleet should have are
// turned away.
func (f *fleet) acquire(tried []*member) (*member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.retired {
		return nil, errRetired
	}
	if f.inflight >= f.rev.max*f.rev.concurrency {
		return nil, errCrowded
	}
	var best *member
	for _, m := range f.members {
		if !slices.Contains(tried, m) && (best == nil || m.inflight < best.inflight) {
			best = m
		}
	}
	if best == nil {
		return nil, errNobody
	}
	best.inflight++
	best.served = true
	f.inflight++
	f.peak, f.busiest = max(f.peak, f.inflight), max(f.busiest, f.inflight)
	if need := (f.inflight + f.rev.concurrency - 1) / f.rev.concurrency; need > f.want {
		f.want = min(need, f.rev.max)
		f.poke()
	}
	return best, nil
}

// done ends a request's stay on a member.
func (f *fleet) done(m *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.inflight--
	f.inflight--
	if m.leaving && m.inflight == 0 {
		close(m.idle)
	}
	if f.retired && f.inflight == 0 {
		close(f.quiet)
	}
}
