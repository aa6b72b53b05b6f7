package awsapi

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Consistency is how a service comes to show everywhere what was written to it: how long
// that may take, how often to look, and which errors time heals.
type Consistency struct {
	Patience            time.Duration
	FirstLook, LastLook time.Duration    // pauses: twice as long each time, between these
	Never               error            // the cause of giving up
	Heals               func(error) bool // errors that do not mean anything yet
}

// Settle calls step until it is done: a second time at once, to see what the first has
// done, and from then on after longer and longer pauses. what names the resource in errors.
func (c Consistency) Settle(ctx context.Context, what string, step func(context.Context) (done bool, err error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Patience, c.Never)
	defer cancel()
	var last error
	pause := time.Duration(0)
	for look := 0; ; look++ {
		if look >= 2 {
			pause = min(max(2*pause, c.FirstLook), c.LastLook)
		}
		if err := Sleep(ctx, pause); err != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(err, last))
		}
		done, err := step(ctx)
		switch {
		case done:
			return nil
		case err != nil && ctx.Err() != nil: // reported above, with its cause
		case err != nil && !c.Heals(err):
			return fmt.Errorf("%s: %w", what, Explain(err))
		default:
			last = err
		}
	}
}

// Sleep pauses, or returns why ctx ended.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
