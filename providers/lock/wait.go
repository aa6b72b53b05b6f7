package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// TimeoutError says that a lock was not given back in time.
type TimeoutError struct {
	*HeldError
	Waited time.Duration
}

var _ error = (*TimeoutError)(nil)

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("waited %s for a lock: %s", e.Waited, e.HeldError.Error())
}

func (e *TimeoutError) Unwrap() error { return e.HeldError }

// Hint says what to do about it.
func (e *TimeoutError) Hint() string {
	return "wait longer; if that run is gone for good, apron unlock --force takes its lock away"
}

// DeadlineExceeded marks the error as one of time, for the exit code.
func (e *TimeoutError) DeadlineExceeded() bool { return true }

const firstLook, lastLook = time.Second, 10 * time.Second

// AcquireEach makes this run the holder of as many of the services' locks as it can get.
// Where somebody else holds one it tells so and tries again, for as long as patience for
// all of them together; held has a [HeldError], or a [TimeoutError] after patience, for
// each that it did not get. It reports whether it had to wait, so that what was seen
// before may no longer be so. After any other error it holds none.
func (l *Locker) AcquireEach(ctx context.Context, services []string, patience time.Duration, tell func(*HeldError)) (got []string, held []error, waited bool, err error) {
	return l.acquire(ctx, services, patience, tell, true)
}

func (l *Locker) acquire(ctx context.Context, services []string, patience time.Duration, tell func(*HeldError), each bool) (got []string, held []error, waited bool, err error) {
	services = slices.Compact(slices.Sorted(slices.Values(services))) // in one order for all runs: none waits for each other
	began := l.now()
	for _, service := range services {
		left := max(patience-l.now().Sub(began), 0)
		w, err := l.await(ctx, service, left, tell)
		waited = waited || w
		if other, ok := errors.AsType[*HeldError](err); ok {
			if patience > 0 { // also where it had run out before
				err = &TimeoutError{other, patience}
			}
			if each {
				held = append(held, err)
				continue
			}
		}
		if err != nil {
			return nil, nil, waited, errors.Join(err, l.ReleaseAll(context.WithoutCancel(ctx), got))
		}
		got = append(got, service)
	}
	return got, held, waited, nil
}

// AcquireAll is AcquireEach for a run that needs all of the locks, or has no use for any:
// it holds none where somebody else holds one, and says who.
func (l *Locker) AcquireAll(ctx context.Context, services []string, patience time.Duration, tell func(*HeldError)) (waited bool, err error) {
	_, _, waited, err = l.acquire(ctx, services, patience, tell, false)
	return waited, err
}

func (l *Locker) await(ctx context.Context, service string, patience time.Duration, tell func(*HeldError)) (waited bool, err error) {
	began := l.now()
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		err := l.Acquire(ctx, service)
		held, isHeld := errors.AsType[*HeldError](err)
		switch {
		case !isHeld || patience <= 0:
			return waited, err
		case l.now().Sub(began) >= patience:
			return waited, &TimeoutError{held, patience}
		case !waited:
			waited = true
			tell(held)
		}
		if err := awsapi.Sleep(ctx, min(wait, patience-l.now().Sub(began))); err != nil {
			return waited, err
		}
	}
}

// releaseTime is how long a run that was told to end may take to give its locks back.
const releaseTime = 15 * time.Second

// ReleaseAll gives back those of the services' locks that are this run's.
func (l *Locker) ReleaseAll(ctx context.Context, services []string) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	var errs []error
	for _, service := range services {
		errs = append(errs, l.Release(ctx, service))
	}
	return errors.Join(errs...)
}
