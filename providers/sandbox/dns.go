package sandbox

import (
	"errors"
	"net"
	"strconv"
)

// listen takes the port on the loopback for TCP, and for UDP, too: the name server of the
// hosted zones has the number that everything else has. If either is taken, any number
// does.
func listen(port int) (net.Listener, net.PacketConn, error) {
	var failed error
	for range 16 { // a free TCP port may be taken for UDP, which is rare
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil && port == 0 {
			return nil, nil, err
		}
		port = 0
		if err != nil {
			continue
		}
		p, err := net.ListenPacket("udp4", l.Addr().String())
		if err == nil {
			return l, p, nil
		}
		failed = errors.Join(err, l.Close())
	}
	return nil, nil, failed
}

// serveDNS answers the hosted zones' name server's questions until the socket is closed.
func (s *Server) serveDNS() {
	packet := make([]byte, 4096)
	for {
		n, from, err := s.packets.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Warn("name server: read", "error", err)
			continue
		}
		if answer := s.answerDNS(packet[:n]); answer != nil {
			if _, err := s.packets.WriteTo(answer, from); err != nil {
				s.log.Warn("name server: write", "error", err)
			}
		}
	}
}

// answerDNS is nil, which is silence, while there is no world.
func (s *Server) answerDNS(packet []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.world == nil {
		return nil
	}
	return s.world.zones.Answer(packet)
}
