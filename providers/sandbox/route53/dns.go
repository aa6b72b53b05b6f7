package route53

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer is the name server: a query's packet in, the response's out. It has the authority
// for the hosted zones, and is a resolver for them, too; there is no other world behind it,
// so a name in no zone does not exist. A packet that is no query gets no response (nil).
//
// The name servers' own names are 127.0.0.1, at whatever port this server is asked.
func (s *Service) Answer(packet []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil || header.Response {
		return nil
	}
	a := answer{Message: dnsmessage.Message{Header: dnsmessage.Header{
		ID: header.ID, OpCode: header.OpCode, Response: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
	}}}
	questions, err := p.AllQuestions()
	switch {
	case header.OpCode != 0:
		a.RCode = dnsmessage.RCodeNotImplemented
	case err != nil || len(questions) != 1:
		a.RCode = dnsmessage.RCodeFormatError
	case questions[0].Class != dnsmessage.ClassINET:
		a.Questions, a.RCode = questions, dnsmessage.RCodeRefused
	default:
		a.Questions = questions
		a.name, a.kind = strings.ToLower(questions[0].Name.String()), questions[0].Type
		s.doc.View(func(all *zones) { a.follow(s, all) })
	}
	size := 512 // https://www.rfc-editor.org/rfc/rfc6891#section-6.2.5
	if asked := edns(&p); asked > 0 {
		size = max(size, asked)
		var own dnsmessage.ResourceHeader
		_ = own.SetEDNS0(1232, dnsmessage.RCodeSuccess, false) // fails for odd codes only
		a.Additionals = append(a.Additionals, dnsmessage.Resource{Header: own, Body: &dnsmessage.OPTResource{}})
	}
	return a.pack(size)
}

// edns is how large a response the asker takes, 0 if it does not say.
func edns(p *dnsmessage.Parser) int {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return 0
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return 0
		}
		if h.Type == dnsmessage.TypeOPT {
			return int(h.Class)
		}
		if p.SkipAdditional() != nil {
			return 0
		}
	}
}

// answer is a response on its way.
type answer struct {
	dnsmessage.Message
	name string // that is looked for, after the CNAMEs so far
	kind dnsmessage.Type
}

// follow fills in the answer for the name, and for those that CNAMEs lead to.
func (a *answer) follow(s *Service, all *zones) {
	for depth := range maxDepth {
		name, ok := fqdn(a.name)
		z := s.serving(all, name)
		switch {
		case !ok:
			a.RCode = dnsmessage.RCodeNameError
			return
		case z == nil && here(all, name):
			if a.kind == dnsmessage.TypeA || a.kind == dnsmessage.TypeALL {
				a.add(&a.Answers, recordSet{Name: name, Type: "A", TTL: 60, Values: []string{"127.0.0.1"}})
			}
			return
		case z == nil:
			a.RCode = dnsmessage.RCodeNameError
			return
		}
		if given := z.delegated(name); len(given) > 0 {
			a.add(&a.Authorities, given[0])
			return
		}
		a.Authoritative = a.Authoritative || depth == 0
		sets, exists := z.at(name)
		if !exists {
			a.RCode = dnsmessage.RCodeNameError
		}
		next := ""
		for _, set := range s.resolved(all, sets) {
			switch {
			case a.kind == dnsmessage.TypeALL, kinds[set.Type] == a.kind:
				a.add(&a.Answers, set)
			case set.Type == "CNAME" && len(set.Values) > 0:
				a.add(&a.Answers, set)
				next = set.Values[0]
			}
		}
		if next == "" {
			if i, found := find(z.sets, z.Name, "SOA"); found && !a.answers(name) {
				a.add(&a.Authorities, z.sets[i])
			}
			return
		}
		a.name = next
	}
	a.RCode = dnsmessage.RCodeServerFailure // CNAMEs in a circle
}

// answers tells whether there is an answer for the name.
func (a *answer) answers(name string) bool {
	for _, r := range a.Answers {
		if got, _ := fqdn(r.Header.Name.String()); got == name {
			return true
		}
	}
	return false
}

