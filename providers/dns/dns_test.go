package dns

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// zone is what a name server has: name → CNAME, or an IPv4 address. A name *.X stands for
// all that is not there below X.
type zone map[string]string

func (z zone) answer(t *testing.T, packet []byte, truncate bool) []byte {
	var m dnsmessage.Message
	require.NoError(t, m.Unpack(packet))
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	value, ok := z[name]
	if _, parent, _ := strings.Cut(name, "."); !ok {
		value, ok = z["*."+parent]
	}
	m.Response, m.Truncated = true, truncate
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
	switch ip := net.ParseIP(value).To4(); {
	case value == "REFUSED":
		m.RCode = dnsmessage.RCodeRefused
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case truncate:
	case ip != nil:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte(ip)}}}
	default:
		to := dnsmessage.MustNewName(value + ".")
		elsewhere := dnsmessage.ResourceHeader{Name: to, Class: dnsmessage.ClassINET}
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: to}},
			{Header: elsewhere, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 9}}}} // where it leads
	}
	out, err := m.Pack()
	require.NoError(t, err)
	return out
}

// serve answers on UDP, with a stray packet before each answer, and on TCP.
func serve(t *testing.T, z zone, truncate bool) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := net.ListenPacket("udp4", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { l.Close(); p.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = p.WriteTo([]byte("stray"), from)
			_, _ = p.WriteTo(z.answer(t, b[:n], truncate), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size uint16
			if binary.Read(c, binary.BigEndian, &size) == nil {
				b := make([]byte, size)
				if _, err := io.ReadFull(c, b); err == nil {
					out := z.answer(t, b, false)
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
				}
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

var world = zone{
	"app.example.com":           "x.us-east-1.awsapprunner.com",
	"_a.app.example.com":        "_b.acm-validations.aws",
	"_c.app.example.com":        "_other.acm-validations.aws",
	"*.wild.example.com":        "cdn.example.net",
	"*.example.org":             "x.us-east-1.awsapprunner.com",
	"example.com":               "192.0.2.1",
	"old.example.com":           "192.0.2.7",
	"alias.example.com":         "127.0.0.1",
	"broken.example.com":        "REFUSED",
	"x.awsapprunner.com":        "192.0.2.1",
	"unknown.awsapprunner.test": "REFUSED",
}

func TestCheck(t *testing.T) {
	for _, truncate := range []bool{false, true} {
		t.Run("truncated "+strconv.FormatBool(truncate), func(t *testing.T) {
			r := Resolver{Server: serve(t, world, truncate), Timeout: 10 * time.Second}
			for name, tc := range map[string]struct {
				ask, value string
				want       Verdict
				got, why   string
			}{
				"a CNAME":                           {"app.example.com", "X.us-east-1.awsapprunner.com.", Seen, "", ""},
				"a validation record":               {"_a.app.example.com.", "_b.acm-validations.aws.", Seen, "", ""},
				"another value":                     {"_c.app.example.com", "_d.acm-validations.aws", WrongValue, "_other.acm-validations.aws", ""},
				"nothing":                           {"_z.app.example.com", "_d.acm-validations.aws", NotSeen, "", ""},
				"a wildcard instead":                {"_z.wild.example.com", "_d.acm-validations.aws", WrongValue, "cdn.example.net", "a wildcard record of wild.example.com answers for it"},
				"a wildcard that is asked for":      {"*.example.org", "x.us-east-1.awsapprunner.com", Seen, "", ""},
				"an alias":                          {"example.com", "x.awsapprunner.com", Seen, "", ""},
				"an alias to this machine":          {"alias.example.com", "shop.localhost", Seen, "", ""},
				"addresses of something else":       {"old.example.com", "x.awsapprunner.com", WrongValue, "192.0.2.7", ""},
				"a server that refuses":             {"broken.example.com", "x", NotChecked, "", "it answers Refused"},
				"addresses that nobody can tell of": {"old.example.com", "unknown.awsapprunner.test", NotChecked, "", "are not known"},
				"what is no name":                   {strings.Repeat("a", 300), "x", NotChecked, "", ""},
			} {
				f := r.Check(t.Context(), []Record{{tc.ask, tc.value}})[0]
				require.Equal(t, tc.want, f.Verdict, "%s: %s", name, f.Why)
				require.Equal(t, tc.got, f.Got, name)
				require.Contains(t, f.Why, tc.why, name)
			}
		})
	}
}

func TestCheck_saysWhoDidNotAnswer(t *testing.T) {
	p, err := net.ListenPacket("udp4", "127.0.0.1:0") // and nobody reads
	require.NoError(t, err)
	defer p.Close()
	f := Resolver{Server: p.LocalAddr().String(), Timeout: 10 * time.Millisecond}.Check(t.Context(), []Record{{"app.example.com", "x"}})[0]
	require.Equal(t, NotChecked, f.Verdict)
	require.Contains(t, f.Why, "name server "+p.LocalAddr().String())
}

func TestShadowed(t *testing.T) {
	top := Finding{Record: Record{Name: "app.example.com"}, Verdict: Seen}
	below := Finding{Record: Record{Name: "_x.app.example.com"}, Verdict: NotSeen}
	name, shadowed := Shadowed([]Finding{below, top})
	require.True(t, shadowed)
	require.Equal(t, "app.example.com", name)
	below.Verdict = Seen
	_, shadowed = Shadowed([]Finding{below, top})
	require.False(t, shadowed)
	top.Verdict, below.Verdict = NotSeen, NotSeen
	_, shadowed = Shadowed([]Finding{below, top})
	require.False(t, shadowed)
}
