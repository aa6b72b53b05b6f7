package apprunner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Resolver looks into DNS for what proves that a domain is its owner's.
type Resolver interface {
	// CNAME returns where the CNAME record of a name points, "" if the name has none.
	// An error means that nobody could tell.
	CNAME(ctx context.Context, name string) (target string, err error)
}

// validation is a CNAME record that must exist before a certificate is issued.
// https://docs.aws.amazon.com/apprunner/latest/api/API_CertificateValidationRecord.html
type validation struct{ Name, Type, Value, Status string }

// Statuses of a validation record.
const (
	recordPending = "PENDING_VALIDATION"
	recordSuccess = "SUCCESS"
	recordFailed  = "FAILED"
)

// Certificates are asked for within 72 hours of the request or not at all, and kept for
// 30 days after their domain has gone.
// https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
// https://docs.aws.amazon.com/apprunner/latest/api/API_DisassociateCustomDomain.html
const (
	validationLimit = 72 * time.Hour
	certificateKept = 30 * 24 * time.Hour
)

// validations are the records of a domain: one for each of its hosts, and one for a name
// of App Runner's own below it. As with ACM they depend on the account and the name
// only, so a domain that comes back finds its records still right.
func (s *Service) validations(d *domain) []validation {
	base := strings.ToLower(strings.TrimPrefix(d.Name, "*."))
	hash := func(what, of string) string {
		sum := sha256.Sum256([]byte(what + " " + s.o.Account + " " + of))
		return hex.EncodeToString(sum[:16])
	}
	names := []string{base}
	if d.WWW {
		names = append(names, "www."+base)
	}
	names = append(names, hash("own", base)+"."+base)
	records := make([]validation, len(names))
	for i, name := range names {
		records[i] = validation{
			Name: "_" + hash("name", name) + "." + name + ".", Type: "CNAME",
			Value:  "_" + hash("value", name) + "." + hash("zone", s.o.Region)[:10] + ".acm-validations.aws.",
			Status: recordPending,
		}
	}
	return records
}

// certify follows a domain until it is active, has failed or is gone, or until the
// domain's id is another.
func (s *Service) certify(service, id string) {
	for {
		var now domain
		found := false
		s.doc.View(func(st *state) {
			if d := st.domain(service, id); d != nil {
				now, found = *d, true
			}
		})
		if !found {
			return
		}
		wait, next := s.certification(now)
		if wait < 0 || s.o.Clock.Sleep(s.ctx, wait) != nil {
			return
		}
		if next == nil {
			if s.breathe() != nil {
				return
			}
			continue
		}
		if err := s.doc.Update(func(st *state) error { return next(st, service, id) }); err != nil {
			return // a disk that refuses; the next start takes it up
		}
	}
}

// domain finds a domain of a service that is there.
func (st *state) domain(service, id string) *domain {
	r := st.service(service)
	if r == nil || r.Status == deleted {
		return nil
	}
	for _, d := range r.Domains {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// step changes a domain after a wait.
type step func(st *state, service, id string) error

// breathe is the least wait between two looks into DNS, however fast the clock: other
// people's name servers feel them.
func (s *Service) breathe() error {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// certification is a domain's next step, nil if there is none yet, and the wait before
// it, which is negative at the end.
func (s *Service) certification(d domain) (wait time.Duration, next step) {
	edit := func(f func(*state, *domain)) step {
		return func(st *state, service, id string) error {
			if d := st.domain(service, id); d != nil {
				f(st, d)
			}
			return nil
		}
	}
	switch d.Status {
	case domainCreating:
		return s.waits.Certificate, edit(func(st *state, d *domain) {
			d.Status, d.Records = domainPending, s.validations(d)
			if issued, ok := st.Certificates[d.certificate()]; ok && !s.past(issued, certificateKept) {
				d.Status = domainBinding
				for i := range d.Records {
					d.Records[i].Status = recordSuccess
				}
			}
		})
	case domainPending:
		if seen := s.seen(d.Records); !slices.Equal(seen, d.Records) && !s.pends(d) {
			return 0, edit(func(_ *state, d *domain) { d.settle(seen) })
		}
		if !s.past(d.CreatedAt, validationLimit) {
			return s.waits.Validate, nil
		}
		return 0, edit(func(_ *state, d *domain) {
			d.Status = domainFailed
			for i := range d.Records {
				if d.Records[i].Status == recordPending {
					d.Records[i].Status = recordFailed
				}
			}
		})
	case domainBinding:
		return s.waits.Bind, edit(func(st *state, d *domain) {
			d.Status = domainActive
			if st.Certificates == nil {
				st.Certificates = map[string]wire.Time{}
			}
			st.Certificates[d.certificate()] = s.now()
		})
	case domainDeleting:
		return s.waits.Bind, func(st *state, service, id string) error {
			if r := st.service(service); r != nil {
				r.Domains = slices.DeleteFunc(r.Domains, func(d *domain) bool { return d.ID == id })
			}
			return nil
		}
	}
	return -1, nil
}

// pends reports whether the domain's service rehearses a certificate that stays pending.
func (s *Service) pends(d domain) (yes bool) {
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			yes = yes || st.domain(r.ID, d.ID) != nil && s.scenario(r) == CertPending
		}
	})
	return yes
}

// settle takes over which records were seen, and goes on once all were.
func (d *domain) settle(seen []validation) {
	d.Records = seen
	if !slices.ContainsFunc(seen, func(v validation) bool { return v.Status != recordSuccess }) {
		d.Status = domainBinding
	}
}

// certificate names what is issued for a domain.
func (d *domain) certificate() string { return strings.ToLower(strings.Join(d.hosts(), " ")) }

// past tells whether more than a wait of AWS's has gone by since a moment. However fast
// the clock, that is a minute at least: people have to write the records meanwhile.
func (s *Service) past(since wire.Time, wait time.Duration) bool {
	return s.o.Clock.Now().Sub(since.Time) > max(s.o.Clock.Scale(wait), time.Minute)
}

// seen asks for the records that have not been seen yet.
func (s *Service) seen(records []validation) []validation {
	seen := slices.Clone(records)
	if s.o.Resolver == nil {
		return seen
	}
	for i, r := range seen {
		if r.Status != recordPending {
			continue
		}
		// Who cannot be asked now is asked again.
		target, err := s.o.Resolver.CNAME(s.ctx, r.Name)
		if err == nil && sameName(target, r.Value) {
			seen[i].Status = recordSuccess
		}
	}
	return seen
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// Resolvers asks each in turn: the first that knows a record answers. It fails if none
// does and one of them could not tell.
type Resolvers []Resolver

var _ Resolver = Resolvers(nil)

// CNAME implements [Resolver].
func (all Resolvers) CNAME(ctx context.Context, name string) (string, error) {
	var failed error
	for _, one := range all {
		target, err := one.CNAME(ctx, name)
		if err == nil && target != "" {
			return target, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", failed
}
