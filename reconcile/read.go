package reconcile

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/reconcile/state"
)

// ReadError says that something could not be read: nobody knows what is live of it. A run
// that is about more goes on without those who need it.
type ReadError struct {
	Target state.Address
	Err    error
}

var _ error = (*ReadError)(nil)

func (e *ReadError) Error() string { return e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// Unread lists the errors that err gathers, and reports whether all of them are a
// [ReadError]. Anything else among them is about the whole run.
func Unread(err error) ([]*ReadError, bool) {
	if err == nil {
		return nil, false
	}
	if many, ok := err.(*multierror.Error); ok {
		var all []*ReadError
		for _, e := range many.Errors {
			some, ok := Unread(e)
			if !ok {
				return nil, false
			}
			all = append(all, some...)
		}
		return all, len(all) > 0
	}
	one, ok := err.(*ReadError)
	return []*ReadError{one}, ok
}

// Reads run at once. One that ends with a [ReadError] keeps no other from its end; any other
// error ends them all.
type Reads struct {
	group *errgroup.Group

	mu     sync.Mutex
	unread []*ReadError // guarded by mu
}

// NewReads returns a group of reads and the context for them.
func NewReads(ctx context.Context) (*Reads, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return &Reads{group: g}, ctx
}

// SetLimit is how many may run at once; without it, all may.
func (r *Reads) SetLimit(n int) { r.group.SetLimit(n) }

// Go starts a read.
func (r *Reads) Go(read func() error) {
	r.group.Go(func() error {
		err := read()
		some, ok := Unread(err)
		if !ok {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unread = append(r.unread, some...)
		return nil
	})
}

// Wait waits for all reads. What could not be read is told in the order of its addresses.
func (r *Reads) Wait() error {
	if err := r.group.Wait(); err != nil {
		return err
	}
	slices.SortFunc(r.unread, func(a, b *ReadError) int {
		return cmp.Or(a.Target.Compare(b.Target), cmp.Compare(a.Error(), b.Error()))
	})
	if len(r.unread) == 1 {
		return r.unread[0] // whose text is that of an error
	}
	var all *multierror.Error
	for _, e := range r.unread {
		all = multierror.Append(all, e)
	}
	return all.ErrorOrNil()
}
