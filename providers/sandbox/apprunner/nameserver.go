package apprunner

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// NameServer is a [Resolver]: the address, as host:port, of a server to ask over UDP, and
// over TCP for answers that UDP cuts off. It may be a resolver or an authority.
type NameServer string

var _ Resolver = NameServer("")

// A name server has a while for an answer, and is asked again: packets get lost.
const (
	patience = time.Second
	tries    = 3
)

// CNAME implements [Resolver]. The system's own resolver would not do: it follows the
// record to an address, and what validates a certificate has none.
func (n NameServer) CNAME(ctx context.Context, name string) (string, error) {
	question, id, err := ask(name)
	if err != nil {
		return "", fmt.Errorf("look up %s: %w", name, err)
	}
	for _, network := range []string{"udp", "tcp"} {
		packet, err := n.exchange(ctx, network, question)
		for try := 1; err != nil && try < tries && ctx.Err() == nil; try++ {
			packet, err = n.exchange(ctx, network, question)
		}
		if err != nil {
			return "", fmt.Errorf("look up %s at %s: %w", name, string(n), err)
		}
		target, whole, err := read(packet, id, name)
		if err != nil {
			return "", fmt.Errorf("look up %s at %s: %w", name, string(n), err)
		}
		if whole {
			return target, nil
		}
	}
	return "", fmt.Errorf("look up %s at %s: the answer is cut off", name, string(n))
}

// ask makes the packet of a question for a name's CNAME.
func ask(name string) (packet []byte, id uint16, err error) {
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	asked, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, 0, err
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	id = binary.BigEndian.Uint16(b[:])
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: asked, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET}},
	}
	packet, err = m.Pack()
	return packet, id, err
}

// exchange sends a packet and returns the one that comes back.
func (n NameServer) exchange(ctx context.Context, network string, packet []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, string(n))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if network == "udp" {
		if _, err := conn.Write(packet); err != nil {
			return nil, err
		}
		answer := make([]byte, 4096)
		size, err := conn.Read(answer)
		return answer[:size], err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)); err != nil {
		return nil, err
	}
	var size uint16
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	answer := make([]byte, size)
	_, err = io.ReadFull(conn, answer)
	return answer, err
}

// read takes the CNAME of a name out of an answer; whole is false if the answer is cut
// off. A name that does not exist has none.
func read(packet []byte, id uint16, name string) (target string, whole bool, err error) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	switch {
	case err != nil:
		return "", false, err
	case !header.Response || header.ID != id:
		return "", false, errors.New("the answer is to another question")
	case header.Truncated:
		return "", false, nil
	case header.RCode != dnsmessage.RCodeSuccess && header.RCode != dnsmessage.RCodeNameError:
		return "", false, fmt.Errorf("the server answers %s", strings.TrimPrefix(header.RCode.String(), "RCode"))
	}
	if err := p.SkipAllQuestions(); err != nil {
		return "", false, err
	}
	answers, err := p.AllAnswers()
	for _, a := range answers {
		if c, ok := a.Body.(*dnsmessage.CNAMEResource); ok && sameName(a.Header.Name.String(), name) {
			return c.CNAME.String(), true, nil
		}
	}
	return "", true, err
}
