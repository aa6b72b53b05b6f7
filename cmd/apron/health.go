package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/reconcile/state"
)

// watchHealth checks an instance as App Runner would, and says when the verdict changes.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-configure-healthcheck.html
func (a *app) watchHealth(ctx context.Context, spec state.Spec, i runner.Instance) {
	h := cmp.Or(spec.Health, &state.Health{})
	interval := 5 * time.Second
	if h.Interval != nil {
		interval = *h.Interval
	}
	client := healthClient(h, i)
	last := ""
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, interval) {
		verdict, ok := check(ctx, client, h, i)
		if ok {
			pause = interval
		}
		if ctx.Err() != nil {
			return
		}
		if verdict != last {
			a.say("apron: health: %s", verdict)
			last = verdict
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-i.Done():
			t.Stop()
			return
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// healthClient makes the requests of a health check. It goes nowhere else: of a redirect
// the status counts, which is none of 200 to 299.
func healthClient(h *state.Health, i runner.Instance) *http.Client {
	timeout := 2 * time.Second
	if h.Timeout != nil {
		timeout = *h.Timeout
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return i.Dial(ctx) }},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// check makes one health check and says how it went.
func check(ctx context.Context, client *http.Client, h *state.Health, i runner.Instance) (verdict string, ok bool) {
	if h.Protocol != nil && *h.Protocol == "TCP" || h.Path == nil {
		ctx, cancel := context.WithTimeout(ctx, client.Timeout)
		defer cancel()
		c, err := i.Dial(ctx)
		if err != nil {
			return "nothing listens yet", false
		}
		_ = c.Close() // it was only about the connection
		return "healthy: it takes connections", true
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+*h.Path, nil)
	if err != nil {
		return err.Error(), false
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Sprintf("no answer to GET %s yet", *h.Path), false
	}
	_ = res.Body.Close() // the status is all
	if res.StatusCode/100 != 2 {
		return fmt.Sprintf("unhealthy: GET %s answers %s", *h.Path, res.Status), false
	}
	return fmt.Sprintf("healthy: GET %s answers %s", *h.Path, res.Status), true
}
