// Package iam is the sandbox's Identity and Access Management: roles, their trust, and
// what their policies allow.
//
// A change of trust takes a while to be seen by other services, as on AWS: until then a
// new role cannot be assumed at all, and an old one by whom it could be before.
//
// Policies are evaluated as AWS does (a Deny wins over an Allow, and nothing is allowed
// by default) except for conditions, of which the sandbox knows no context: an Allow's
// are taken to hold, a Deny's not to.
package iam

import (
	"net/http"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// DefaultPropagation is how long a change of trust takes to be seen, before the clock's
// speed divides it.
const DefaultPropagation = 8 * time.Second

// Options configure a [Service].
type Options struct {
	Store   *store.Store
	Account string
	Now     func() time.Time // default time.Now
	// Propagation is how long a change of trust takes to be seen: 0 is the default,
	// negative is at once.
	Propagation time.Duration
}

// Service is IAM of one account.
type Service struct {
	account     string
	now         func() time.Time
	propagation time.Duration
	doc         *store.Doc[account]
}

// account is what is kept.
type account struct{ Roles map[string]*role }

type role struct {
	Name, Path, ID  string
	Description     string
	MaxSession      int
	Boundary        string
	Created         time.Time
	Trust, OldTrust string    // OldTrust is what other services see until TrustSince + propagation
	TrustSince      time.Time // when Trust was set
	Tags            map[string]string
	Attached        []string // policy ARNs, in the order of their attachment
	Inline          map[string]string
}

// New opens the service's state.
func New(o Options) (*Service, error) {
	doc, err := store.Load[account](o.Store, "iam")
	if err != nil {
		return nil, err
	}
	s := &Service{account: o.Account, now: o.Now, propagation: o.Propagation, doc: doc}
	if s.now == nil {
		s.now = time.Now
	}
	if s.propagation == 0 {
		s.propagation = DefaultPropagation
	}
	return s, nil
}

// API is the service's wire side.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
func (s *Service) API() wire.QueryAPI {
	return wire.QueryAPI{
		SigningName: "iam",
		Version:     "2010-05-08",
		Namespace:   "https://iam.amazonaws.com/doc/2010-05-08/",
		Operations: map[string]wire.QueryOperation{
			"CreateRole":                     wire.HandleQuery(s.createRole),
			"GetRole":                        wire.HandleQuery(s.getRole),
			"ListRoles":                      wire.HandleQuery(s.listRoles),
			"GetAccountAuthorizationDetails": wire.HandleQuery(s.details),
			"UpdateRole":                     wire.HandleQuery(s.updateRole),
			"UpdateAssumeRolePolicy":         wire.HandleQuery(s.updateTrust),
			"DeleteRole":                     wire.HandleQuery(s.deleteRole),
			"TagRole":                        wire.HandleQuery(s.tagRole),
			"UntagRole":                      wire.HandleQuery(s.untagRole),
			"ListRoleTags":                   wire.HandleQuery(s.listRoleTags),
			"AttachRolePolicy":               wire.HandleQuery(s.attach),
			"DetachRolePolicy":               wire.HandleQuery(s.detach),
			"ListAttachedRolePolicies":       wire.HandleQuery(s.listAttached),
			"PutRolePolicy":                  wire.HandleQuery(s.putInline),
			"GetRolePolicy":                  wire.HandleQuery(s.getInline),
			"DeleteRolePolicy":               wire.HandleQuery(s.deleteInline),
			"ListRolePolicies":               wire.HandleQuery(s.listInline),
			"SimulatePrincipalPolicy":        wire.HandleQuery(s.simulate),
			"GetPolicy":                      wire.HandleQuery(s.getPolicy),
			"GetPolicyVersion":               wire.HandleQuery(s.getPolicyVersion),
		},
	}
}

// none is the result of an operation without one.
type none struct{}

// arn is the role's ARN.
func (s *Service) arn(r *role) string { return "arn:aws:iam::" + s.account + ":role" + r.Path + r.Name }

// view calls f with the role of that name.
func (s *Service) view(name string, f func(*role) error) error {
	if err := checkName(name); err != nil {
		return err
	}
	var err error
	s.doc.View(func(a *account) {
		if r := a.Roles[name]; r != nil {
			err = f(r)
		} else {
			err = noRole(name)
		}
	})
	return err
}

// update calls f to change the role of that name.
func (s *Service) update(name string, f func(*role) error) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.doc.Update(func(a *account) error {
		r := a.Roles[name]
		if r == nil {
			return noRole(name)
		}
		return f(r)
	})
}

func noSuchEntity(format string, args ...any) *wire.Error {
	e := wire.Errorf("NoSuchEntity", format, args...)
	e.Status = http.StatusNotFound
	return e
}

func noRole(name string) error { return noSuchEntity("The role with name %s cannot be found.", name) }

func conflict(code, format string, args ...any) *wire.Error {
	e := wire.Errorf(code, format, args...)
	e.Status = http.StatusConflict
	return e
}

func quota(name string, n int) error {
	return conflict("LimitExceeded", "Cannot exceed quota for %s: %d", name, n)
}

// cut pages items as IAM does: 100 at a time, up to 1,000 when asked.
func cut[T any](list string, items []T, key func(T) string, marker string, maxItems *int) ([]T, string, error) {
	var c wire.Checks
	c.Range("maxItems", maxItems, 1, 1000)
	if err := c.Err("ValidationError"); err != nil {
		return nil, "", err
	}
	limit := 100
	if maxItems != nil {
		limit = *maxItems
	}
	out, next, err := wire.Page(list, items, key, marker, limit)
	if err != nil {
		return nil, "", wire.Errorf("ValidationError", "Invalid Marker.")
	}
	return out, next, nil
}
