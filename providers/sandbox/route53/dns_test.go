package route53_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// resolver is Go's own, asking the name server over UDP.
func (w *world) resolver() *net.Resolver {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(w.service.Answer(b[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// ask sends one question and returns the response.
func (w *world) ask(name string, kind dnsmessage.Type, adjust ...func(*dnsmessage.Message)) dnsmessage.Message {
	w.Helper()
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	for _, f := range adjust {
		f(&q)
	}
	b, err := q.Pack()
	require.NoError(w, err)
	var m dnsmessage.Message
	require.NoError(w, m.Unpack(w.service.Answer(b)))
	require.Equal(w, uint16(7), m.ID)
	return m
}

func TestNameServer_answersGosResolver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	_, err := w.change(zone,
		set(create, "example.com", "A", "192.0.2.1"), set(create, "example.com", "AAAA", "2001:db8::1"),
		set(create, "www.example.com", "CNAME", "example.com"), set(create, "_x.example.com", "CNAME", "_y.acm-validations.aws."),
		set(create, "example.com", "MX", "10 mail.example.com"), set(create, "example.com", "TXT", `"a\"b" "\303\274"`, `"c"`),
		set(create, "_sip._tcp.example.com", "SRV", "1 2 5060 example.com."), set(create, "*.example.com", "A", "192.0.2.9"),
		aliasTo("app.example.com", "A", "Z01915732ZBZKC8D32TPT", "x.us-east-1.awsapprunner.com"), aliasTo("again.example.com", "A", zone, "example.com"))
	require.NoError(t, err)
	w.sync()
	r, ctx := w.resolver(), t.Context()
	hosts := func(name string) []string {
		list, err := r.LookupHost(ctx, name)
		require.NoError(t, err, name)
		slices.Sort(list)
		return list
	}
	require.Equal(t, []string{"192.0.2.1", "2001:db8::1"}, hosts("WWW.example.com"))
	require.Equal(t, []string{"192.0.2.9"}, hosts("any.thing.example.com"))
	require.Equal(t, []string{"127.0.0.1"}, hosts("app.example.com"))
	require.Equal(t, []string{"192.0.2.1"}, hosts("again.example.com"))
	name, err := r.LookupCNAME(ctx, "www.example.com")
	require.NoError(t, err)
	require.Equal(t, "example.com.", name)
	servers, err := r.LookupNS(ctx, "example.com")
	require.NoError(t, err)
	require.Len(t, servers, 4)
	for _, server := range servers {
		require.Equal(t, []string{"127.0.0.1"}, hosts(server.Host))
	}
	mx, err := r.LookupMX(ctx, "example.com")
	require.NoError(t, err)
	require.Equal(t, net.MX{Host: "mail.example.com.", Pref: 10}, *mx[0])
	texts, err := r.LookupTXT(ctx, "example.com")
	require.NoError(t, err)
	require.Equal(t, []string{`a"bü`, "c"}, texts)
	_, srv, err := r.LookupSRV(ctx, "sip", "tcp", "example.com")
	require.NoError(t, err)
	require.Equal(t, net.SRV{Target: "example.com.", Port: 5060, Priority: 1, Weight: 2}, *srv[0])
	for _, missing := range []string{"example.org", "_tcp.example.com"} {
		_, err = r.LookupHost(ctx, missing)
		var none *net.DNSError
		require.ErrorAs(t, err, &none)
		require.True(t, none.IsNotFound, missing)
	}
	require.Equal(t, []string{"_y.acm-validations.aws."}, w.service.Lookup("_X.example.com", "CNAME"))
	require.Equal(t, []string{"127.0.0.1"}, w.service.Lookup("app.example.com", "A"))
	require.Equal(t, []string{`10 mail.example.com`}, w.service.Lookup("example.com.", "mx"))
	require.Empty(t, w.service.Lookup("example.org", "A"))
}

func TestNameServer_tellsWhatIsInSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	require.Empty(t, w.service.Lookup("example.com", "NS"))
	w.sync()
	require.Len(t, w.service.Lookup("example.com", "NS"), 4)
	_, err := w.change(zone, set(upsert, "example.com", "A", "192.0.2.1"))
	require.NoError(t, err)
	w.open()
	require.Empty(t, w.service.Lookup("example.com", "A"))
	w.sync()
	_, err = w.change(zone, set(upsert, "example.com", "A", "192.0.2.2"))
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.1"}, w.service.Lookup("example.com", "A"), "the older change is in sync, the newer is not")
	w.sync()
	require.Equal(t, []string{"192.0.2.2"}, w.service.Lookup("example.com", "A"))
}

func TestNameServer_hasTheAuthorityForItsZonesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	older := w.zone("two.example")
	w.now = w.now.Add(1)
	w.zone("two.example")
	w.zone("inside.example", func(in *sdk.CreateHostedZoneInput) {
		in.VPC = &types.VPC{VPCId: aws.String("vpc-1"), VPCRegion: types.VPCRegionUsEast1}
	})
	_, err := w.change(zone, set(create, "given.example.com", "NS", "ns.example.net."), set(create, "round.example.com", "CNAME", "trip.example.com"),
		set(create, "trip.example.com", "CNAME", "round.example.com"), set(create, "example.com", "CAA", `0 issue "amazon.com"`))
	require.NoError(t, err)
	_, err = w.change(older, set(create, "two.example", "A", "192.0.2.1"))
	require.NoError(t, err)
	w.sync()

	own := w.ask("example.com.", dnsmessage.TypeSOA)
	require.True(t, own.Authoritative)
	require.Len(t, own.Answers, 1)
	nothing := w.ask("example.com.", dnsmessage.TypeA)
	require.Equal(t, dnsmessage.RCodeSuccess, nothing.RCode)
	require.Equal(t, dnsmessage.TypeSOA, nothing.Authorities[0].Header.Type)
	missing := w.ask("x.example.com.", dnsmessage.TypeA)
	require.Equal(t, dnsmessage.RCodeNameError, missing.RCode)
	require.True(t, missing.Authoritative)
	caa := w.ask("example.com.", 257)
	require.Equal(t, "\x00\x05issueamazon.com", string(caa.Answers[0].Body.(*dnsmessage.UnknownResource).Data))
	for _, name := range []string{"example.org.", "inside.example."} {
		foreign := w.ask(name, dnsmessage.TypeA)
		require.Equal(t, dnsmessage.RCodeNameError, foreign.RCode, name)
		require.False(t, foreign.Authoritative, name)
	}
	given := w.ask("a.given.example.com.", dnsmessage.TypeA)
	require.Empty(t, given.Answers)
	require.False(t, given.Authoritative)
	require.Equal(t, "ns.example.net.", given.Authorities[0].Body.(*dnsmessage.NSResource).NS.String())
	require.Equal(t, dnsmessage.RCodeServerFailure, w.ask("round.example.com.", dnsmessage.TypeA).RCode)
	require.Len(t, w.ask("two.example.", dnsmessage.TypeA).Answers, 1, "the older zone is the delegated one")
}

func TestNameServer_standsOddQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zone := w.zone("example.com")
	var long []string
	for c := range "abcdefgh" {
		long = append(long, `"`+strings.Repeat(string(rune('a'+c)), 200)+`"`)
	}
	_, err := w.change(zone, set(create, "example.com", "TXT", long...))
	require.NoError(t, err)
	w.sync()
	require.True(t, w.ask("example.com.", dnsmessage.TypeTXT).Truncated)
	large := w.ask("example.com.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) {
		var h dnsmessage.ResourceHeader
		require.NoError(t, h.SetEDNS0(4096, dnsmessage.RCodeSuccess, false))
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	})
	require.Len(t, large.Answers, 8)
	require.Equal(t, dnsmessage.RCodeNotImplemented, w.ask("example.com.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.OpCode = 4 }).RCode)
	require.Equal(t, dnsmessage.RCodeRefused, w.ask("example.com.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }).RCode)
	require.Equal(t, dnsmessage.RCodeFormatError, w.ask("example.com.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = nil }).RCode)
	require.Nil(t, w.service.Answer([]byte("no packet")))
}

func FuzzAnswer(f *testing.F) {
	w := newWorld(f)
	zone := w.zone("example.com")
	_, err := w.change(zone, set(create, "*.example.com", "A", "192.0.2.1"), set(create, "a.example.com", "CNAME", "b.example.com"))
	require.NoError(f, err)
	w.sync()
	for _, name := range []string{"example.com.", "a.example.com.", "."} {
		q := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET}}}
		b, err := q.Pack()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if b := w.service.Answer(packet); b != nil {
			var m dnsmessage.Message
			require.NoError(t, m.Unpack(b))
			require.True(t, m.Response)
		}
	})
}
