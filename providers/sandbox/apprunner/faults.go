package apprunner

import (
	"fmt"
	"sync"
)

// Faults are the accidents that a rehearsal can have. The zero value has none; methods
// may be called at any time, on a nil pointer too.
type Faults struct {
	mu       sync.Mutex
	notReady int
	busy     map[string]bool
	stuck    map[string]chan struct{}
	blamed   map[string]bool
}

// RoleNotReady makes the next n attempts to assume a role fail, as they do for seconds
// after a role was created.
func (f *Faults) RoleNotReady(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notReady = n
}

// Maintain puts a running service into OPERATION_IN_PROGRESS without an operation, as
// AWS's own maintenance does; traffic goes on.
// https://docs.aws.amazon.com/apprunner/latest/dg/architecture.html
func (f *Faults) Maintain(service string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy == nil {
		f.busy = map[string]bool{}
	}
	f.busy[service] = on
}

// Stick keeps the operations of a service from ending, until it is called with false.
func (f *Faults) Stick(service string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	free, held := f.stuck[service]
	switch {
	case on && !held:
		if f.stuck == nil {
			f.stuck = map[string]chan struct{}{}
		}
		f.stuck[service] = make(chan struct{})
	case !on && held:
		close(free)
		delete(f.stuck, service)
	}
}

// BlameRole makes the rollbacks of a service write that the access role is invalid, as App
// Runner does at times after a mere failure of the health check.
func (f *Faults) BlameRole(service string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blamed == nil {
		f.blamed = map[string]bool{}
	}
	f.blamed[service] = on
}

func (f *Faults) blames(service string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blamed[service]
}

// role fails while roles are not ready.
func (f *Faults) role() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notReady == 0 {
		return nil
	}
	f.notReady--
	return fmt.Errorf("the role has not propagated yet")
}

func (f *Faults) maintained(service string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy[service]
}

// freed is closed when the operations of a service may end; nil if they may already.
func (f *Faults) freed(service string) <-chan struct{} {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stuck[service]
}
