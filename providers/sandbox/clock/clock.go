// Package clock is the sandbox's sense of time: the real time for stamps, and waits
// that a speed divides, so that a rehearsal need not take AWS's minutes.
package clock

import (
	"context"
	"time"
)

// Clock waits faster than it tells.
type Clock struct{ speed float64 }

// New returns a clock whose waits are divided by speed; below 1 counts as 1.
func New(speed float64) *Clock { return &Clock{max(speed, 1)} }

// Now is the real time, in UTC and whole milliseconds as AWS stamps it.
func (c *Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// Scale returns how long a wait of d takes on this clock.
func (c *Clock) Scale(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }

// Sleep waits for d on this clock, or returns the context's cause.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(c.Scale(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
