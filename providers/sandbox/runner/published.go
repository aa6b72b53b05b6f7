package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// settle is how long a proxy of an engine takes to close a connection that nobody in
// the container accepts.
const settle = 40 * time.Millisecond

// Dial implements [Instance]. Engines publish ports through proxies that accept every
// connection and close it when the container refuses it. Until something inside has
// answered once, a connection counts only if it outlives that.
func (i *container) Dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-i.done:
		return nil, errEnded
	default:
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", i.addr)
	if err != nil {
		return nil, err
	}
	p := &published{Conn: conn, i: i}
	if i.answered.Load() {
		return p, nil
	}
	if err := p.probe(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial %s: nothing listens in the container: %w", i.addr, err)
	}
	return p, nil
}

// published is a connection through a proxy; it notes that the container answers.
type published struct {
	net.Conn
	i    *container
	mu   sync.Mutex
	head []byte // what probe has read
}

func (p *published) probe(ctx context.Context) error {
	until := time.Now().Add(settle)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := p.SetReadDeadline(until); err != nil {
		return err
	}
	b := make([]byte, 1)
	n, err := p.Conn.Read(b)
	switch {
	case n > 0:
		p.head = b
	case errors.Is(err, os.ErrDeadlineExceeded):
	default:
		return syscall.ECONNREFUSED
	}
	return p.SetReadDeadline(time.Time{})
}

func (p *published) Read(b []byte) (int, error) {
	p.mu.Lock()
	if len(p.head) > 0 && len(b) > 0 {
		n := copy(b, p.head)
		p.head = nil
		p.mu.Unlock()
		p.i.answered.Store(true)
		return n, nil
	}
	p.mu.Unlock()
	n, err := p.Conn.Read(b)
	if n > 0 {
		p.i.answered.Store(true)
	}
	return n, err
}

// CloseWrite passes on a half-close, as proxies do.
func (p *published) CloseWrite() error {
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
