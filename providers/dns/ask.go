package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// found is what a server has of a name itself.
type found struct {
	cname     string // without a dot at the end
	addresses []string
}

// ask asks servers in turn for a name's own records, until one answers.
func (r Resolver) ask(ctx context.Context, servers []string, name string) (found, error) {
	if strings.HasPrefix(name, "*.") { // any name just below stands for it
		name = "apron-looks" + name[1:]
	}
	var errs []error
	for _, server := range servers {
		got, err := r.askOne(ctx, server, name)
		if err == nil {
			return got, nil
		}
		errs = append(errs, fmt.Errorf("name server %s: %w", server, err))
	}
	return found{}, errors.Join(errs...)
}

func (r Resolver) askOne(ctx context.Context, server, name string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	asked, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return found{}, err
	}
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32())},
		Questions: []dnsmessage.Question{{Name: asked, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packet, err := query.Pack()
	if err != nil {
		return found{}, err
	}
	answer, err := exchange(ctx, "udp", server, packet)
	if err == nil && answer.Truncated {
		answer, err = exchange(ctx, "tcp", server, packet)
	}
	if err != nil {
		return found{}, err
	}
	switch answer.RCode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
	default:
		return found{}, fmt.Errorf("it answers %s", strings.TrimPrefix(answer.RCode.GoString(), "dnsmessage.RCode"))
	}
	var got found
	for _, a := range answer.Answers {
		if !strings.EqualFold(a.Header.Name.String(), asked.String()) {
			continue // where a CNAME leads
		}
		switch body := a.Body.(type) {
		case *dnsmessage.CNAMEResource:
			got.cname = strings.TrimSuffix(body.CNAME.String(), ".")
		case *dnsmessage.AResource:
			got.addresses = append(got.addresses, net.IP(body.A[:]).String())
		}
	}
	return got, nil
}

// exchange sends one question and reads its answer.
func exchange(ctx context.Context, network, server string, packet []byte) (*dnsmessage.Message, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that has none ends with the server
	}
	id := binary.BigEndian.Uint16(packet)
	if network == "tcp" { // https://www.rfc-editor.org/rfc/rfc1035#section-4.2.2
		packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	for {
		answer, err := receive(conn, network)
		if err != nil {
			return nil, err
		}
		var m dnsmessage.Message
		if m.Unpack(answer) == nil && m.ID == id && m.Response {
			return &m, nil
		}
		if network == "tcp" {
			return nil, errors.New("it answers another question")
		} // a stray packet: the right one may still come, until the deadline
	}
}

func receive(conn net.Conn, network string) ([]byte, error) {
	if network == "tcp" {
		var size uint16
		if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
			return nil, err
		}
		answer := make([]byte, size)
		_, err := io.ReadFull(conn, answer)
		return answer, err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	return answer[:n], err
}
