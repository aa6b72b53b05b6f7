//go:build linux

package main

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	oneWay = 15 * time.Millisecond // half of a round trip
	rate   = 20_000_000            // bytes per second, of each connection and direction
)

// shape listens for connections and passes them on, late and slowly.
func shape(to string) (addr string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go relay(in, to)
		}
	}()
	return l.Addr().String(), func() { l.Close() }, nil
}

func relay(in net.Conn, to string) {
	defer in.Close()
	time.Sleep(2 * oneWay) // the handshake
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	both.Go(func() { delay(out, in) })
	both.Go(func() { delay(in, out) })
	both.Wait()
}

type chunk struct {
	bytes []byte
	due   time.Time
}

// delay copies, such that each byte arrives oneWay after it could have been sent.
func delay(to, from net.Conn) {
	queue := make(chan chunk, 64) // more than what is on the way: rate * oneWay / 16 KiB
	go func() {
		defer close(queue)
		sent := time.Now()
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if now := time.Now(); now.After(sent) {
				sent = now
			}
			sent = sent.Add(time.Duration(n) * time.Second / rate)
			if n > 0 {
				queue <- chunk{b[:n], sent.Add(oneWay)}
			}
			if err != nil {
				return
			}
			time.Sleep(time.Until(sent))
		}
	}()
	var err error
	for c := range queue {
		time.Sleep(time.Until(c.due))
		if err == nil {
			_, err = to.Write(c.bytes)
		}
		if err != nil {
			from.Close()
		}
	}
	if c, ok := to.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, from)
}
