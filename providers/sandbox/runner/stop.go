package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errEnded = errors.New("the instance has ended")

// killTimeout is how long a killed instance may take to be gone.
const killTimeout = 15 * time.Second

// stop asks an instance to end and makes it. Errors of signals count only when the
// instance is still there afterwards: it may have ended just before. lost is called
// when even SIGKILL did not end it; it must close done soon.
func stop(ctx context.Context, grace time.Duration, done <-chan struct{}, signal func(name string) error, lost func()) error {
	select {
	case <-done:
		return nil
	default:
	}
	if ctx.Err() == nil && grace > 0 {
		_ = signal("TERM")
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
		case <-t.C:
		}
	}
	err := signal("KILL")
	t := time.NewTimer(killTimeout)
	defer t.Stop()
	select {
	case <-done:
		return context.Cause(ctx)
	case <-t.C:
		lost()
		<-done
		return fmt.Errorf("kill: still running after %s: %w", killTimeout, err)
	}
}
