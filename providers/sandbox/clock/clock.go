// Package clock is the sandbox's sense of time: the real time for stamps, waits that a
// speed divides, so that a rehearsal need not take AWS's minutes, and hands that can be
// turned forward.
package clock

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Clock waits faster than it tells. It is safe for concurrent use.
type Clock struct {
	speed float64

	mu     sync.Mutex
	ahead  time.Duration
	turned chan struct{} // closed by the next turn
}

// New returns a clock whose waits are divided by speed; below 1 counts as 1.
func New(speed float64) *Clock { return &Clock{speed: max(speed, 1), turned: make(chan struct{})} }

// Now is the real time, and as much as the clock was turned, in UTC and whole milliseconds
// as AWS stamps it.
func (c *Clock) Now() time.Time {
	ahead, _ := c.hands()
	return time.Now().Add(ahead).UTC().Truncate(time.Millisecond)
}

func (c *Clock) hands() (time.Duration, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.turned
}

// Turn turns the clock forward: waits that are under way have so much less to go. It
// never goes back.
func (c *Clock) Turn(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("a clock is turned forward only, not by %s", d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	close(c.turned)
	c.turned = make(chan struct{})
	return nil
}

// Scale returns how long a wait of d takes on this clock.
func (c *Clock) Scale(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }

// Sleep waits for d on this clock, or returns the context's cause.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	begin, _ := c.hands()
	start := time.Now()
	for {
		ahead, turned := c.hands()
		t := time.NewTimer(c.Scale(d-(ahead-begin)) - time.Since(start))
		select {
		case <-t.C:
			return nil
		case <-turned:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// After returns a channel that is closed when d has passed on this clock, or ctx has ended.
func (c *Clock) After(ctx context.Context, d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = c.Sleep(ctx, d) // whoever waits looks at the context
	}()
	return over
}
