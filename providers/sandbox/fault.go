package sandbox

import (
	"context"
	"net/http"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// When is the moment of a [Fault].
type When int

// Before and After the operation takes effect.
const (
	Never When = iota
	Before
	After
)

// Fault is an accident that befalls one call. The zero value is none.
type Fault struct {
	When When
	// Err is the answer; nil breaks the connection without one.
	Err *wire.Error
	// Crash ends the sandbox's process at that moment, see [Options.Crash].
	Crash bool
}

// Throttle refuses the call for its rate.
func Throttle() Fault {
	return Fault{When: Before, Err: wire.Errorf("ThrottlingException", "Rate exceeded")}
}

// Fail answers with an internal error before the call has an effect.
func Fail() Fault {
	return Fault{When: Before, Err: &wire.Error{Code: "InternalFailure", Message: "An internal error has occurred.", Status: http.StatusInternalServerError}}
}

// Lose lets the call take effect and loses its response.
func Lose() Fault { return Fault{When: After} }

// around is what each call passes through: the count, the latency and the fault.
func (s *Server) around(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
	n := int(s.calls.Add(1))
	var fault Fault
	if s.options.Faults != nil {
		fault = s.options.Faults(call.Service, call.Operation, n)
	}
	if fault.When == Never {
		fault = s.rehearsed(call, int64(n))
	}
	if err := wait(ctx, s.options.Latency); err != nil {
		return nil, wire.ErrDropped // the client has gone
	}
	if fault.When == Before {
		return nil, s.befall(fault)
	}
	out, err := next(ctx)
	if fault.When == After {
		return nil, s.befall(fault)
	}
	return out, err
}

// befall carries out a fault and returns what the client gets to hear.
func (s *Server) befall(f Fault) error {
	if f.Crash {
		s.options.Crash()
	}
	if f.Err == nil {
		return wire.ErrDropped
	}
	return f.Err
}

// aroundRegistry passes a request of the registry through the same, as the operation
// "registry", "PUT". Whatever the fault, the client sees a broken connection.
func (s *Server) aroundRegistry(w http.ResponseWriter, r *http.Request, next http.Handler) {
	_, err := s.around(r.Context(), wire.Call{Service: "registry", Operation: r.Method}, func(ctx context.Context) (any, error) {
		next.ServeHTTP(w, r.WithContext(ctx))
		return nil, nil
	})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
