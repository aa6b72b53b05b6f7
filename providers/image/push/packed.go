package push

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// smallBytes is up to what size a layer is compressed before it is sent: it then has a
// digest that the registry can be asked about, and is sent again without compressing it
// again.
const smallBytes = 4 << 20

var buffers = sync.Pool{New: func() any { b := make([]byte, smallBytes); return &b }}

// packed reads a layer compressed, and hashes what it reads.
type packed struct {
	ctx context.Context
	src io.ReadCloser

	mu     sync.Mutex // a transport may close what it still reads
	hash   hash.Hash
	size   int64
	held   *[]byte // from the pool
	rest   []byte  // of held, not handed out yet
	ended  bool    // the source has
	closed bool
	err    error
}

func newPacked(ctx context.Context, l packable) (*packed, error) {
	src, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	return &packed{ctx: ctx, src: src, hash: sha256.New()}, nil
}

// fill reads the beginning, and reports whether that is all.
func (p *packed) fill() (all bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = buffers.Get().(*[]byte)
	n := 0
	for n < len(*p.held) && !p.ended {
		var got int
		got, err = p.read((*p.held)[n:min(n+64<<10, len(*p.held))])
		n += got
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
	}
	p.rest = (*p.held)[:n]
	return p.ended, nil
}

// read reads from the source itself.
func (p *packed) read(to []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.src.Read(to)
	p.hash.Write(to[:n])
	p.size += int64(n)
	if errors.Is(err, io.EOF) {
		p.ended = true
	} else if err != nil {
		p.err = err
	}
	return n, err
}

func (p *packed) Read(to []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return 0, errClosed
	case len(p.rest) > 0:
		n := copy(to, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	case p.ended:
		return 0, io.EOF
	}
	return p.read(to)
}

var errClosed = errors.New("read after close")

// skip reads over what the registry has already.
func (p *packed) skip(n int64) error {
	_, err := io.CopyN(io.Discard, p, n)
	return err
}

// sum returns digest and size, once all has been read.
func (p *packed) sum() (v1.Hash, int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(p.hash.Sum(nil))}, p.size, p.ended
}

// cause is why the layer could not be read, if that is so.
func (p *packed) cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// take closes the reader and leaves what it held to the caller.
func (p *packed) take() *buffer {
	p.mu.Lock()
	b := &buffer{bytes: p.rest, full: *p.held}
	p.held, p.rest = nil, nil
	p.mu.Unlock()
	p.Close()
	return b
}

func (p *packed) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.held != nil {
		buffers.Put(p.held)
		p.held, p.rest = nil, nil
	}
	return p.src.Close()
}

// lent is a body whose bytes can be taken back.
type lent struct {
	mu sync.Mutex
	r  *bytes.Reader // nil when they have been
}

func (l *lent) Read(to []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return 0, errClosed
	}
	return l.r.Read(to)
}

func (l *lent) Seek(offset int64, whence int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return 0, errClosed
	}
	return l.r.Seek(offset, whence)
}

func (l *lent) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r = nil
	return nil
}
