package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/flate"
)

const (
	blockBytes = 256 << 10
	// level takes half the time of the default for shared libraries, and makes 9 % more of
	// them. To change it is to send every layer anew.
	level = 2
)

var header = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255} // no name, no time, fastest, any system

// ahead is how many blocks of one layer wait to be sent, at most; each is half a
// megabyte, plain and compressed together.
func ahead() int { return min(runtime.GOMAXPROCS(0), 4) + 1 }

var (
	// turns limits how many blocks are compressed at once, of all layers together.
	turns    = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))
	blocks   = sync.Pool{New: func() any { return &block{plain: make([]byte, blockBytes)} }}
	deflates sync.Pool
)

// block is a part of a layer, compressed by itself.
type block struct {
	plain  []byte
	n      int
	packed bytes.Buffer
	err    error
	done   chan struct{}
}

// packer reads a layer as gzip. Blocks are compressed at the same time and joined by
// empty stored blocks, as RFC 1951 has them; readers see one stream.
type packer struct {
	src   io.ReadCloser
	want  v1.Hash // of what is read
	queue chan *block
	quit  chan struct{}
	ended chan struct{} // the producer is gone
	once  sync.Once

	mu   sync.Mutex // a transport may close what it still reads
	rest []byte
	cur  *block
	err  error
	tail []byte // what follows the last block; set before queue is closed
	fail error  // why there are no more blocks; set before queue is closed
}

// pack compresses src, whose digest must be want. Close ends it at any time.
func pack(src io.ReadCloser, want v1.Hash) io.ReadCloser {
	p := &packer{src: src, want: want, queue: make(chan *block, ahead()), rest: header,
		quit: make(chan struct{}), ended: make(chan struct{})}
	go p.produce()
	return p
}

func (p *packer) produce() {
	defer close(p.ended)
	defer close(p.queue)
	sum, check, size := sha256.New(), crc32.NewIEEE(), uint32(0)
	for {
		b := blocks.Get().(*block)
		n, err := io.ReadFull(p.src, b.plain)
		b.n, b.err, b.done = n, nil, make(chan struct{})
		sum.Write(b.plain[:n])
		check.Write(b.plain[:n])
		size += uint32(n)
		if n > 0 {
			select {
			case p.queue <- b:
				go b.pack()
			case <-p.quit:
				p.fail = errClosed
				return
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			p.fail = p.verify(sum)
			p.tail = binary.LittleEndian.AppendUint32([]byte{3, 0}, check.Sum32())
			p.tail = binary.LittleEndian.AppendUint32(p.tail, size)
			return
		}
		if err != nil {
			p.fail = fmt.Errorf("read layer %s: %w", p.want, err)
			return
		}
	}
}

func (p *packer) verify(sum hash.Hash) error {
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.want.Hex {
		return &DamagedError{What: "layer " + p.want.String(), Got: "sha256:" + got}
	}
	return nil
}

func (b *block) pack() {
	defer close(b.done)
	turns <- struct{}{}
	defer func() { <-turns }()
	b.packed.Reset()
	z, ok := deflates.Get().(*flate.Writer)
	if ok {
		z.Reset(&b.packed)
	} else if z, b.err = flate.NewWriter(&b.packed, level); b.err != nil {
		return
	}
	defer deflates.Put(z)
	if _, b.err = z.Write(b.plain[:b.n]); b.err == nil {
		b.err = z.Flush()
	}
}

func (p *packer) Read(to []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		if p.cur != nil {
			blocks.Put(p.cur)
			p.cur = nil
		}
		b, ok := <-p.queue
		if !ok {
			if p.err = p.fail; p.err == nil {
				p.rest, p.err = p.tail, io.EOF
			}
			continue
		}
		<-b.done
		p.rest, p.err, p.cur = b.packed.Bytes(), b.err, b
	}
	n := copy(to, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Close waits for what is being compressed.
func (p *packer) Close() error {
	p.once.Do(func() {
		close(p.quit)
		p.mu.Lock()
		defer p.mu.Unlock()
		for b := range p.queue {
			<-b.done
			blocks.Put(b)
		}
		<-p.ended
		p.rest, p.err, p.cur = nil, errClosed, nil
		p.src.Close()
	})
	return nil
}

var errClosed = errors.New("read after close")

// DamagedError says that a source does not hold what it claims to hold.
type DamagedError struct {
	What string
	Got  string // what it is instead, or what is wrong with it
}

var _ error = (*DamagedError)(nil)

func (e *DamagedError) Error() string { return e.What + " is damaged: " + e.Got }

// Hint says what helps.
func (e *DamagedError) Hint() string { return "write the image anew, with the tool that it comes from" }
