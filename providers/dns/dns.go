// Package dns looks records up where they are made, at the authoritative servers of their
// zone, so that what it says is not what some cache still believes.
//
//	seen           the record has the value that is asked for
//	not seen       there is no such record
//	wrong value    there is one with another value
//	not checked    nobody could tell; why says why
//
// It reads and changes nothing.
package dns

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Verdict is what became of one record.
type Verdict string

const (
	Seen       Verdict = "seen"
	NotSeen    Verdict = "not seen"
	WrongValue Verdict = "wrong value"
	NotChecked Verdict = "not checked"
)

// Record is a record that should be in DNS: Name leads to Value, by a CNAME, or by having
// the same addresses.
type Record struct{ Name, Value string }

// Finding is what was found of a record.
type Finding struct {
	Record
	Verdict Verdict
	// Got is what is there instead.
	Got string
	// Why says why it was not checked, or what stands in the way.
	Why string
}

// Detail is what is there instead and why, or why nobody knows.
func (f Finding) Detail() string {
	if f.Got != "" && f.Why != "" {
		return f.Got + ": " + f.Why
	}
	return f.Got + f.Why
}

// Resolver looks up records. The zero value asks the system which servers have the
// authority, and then these.
type Resolver struct {
	// Server, as host:port, is asked instead of everything else, as if it had the
	// authority for all zones.
	Server string
	// Timeout bounds one question: two seconds by default.
	Timeout time.Duration
}

// parallel is how many records are looked up at once.
const parallel = 8

// Check looks every record up. It has a finding for each, in their order.
func (r Resolver) Check(ctx context.Context, records []Record) []Finding {
	findings := make([]Finding, len(records))
	var g errgroup.Group
	g.SetLimit(parallel)
	for i, record := range records {
		g.Go(func() error {
			findings[i] = r.check(ctx, record)
			return nil
		})
	}
	_ = g.Wait() // each finding says what went wrong
	return findings
}

func (r Resolver) check(ctx context.Context, want Record) Finding {
	f := Finding{Record: want, Verdict: NotChecked}
	servers, err := r.authorities(ctx, want.Name)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	got, err := r.ask(ctx, servers, want.Name)
	switch {
	case err != nil:
		f.Why = err.Error()
	case same(got.cname, want.Value):
		f.Verdict = Seen
	case got.cname != "":
		f.Verdict, f.Got = WrongValue, got.cname
		f.Why = r.wildcard(ctx, servers, want.Name, got.cname)
	case len(got.addresses) == 0:
		f.Verdict = NotSeen
	default:
		r.compare(ctx, &f, got.addresses)
	}
	return f
}

// compare tells an alias, which shows as addresses, from addresses of something else.
func (r Resolver) compare(ctx context.Context, f *Finding, got []string) {
	want, err := r.addresses(ctx, f.Value)
	switch {
	case err != nil:
		f.Why = "it has addresses, and those of " + f.Value + " are not known: " + err.Error()
	case slices.ContainsFunc(got, func(a string) bool { return slices.Contains(want, a) }):
		f.Verdict = Seen
	default:
		f.Verdict, f.Got = WrongValue, strings.Join(got, ", ")
	}
}

// addresses are those that a name leads to, by way of the system or of the one server.
func (r Resolver) addresses(ctx context.Context, name string) ([]string, error) {
	if strings.HasSuffix(name, ".localhost") { // https://www.rfc-editor.org/rfc/rfc6761#section-6.3
		return []string{"127.0.0.1", "::1"}, nil
	}
	if r.Server != "" {
		got, err := r.ask(ctx, []string{r.Server}, name)
		return got.addresses, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, name)
}

// wildcard says so when any other name would have been answered in the same way: a
// wildcard then stands where the record is missing.
func (r Resolver) wildcard(ctx context.Context, servers []string, name, got string) string {
	_, parent, _ := strings.Cut(name, ".")
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	other, err := r.ask(ctx, servers, "_"+hex.EncodeToString(nonce[:])+"."+parent)
	if err == nil && same(other.cname, got) {
		return "a wildcard record of " + parent + " answers for it"
	}
	return ""
}

// authorities are the servers, as host:port, of the zone that a name is in: those of the
// nearest name above it that has some.
func (r Resolver) authorities(ctx context.Context, name string) ([]string, error) {
	if r.Server != "" {
		return []string{r.Server}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*r.timeout())
	defer cancel()
	var last error
	for zone := strings.TrimSuffix(name, "."); strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		found, err := net.DefaultResolver.LookupNS(ctx, zone)
		if err != nil || len(found) == 0 {
			last = err
			continue
		}
		var servers []string
		for _, ns := range found[:min(3, len(found))] {
			hosts, err := net.DefaultResolver.LookupHost(ctx, ns.Host)
			if err != nil {
				last = err
				continue
			}
			servers = append(servers, net.JoinHostPort(hosts[0], "53"))
		}
		if len(servers) > 0 {
			return servers, nil
		}
	}
	if last == nil {
		last = fmt.Errorf("no zone above %s has name servers", name)
	}
	return nil, last
}

func (r Resolver) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return 2 * time.Second
}

// same reports whether two names are the same name.
func same(a, b string) bool {
	bare := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }
	return bare(a) == bare(b) && bare(a) != ""
}

// Shadowed reports whether the CNAME of a name is there while a record below that name is
// not: some DNS services answer for everything below a CNAME from where it leads, so that
// the record below is never found.
// https://github.com/aws/apprunner-roadmap/issues/138
func Shadowed(findings []Finding) (name string, shadowed bool) {
	for _, top := range findings {
		if top.Verdict != Seen {
			continue
		}
		for _, f := range findings {
			if f.Verdict != Seen && f.Verdict != NotChecked && strings.HasSuffix(f.Name, "."+top.Name) {
				return top.Name, true
			}
		}
	}
	return "", false
}
