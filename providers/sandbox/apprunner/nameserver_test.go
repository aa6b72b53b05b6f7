package apprunner

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// serveDNS answers over UDP and TCP at one port. What reply makes of a question goes
// over TCP as it is; over UDP it may be cut off.
func serveDNS(t *testing.T, reply func(q dnsmessage.Message, network string) dnsmessage.Message) NameServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	p, err := net.ListenPacket("udp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	answer := func(packet []byte, network string) []byte {
		var q dnsmessage.Message
		if q.Unpack(packet) != nil {
			return nil
		}
		m := reply(q, network)
		b, _ := m.Pack()
		return b
	}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = p.WriteTo(answer(b[:n], "udp"), from)
		}
	}()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var size uint16
			_ = binary.Read(conn, binary.BigEndian, &size)
			b := make([]byte, size)
			_, _ = io.ReadFull(conn, b)
			out := answer(b, "tcp")
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			conn.Close()
		}
	}()
	return NameServer(l.Addr().String())
}

func cname(name, target string) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target)},
	}
}

func TestNameServer_isAskedForTheRecordItself(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		code         dnsmessage.RCode
		records      []dnsmessage.Resource
		cut, foreign bool
		want, err    string
	}{
		{name: "found", records: []dnsmessage.Resource{cname("other.example.com.", "x."), cname("A.example.com.", "b.acm-validations.aws.")}, want: "b.acm-validations.aws."},
		{name: "its target is nowhere", code: dnsmessage.RCodeNameError, records: []dnsmessage.Resource{cname("a.example.com.", "b.")}, want: "b."},
		{name: "there is none"},
		{name: "the name does not exist", code: dnsmessage.RCodeNameError},
		{name: "cut off over UDP", records: []dnsmessage.Resource{cname("a.example.com.", "b.")}, cut: true, want: "b."},
		{name: "the server cannot", code: dnsmessage.RCodeServerFailure, err: "the server answers ServerFailure"},
		{name: "another's answer", foreign: true, err: "the answer is to another question"},
	} {
		server := serveDNS(t, func(q dnsmessage.Message, network string) dnsmessage.Message {
			m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: tc.code}, Questions: q.Questions, Answers: tc.records}
			if tc.foreign || q.Questions[0].Type != dnsmessage.TypeCNAME {
				m.ID++
			}
			if tc.cut && network == "udp" {
				m.Truncated, m.Answers = true, nil
			}
			return m
		})
		got, err := server.CNAME(t.Context(), "a.example.com")
		if tc.err != "" {
			require.EqualError(t, err, "look up a.example.com at "+string(server)+": "+tc.err, tc.name)
			continue
		}
		require.NoError(t, err, tc.name)
		require.Equal(t, tc.want, got, tc.name)
	}
	_, err := NameServer("127.0.0.1:1").CNAME(t.Context(), "a..example.com")
	require.ErrorContains(t, err, "look up a..example.com: ")
}
