package lock

import (
	"context"
	"fmt"
	"slices"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// LostError says that a lock that this run holds is not its own any more, or could not be
// renewed.
type LostError struct {
	Service string
	// Holder has it now; nil where nobody has.
	Holder *Holder
	// Err is why it could not be renewed, which is tried again; nil if it was taken away.
	Err error
}

var _ error = (*LostError)(nil)

func (e *LostError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("the lock of service %q is not renewed yet: %v", e.Service, e.Err)
	case e.Holder != nil:
		return fmt.Sprintf("the lock of service %q was taken away, and is held by %s", e.Service, *e.Holder)
	}
	return fmt.Sprintf("the lock of service %q was taken away", e.Service)
}

func (e *LostError) Unwrap() error { return e.Err }

// Keep renews the services' locks for as long as this run goes on, so that none of them
// expires: three times within its life, which leaves room for a try that fails. It tells
// what becomes of a lock that it cannot keep, and nothing else is done about it: what the
// run has begun goes on. The caller calls stop before it gives the locks back.
func (l *Locker) Keep(ctx context.Context, services []string, lost func(*LostError)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		mine := slices.Clone(services)
		for len(mine) > 0 && awsapi.Sleep(ctx, l.life/3) == nil {
			mine = slices.DeleteFunc(mine, func(service string) bool {
				e := l.renew(ctx, service)
				if e == nil || ctx.Err() != nil {
					return false
				}
				lost(e)
				return e.Err == nil
			})
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// renew puts off the end of a lock that this run holds.
func (l *Locker) renew(ctx context.Context, service string) *LostError {
	found, err := l.Look(ctx, service)
	switch {
	case err != nil:
		return &LostError{Service: service, Err: err}
	case found == nil:
		return &LostError{Service: service}
	case found.Holder.ID != l.me.ID:
		return &LostError{Service: service, Holder: &found.Holder}
	}
	won, err := l.takeOver(ctx, *found)
	switch {
	case err != nil:
		return &LostError{Service: service, Err: err}
	case !won: // somebody has a claim to it: the next look tells who
		return &LostError{Service: service, Err: fmt.Errorf("another run is taking it over")}
	}
	return nil
}
