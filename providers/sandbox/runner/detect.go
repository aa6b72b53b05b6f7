package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoEngine is wrapped by the error of a [Detect] that found nothing usable.
var ErrNoEngine = errors.New("no way to run containers on this machine")

// opener makes one kind of engine, or says why it is not usable here.
type opener struct {
	name string
	open func(ctx context.Context, o Options) (Engine, error)
}

// Names lists the engines there are on some system, best first.
func Names() []string { return []string{"docker", "podman", "namespaces", "process"} }

// Detect returns the preferred engine or the first that works. It tries each for
// real, so its choice does not fail later for a reason known now, and it writes
// nothing when there is none.
func Detect(ctx context.Context, o Options) (Engine, error) {
	all := openers()
	if o.Prefer != "" {
		i := slices.IndexFunc(all, func(e opener) bool { return e.name == o.Prefer })
		if i < 0 {
			return nil, fmt.Errorf("engine %q: unknown or not for this system: use one of %s", o.Prefer, names(all))
		}
		e, err := all[i].open(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("engine %s: %w", o.Prefer, err)
		}
		return e, nil
	}
	why := make([]error, 0, len(all))
	for _, c := range all {
		e, err := c.open(ctx, o)
		if err == nil {
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		why = append(why, fmt.Errorf("%s: %w", c.name, err))
	}
	return nil, fmt.Errorf("%w: install docker or podman and start it: %w", ErrNoEngine, errors.Join(why...))
}

func names(all []opener) string {
	s := make([]string, len(all))
	for i, e := range all {
		s[i] = e.name
	}
	return strings.Join(s, ", ")
}
