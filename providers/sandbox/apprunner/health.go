package apprunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// health is a health check as configured.
// https://docs.aws.amazon.com/apprunner/latest/api/API_HealthCheckConfiguration.html
type health struct {
	http               bool // else TCP
	path               string
	interval, timeout  time.Duration
	healthy, unhealthy int
	failing            bool // whatever the instance answers: a scenario
}

func (h health) protocol() string {
	if h.http {
		return "HTTP"
	}
	return "TCP"
}

// errUnhealthy ends the start of an instance whose checks kept failing.
var errUnhealthy = errors.New("health check failed")

// errRefused is a check that found nothing listening.
var errRefused = errors.New("connection refused")

// exitError ends the start of an instance that ended by itself.
type exitError struct {
	code int
	err  error
}

var _ error = (*exitError)(nil)

func (e *exitError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("the instance was lost: %v", e.err)
	}
	return fmt.Sprintf("the instance exited with code %d", e.code)
}

// exited reads how an instance ended.
func exited(run runner.Instance) *exitError {
	exit := run.Exit()
	if exit.OOM && exit.Code == 0 {
		exit.Code = 137
	}
	return &exitError{exit.Code, exit.Err}
}

// probe checks an instance once: does it accept a connection, and over HTTP does it
// answer with a status of 200 to 299.
func (h health) probe(ctx context.Context, run runner.Instance, port int) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := run.Dial(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		return conn, nil
	}
	if !h.http {
		conn, err := dial(ctx, "", "")
		if err != nil {
			return err
		}
		return conn.Close()
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d", port), nil)
	if err != nil {
		return err
	}
	if req.URL, err = req.URL.Parse(h.path); err != nil {
		return err
	}
	req.Header.Set("User-Agent", "Envoy/HC")
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // be polite to servers that log broken pipes
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// checker paces the checks of one instance.
type checker struct {
	health
	waits Waits
	scale func(time.Duration) time.Duration
	run   runner.Instance
	port  int
}

// shortest bounds how often the fastest clock lets checks follow each other.
const shortest = 5 * time.Millisecond

// once probes with the configured timeout. A fast clock does not make applications
// faster, so the timeout shrinks to a second at most.
func (c checker) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.scale(c.timeout), min(c.timeout, time.Second)))
	defer cancel()
	err := c.probe(ctx, c.run, c.port)
	if err == nil && c.failing {
		err = errRehearsed
	}
	return err
}

// errRehearsed is a check that fails because a scenario wants it.
var errRehearsed = errors.New("a scenario of the sandbox")

// rise returns nil when the starting instance is healthy: as many checks in a row
// passed as the threshold asks. It fails when as many failed as the other threshold
// asks, over at least the time these take at the configured interval, and patience is
// over; or when the instance exits.
func (c checker) rise(ctx context.Context) error {
	start, good, bad := time.Now(), 0, 0
	var answered time.Time
	pace := max(c.scale(min(c.interval, c.waits.Rise)), shortest)
	for {
		err := c.once(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			if good, bad = good+1, 0; good >= c.healthy {
				return nil
			}
		} else {
			good, bad = 0, bad+1
			since, patience := start, c.waits.Listen
			if answered.IsZero() && !errors.Is(err, errRefused) {
				answered = time.Now()
			}
			if !answered.IsZero() {
				since, patience = answered, c.waits.Answer
			}
			due := max(c.scale(patience), c.scale(c.interval*time.Duration(c.unhealthy)))
			if answered.IsZero() { // a fast clock does not make applications start faster, either
				due = max(due, min(patience, 3*time.Second))
			}
			if bad >= c.unhealthy && time.Since(since) >= due {
				return fmt.Errorf("%w: %d times in %s: %w", errUnhealthy, bad, time.Since(start).Round(time.Millisecond), err)
			}
		}
		if err := c.pause(ctx, pace); err != nil {
			return err
		}
	}
}

// watch returns when an instance that serves has exited, has become unhealthy, or ctx
// has ended.
func (c checker) watch(ctx context.Context) error {
	for bad := 0; ; {
		if err := c.pause(ctx, max(c.scale(c.interval), shortest)); err != nil {
			return err
		}
		switch err := c.once(ctx); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			bad = 0
		default:
			if bad++; bad >= c.unhealthy {
				return fmt.Errorf("%w: %w", errUnhealthy, err)
			}
		}
	}
}

// pause waits between two checks, unless the instance ends.
func (c checker) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.run.Done():
		return exited(c.run)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
