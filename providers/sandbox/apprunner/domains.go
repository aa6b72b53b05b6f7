package apprunner

import (
	"context"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// maxDomains is how many custom domains a service may have.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-custom-domains.html
const maxDomains = 5

// Statuses of a custom domain, in lower case as the service writes them and unlike the
// model's enumeration.
//
//	creating -> pending_certificate_dns_validation -> binding_certificate -> active
//	any of these -> deleting -> gone
//
// A certificate that was issued for the domain lately is used again, without the
// second step.
const (
	domainCreating = "creating"
	domainPending  = "pending_certificate_dns_validation"
	domainBinding  = "binding_certificate"
	domainActive   = "active"
	domainFailed   = "create_failed"
	domainDeleting = "deleting"
)

// domain is a custom domain as stored.
type domain struct {
	// ID is new whenever the domain takes another way: who follows it knows by this
	// that it is still the same.
	ID        string
	Name      string
	WWW       bool
	Status    string
	Records   []validation
	CreatedAt wire.Time
}

type domainShape struct {
	DomainName                   string
	EnableWWWSubdomain           bool
	CertificateValidationRecords []validation `json:",omitempty"`
	Status                       string
}

type vpcTarget struct {
	VpcIngressConnectionArn string
	VpcId                   string
	DomainName              string
}

func (d *domain) shape() domainShape {
	return domainShape{d.Name, d.WWW, slices.Clone(d.Records), d.Status}
}

func (d *domain) is(name string) bool { return strings.EqualFold(d.Name, name) }

// hosts are the names that the domain stands for.
func (d *domain) hosts() []string {
	if d.WWW {
		return []string{d.Name, "www." + d.Name}
	}
	return []string{d.Name}
}

type domainInput struct {
	ServiceArn         *string
	DomainName         *string
	EnableWWWSubdomain *bool
}

func (in domainInput) check() error {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	c.Present("domainName", in.DomainName != nil)
	c.LengthOf("domainName", in.DomainName, 1, 255)
	c.match("domainName", in.DomainName, domainName)
	return c.err()
}

// target is where the domains of a service must point.
type target struct {
	DNSTarget     string
	ServiceArn    string
	VpcDNSTargets []vpcTarget
}

func (s *Service) target(st *state, r *record) target {
	t := target{DNSTarget: label(st, r) + ".localhost", ServiceArn: r.ARN, VpcDNSTargets: []vpcTarget{}}
	for _, i := range st.ingresses(r.ARN) {
		t.VpcDNSTargets = append(t.VpcDNSTargets, vpcTarget{i.ARN, i.VPC, i.Host})
	}
	return t
}

type domainOutput struct {
	target
	CustomDomain domainShape
}

// usable is a name with at least two labels, the first of which may be a wildcard.
var usable = pattern.Lazy(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// associateDomain answers before there are validation records. The model has no
// ResourceNotFoundException for it.
func (s *Service) associateDomain(_ context.Context, in domainInput) (out domainOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	name := *in.DomainName
	wildcard := strings.HasPrefix(name, "*.")
	switch {
	case !usable().MatchString(strings.ToLower(name)):
		return out, wire.Errorf(invalidRequest, "The domain name %s isn't valid.", name)
	case wildcard && in.EnableWWWSubdomain != nil && *in.EnableWWWSubdomain:
		return out, wire.Errorf(invalidRequest, "EnableWWWSubdomain can't be used with the wildcard domain %s.", name)
	}
	made := &domain{ID: hex32(), Name: name, WWW: !wildcard && (in.EnableWWWSubdomain == nil || *in.EnableWWWSubdomain), Status: domainCreating}
	var service string
	err = s.doc.Update(func(st *state) error {
		r, err := s.find(st, *in.ServiceArn)
		if err == nil {
			err = s.present(r)
		}
		if err != nil {
			return wire.Errorf(invalidRequest, "Service with the provided ARN doesn't exist: %s.", *in.ServiceArn)
		}
		if err := s.allow(r, "associated with a custom domain", running); err != nil {
			return err
		}
		if st.claimed(made) {
			return wire.Errorf(invalidRequest, "%s is already associated with an App Runner service.", name)
		}
		if len(r.Domains) >= maxDomains {
			return wire.Errorf(invalidRequest, "A service can have at most %d custom domains.", maxDomains)
		}
		made.CreatedAt = s.now()
		r.Domains = append(r.Domains, made)
		service = r.ID
		out = domainOutput{s.target(st, r), made.shape()}
		return nil
	})
	if err == nil {
		s.spawn(func() { s.certify(service, made.ID) })
	}
	return out, err
}

// claimed tells whether a service has one of the domain's names.
func (st *state) claimed(made *domain) bool {
	for _, r := range st.Services {
		if r.Status == deleted {
			continue
		}
		for _, d := range r.Domains {
			for _, host := range made.hosts() {
				if slices.ContainsFunc(d.hosts(), func(other string) bool { return strings.EqualFold(other, host) }) {
					return true
				}
			}
		}
	}
	return false
}

func (s *Service) disassociateDomain(_ context.Context, in domainInput) (out domainOutput, err error) {
	if err := in.check(); err != nil {
		return out, err
	}
	var service, id string
	err = s.doc.Update(func(st *state) error {
		r, err := s.find(st, *in.ServiceArn)
		if err == nil {
			err = s.present(r)
		}
		if err == nil {
			err = s.allow(r, "disassociated from a custom domain", running)
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(r.Domains, func(d *domain) bool { return d.is(*in.DomainName) })
		if i < 0 {
			return wire.Errorf(notFound, "No custom domain %s found for the provided service %s.", *in.DomainName, r.ARN)
		}
		d := r.Domains[i]
		d.ID, d.Status = hex32(), domainDeleting
		service, id = r.ID, d.ID
		out = domainOutput{s.target(st, r), d.shape()}
		return nil
	})
	if err == nil {
		s.spawn(func() { s.certify(service, id) })
	}
	return out, err
}

type domainsInput struct {
	ServiceArn *string
	pageInput
}

type domainsOutput struct {
	target
	CustomDomains []domainShape
	NextToken     string `json:",omitempty"`
}

func (s *Service) describeDomains(_ context.Context, in domainsInput) (out domainsOutput, err error) {
	var c checks
	c.arn("serviceArn", in.ServiceArn)
	c.anyPage(in.pageInput, maxDomains)
	if err := c.err(); err != nil {
		return out, err
	}
	var all []domainShape
	s.doc.View(func(st *state) {
		var r *record
		if r, err = s.find(st, *in.ServiceArn); err != nil {
			return
		}
		out.target = s.target(st, r)
		if r.Status != deleted {
			for _, d := range r.Domains {
				all = append(all, d.shape())
			}
		}
	})
	if err != nil {
		return out, err
	}
	key := func(d domainShape) string { return d.DomainName }
	out.CustomDomains, out.NextToken, err = paged("domains "+*in.ServiceArn, all, key, in.pageInput)
	return out, err
}
