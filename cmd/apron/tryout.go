package main

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/reconcile/state"
)

// patienceWithStart is how long App Runner lets an instance start.
// https://docs.aws.amazon.com/apprunner/latest/dg/develop.html
const patienceWithStart = 5 * time.Minute

// tryOut builds a service's image or gets it, starts it on this machine as App Runner would, and
// requests its health check until it passes, the container ends, or App Runner would have
// given up.
func (a *app) tryOut(ctx context.Context, set *manifest.Set, d *manifest.Document, o builderFlags) state.Check {
	c := state.Check{Service: d.Spec.Service, Path: "run", Verdict: state.Unchecked}
	inside := defaultPort
	if d.Spec.Port != nil {
		inside = *d.Spec.Port
	}
	env, err := a.variables(ctx, d, "http://localhost", inside)
	if err != nil {
		c.Text = err.Error()
		return c
	}
	img, ref, done, err := a.runnable(ctx, set, d, o)
	if err != nil {
		c.Verdict, c.Text, c.Blame = state.Broken, "there is nothing to start: "+err.Error(), state.BlameManifest
		return c
	}
	defer done()
	engine, close, err := a.engine(ctx, "")
	if err != nil {
		c.Text = err.Error()
		return c
	}
	defer close()
	var lines sync.Mutex
	last := ""
	i, err := engine.Start(ctx, localSpec(d.Spec, img, ref, env, inside, func(line string) {
		lines.Lock()
		defer lines.Unlock()
		last = line
		a.say("%s | %s", d.Spec.Service, line)
	}))
	if err != nil {
		c.Text = "it cannot be started here: " + err.Error()
		return c
	}
	defer func() { _ = i.Stop(context.WithoutCancel(ctx), stopGrace) }() // it has served its purpose
	verdict, healthy := awaitHealth(ctx, d.Spec, i)
	if healthy {
		c.Verdict, c.Text = state.Passed, verdict+", with "+engine.Name()
		return c
	}
	lines.Lock()
	defer lines.Unlock()
	c.Verdict, c.Text, c.Blame = state.Broken, verdict, state.BlameManifest
	if last != "" {
		c.Text += "; its last line: " + last
	}
	c.Fix = "start it with apron run, and look"
	return c
}

// awaitHealth waits until an instance is healthy, has ended, or has had its time.
func awaitHealth(ctx context.Context, spec state.Spec, i runner.Instance) (verdict string, healthy bool) {
	h := cmp.Or(spec.Health, &state.Health{})
	client := healthClient(h, i)
	ctx, cancel := context.WithTimeout(ctx, patienceWithStart)
	defer cancel()
	wrong := time.Duration(cmp.Or(value(h.Unhealthy), 5)) * cmp.Or(value(h.Interval), 5*time.Second)
	var answered time.Time // first
	for {
		verdict, healthy = check(ctx, client, h, i)
		if answered.IsZero() && strings.HasPrefix(verdict, "unhealthy:") {
			answered = time.Now()
		}
		if healthy || !answered.IsZero() && time.Since(answered) >= wrong {
			return verdict, healthy
		}
		t := time.NewTimer(100 * time.Millisecond)
		select {
		case <-t.C:
		case <-i.Done():
			t.Stop()
			return ended(i.Exit()).Error(), false
		case <-ctx.Done():
			t.Stop()
			return verdict, false
		}
	}
}

// value is what a setting of the manifest says, or zero where it is left out.
func value[T any](setting *T) (v T) {
	if setting != nil {
		v = *setting
	}
	return v
}