// add appends a set's records to a section. A value that no packet can hold is left out.
func (a *answer) add(section *[]dnsmessage.Resource, set recordSet) {
	name, err := wireName(set.Name)
	if err != nil {
		return
	}
	for _, value := range set.Values {
		body, err := resource(set.Type, value)
		if err != nil {
			continue
		}
		*section = append(*section, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: kinds[set.Type], Class: dnsmessage.ClassINET, TTL: uint32(set.TTL)},
			Body:   body,
		})
	}
}

// pack writes the response, or the news that it is larger than size.
func (a *answer) pack(size int) []byte {
	b, err := a.Pack()
	if err == nil && len(b) <= size {
		return b
	}
	a.Answers, a.Authorities = nil, nil
	if a.Truncated = err == nil; err != nil {
		a.RCode = dnsmessage.RCodeServerFailure
	}
	if b, err = a.Pack(); err != nil {
		return nil
	}
	return b
}

const (
	typeSPF = dnsmessage.Type(99)  // https://www.rfc-editor.org/rfc/rfc7208#section-3.1
	typeCAA = dnsmessage.Type(257) // https://www.rfc-editor.org/rfc/rfc8659#section-4
)

var kinds = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "NS": dnsmessage.TypeNS,
	"PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "TXT": dnsmessage.TypeTXT, "MX": dnsmessage.TypeMX,
	"SRV": dnsmessage.TypeSRV, "SPF": typeSPF, "CAA": typeCAA,
}

// wireName undoes the octal numbers of a name.
func wireName(name string) (dnsmessage.Name, error) {
	return dnsmessage.NewName(unescape(strings.TrimSuffix(name, ".") + "."))
}

// resource is a value, which has passed checkValue, as packets have it.
func resource(kind, value string) (dnsmessage.ResourceBody, error) {
	fields := strings.Fields(value)
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i]) // checked when the value was taken
		return n
	}
	name := func(i int) (n dnsmessage.Name, err error) { return wireName(fields[i]) }
	switch kind {
	case "A", "AAAA":
		ip, err := netip.ParseAddr(value)
		if err != nil {
			return nil, err
		}
		if ip.Is4() {
			return &dnsmessage.AResource{A: ip.As4()}, nil
		}
		return &dnsmessage.AAAAResource{AAAA: ip.As16()}, nil
	case "CNAME":
		n, err := name(0)
		return &dnsmessage.CNAMEResource{CNAME: n}, err
	case "NS":
		n, err := name(0)
		return &dnsmessage.NSResource{NS: n}, err
	case "PTR":
		n, err := name(0)
		return &dnsmessage.PTRResource{PTR: n}, err
	case "MX":
		n, err := name(1)
		return &dnsmessage.MXResource{Pref: uint16(number(0)), MX: n}, err
	case "SRV":
		n, err := name(3)
		return &dnsmessage.SRVResource{Priority: uint16(number(0)), Weight: uint16(number(1)), Port: uint16(number(2)), Target: n}, err
	case "SOA":
		server, err := name(0)
		mailbox, other := name(1)
		return &dnsmessage.SOAResource{NS: server, MBox: mailbox, Serial: uint32(number(2)), Refresh: uint32(number(3)),
			Retry: uint32(number(4)), Expire: uint32(number(5)), MinTTL: uint32(number(6))}, errors.Join(err, other)
	case "TXT":
		return &dnsmessage.TXTResource{TXT: texts(value)}, nil
	case "SPF":
		var data []byte
		for _, t := range texts(value) {
			data = append(append(data, byte(len(t))), t...)
		}
		return &dnsmessage.UnknownResource{Type: typeSPF, Data: data}, nil
	case "CAA":
		data := append([]byte{byte(number(0)), byte(len(fields[1]))}, fields[1]...)
		return &dnsmessage.UnknownResource{Type: typeCAA, Data: append(data, texts(fields[2])[0]...)}, nil
	}
	return nil, fmt.Errorf("no records of type %s in packets", kind)
}

// texts are the strings of a value in quotation marks.
func texts(value string) (list []string) {
	for _, quoted := range quotedPartRE().FindAllString(value, -1) {
		list = append(list, unescape(quoted[1:len(quoted)-1]))
	}
	return list
}

// unescape undoes \" and \ooo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if n, err := strconv.ParseUint(s[i+1:min(i+4, len(s))], 8, 8); err == nil && i+4 <= len(s) {
			b.WriteByte(byte(n))
			i += 3
			continue
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}
