package runner

import (
	"context"
	"sync"
)

// loads does what is needed once per image, however many starts wait for it.
type loads struct {
	mu   sync.Mutex
	byID map[string]*load
}

type load struct {
	done chan struct{}
	err  error
}

// once runs f, unless it ran for this id before and succeeded.
func (l *loads) once(ctx context.Context, id string, f func() error) error {
	for {
		l.mu.Lock()
		x, ok := l.byID[id]
		if !ok {
			x = &load{done: make(chan struct{})}
			if l.byID == nil {
				l.byID = map[string]*load{}
			}
			l.byID[id] = x
			l.mu.Unlock()
			if x.err = f(); x.err != nil {
				l.forget(id)
			}
			close(x.done)
			return x.err
		}
		l.mu.Unlock()
		select {
		case <-x.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if x.err == nil {
			return nil
		} // else its context may have ended: try with ours
	}
}

// forget makes the next start load again.
func (l *loads) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}
