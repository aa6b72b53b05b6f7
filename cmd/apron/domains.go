package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/dns"
	"github.com/apron-deploy/apron/providers/route53"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// dnsPatience bounds the look-ups for one run: what is not known then is not checked.
const dnsPatience = 8 * time.Second

// resolver is what looks into DNS: the server of --resolver, the sandbox's name server, or
// the name servers of the zones themselves.
func (s *session) resolver() dns.Resolver {
	r := dns.Resolver{Server: s.a.resolver}
	if r.Server == "" && s.a.sandbox.on {
		r.Server = s.nameServer
	}
	return r
}

// foundDomain is a domain with what DNS says of its records, in their order.
type foundDomain struct {
	apprunner.CustomDomain
	Findings []dns.Finding
}

// lookUp asks DNS about the records of domains.
func (s *session) lookUp(ctx context.Context, domains []apprunner.CustomDomain) []foundDomain {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	found := make([]foundDomain, len(domains))
	var g errgroup.Group
	for i, d := range domains {
		g.Go(func() error {
			var records []dns.Record
			for _, r := range d.Records {
				records = append(records, dns.Record{Name: r.Name, Value: r.Value})
			}
			found[i] = foundDomain{d, s.resolver().Check(ctx, records)}
			return nil
		})
	}
	_ = g.Wait() // each finding says what went wrong
	return found
}

// waits says what a domain waits for, one line for each record, and what stands in its way.
func (d foundDomain) waits() (lines []string, warnings []string) {
	lines = append(lines, "is "+strings.ReplaceAll(strings.ToLower(string(d.Status)), "_", " ")+": App Runner looks for these records in DNS")
	for i, f := range d.Findings {
		text := fmt.Sprintf("%s %s %s: %s", f.Name, d.Records[i].Type, f.Value, f.Verdict)
		if detail := f.Detail(); detail != "" {
			text += ", " + detail
		}
		lines = append(lines, text)
	}
	if top, shadowed := dns.Shadowed(d.Findings); shadowed {
		warnings = append(warnings, "the CNAME of "+top+" is there before a validation record below it: some DNS services then answer for all "+
			"names below from where it leads, and the certificate is never issued; take the CNAME away until the domain is active, or use an alias")
	}
	return lines, warnings
}

// domains are a service's domains as status shows them. Those that are active are not
// looked up: that they work is known.
func (s *session) domains(ctx context.Context, all []apprunner.CustomDomain) []render.Domain {
	findings := map[string][]dns.Finding{}
	for _, d := range s.lookUp(ctx, slices.DeleteFunc(slices.Clone(all), apprunner.CustomDomain.Validated)) {
		findings[d.Name] = d.Findings
	}
	var shown []render.Domain
	for _, d := range all {
		domain := render.Domain{Name: d.Name, Status: strings.ToLower(string(d.Status))}
		for i, r := range d.Records {
			record := render.DomainRecord{Name: r.Name, Type: r.Type, Value: r.Value}
			if f := findings[d.Name]; f != nil {
				record.Found, record.Detail = string(f[i].Verdict), f[i].Detail()
			}
			domain.Records = append(domain.Records, record)
		}
		shown = append(shown, domain)
	}
	return shown
}

// domainNotes say what the domains of a run wait for that are not active yet, and what stays
// in DNS of those that go.
func (s *session) domainNotes(ctx context.Context, live state.Live) []state.Note {
	var notes []state.Note
	var pending []apprunner.CustomDomain
	for _, spec := range s.specs {
		for addr, o := range live {
			d, ok := o.Detail.(apprunner.CustomDomain)
			if !ok || o.Value("service") != serviceAddress(spec).String() {
				continue
			}
			wanted := slices.ContainsFunc(spec.Domains, func(w state.Domain) bool { return w.Name == d.Name })
			switch {
			case wanted && !d.Validated():
				pending = append(pending, d)
			case !wanted && spec.Domains != nil && o.Owner == state.Ours:
				notes = append(notes, state.Note{Target: addr, Warning: true,
					Text: "its records stay in DNS: take " + d.Name + " away from " + d.Target + ", or it leads to nothing"})
			}
		}
	}
	slices.SortFunc(pending, func(a, b apprunner.CustomDomain) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range s.lookUp(ctx, pending) {
		lines, warnings := d.waits()
		for _, l := range lines {
			notes = append(notes, state.Note{Target: apprunner.Domain(d.Name), Text: l})
		}
		for _, w := range warnings {
			notes = append(notes, state.Note{Target: apprunner.Domain(d.Name), Text: w, Warning: true})
		}
	}
	return notes
}

// tellDomains says on stderr, after an apply, what the domains wait for.
func (s *session) tellDomains(ctx context.Context, w wiring) {
	for _, spec := range s.specs {
		if len(spec.Domains) == 0 {
			continue
		}
		arns, err := w.apprunner.ARNs(ctx, []string{spec.Service})
		var domains []apprunner.CustomDomain
		if arn := arns[spec.Service]; err == nil && arn != "" {
			domains, err = w.apprunner.Domains(ctx, arn)
		}
		if err != nil {
			s.a.warn("what the domains of %s wait for is not known: %v", spec.Service, err)
			continue
		}
		domains = slices.DeleteFunc(domains, apprunner.CustomDomain.Validated)
		for _, d := range s.lookUp(ctx, domains) {
			lines, warnings := d.waits()
			s.a.say("%s %s", d.Name, strings.Join(lines, "\n  "))
			for _, w := range warnings {
				s.a.warn("%s: %s", d.Name, w)
			}
		}
	}
}

// records are the records that apron writes for a manifest's domains.
func (s *session) records(spec state.Spec, f facts) ([]state.Resource, error) {
	required := map[string][]route53.Record{}
	for i, d := range spec.Domains {
		if _, ok := f.zones[d.Name]; d.Route53 && !ok {
			e := &manifest.Error{File: spec.File, Path: fmt.Sprintf("domains[%d]", i), Msg: "this account has no public hosted zone for " + d.Name,
				Fix: "create the zone and delegate the domain to it, or leave out route53: the records are printed then"}
			e.Line, e.Column = s.position(spec, e.Path)
			return nil, e
		}
		if live, ok := f.live[apprunner.Domain(d.Name)].Detail.(apprunner.CustomDomain); ok && live.WWW == d.WWW {
			required[d.Name] = recordsOf(live)
		}
	}
	return route53.Desired(spec, serviceAddress(spec), f.zones, required), nil
}

func recordsOf(d apprunner.CustomDomain) []route53.Record {
	var records []route53.Record
	for _, r := range d.Records {
		records = append(records, route53.Record{Name: r.Name, Value: r.Value, Validation: r.Validation})
	}
	return records
}

// required waits for the records that a domain needs.
func required(p *apprunner.Provider) func(ctx context.Context, arn, domain string) ([]route53.Record, error) {
	return func(ctx context.Context, arn, domain string) ([]route53.Record, error) {
		d, err := p.Required(ctx, arn, domain)
		if err != nil || d == nil {
			return nil, err
		}
		return recordsOf(*d), nil
	}
}
