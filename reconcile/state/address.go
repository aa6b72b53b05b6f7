package state

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// ErrAddress is returned by [ParseAddress] for text that is not an address.
var ErrAddress = errors.New("not an address of the form target/kind/name")

// Address names a resource within the scope of a plan (one account and Region). Its
// text form is "apprunner/service/web"; only the name may hold further slashes.
type Address struct {
	Target string // the service that holds it: apprunner, ecr, iam, ssm, route53, wafv2
	Kind   string // service, domain, repository, image, tag, scaling, role, parameter, …
	Name   string
}

// ParseAddress reads the text form of an address.
func ParseAddress(s string) (Address, error) {
	parts := strings.SplitN(s, "/", 3)
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return Address{}, fmt.Errorf("%q: %w", s, ErrAddress)
	}
	return Address{parts[0], parts[1], parts[2]}, nil
}

func (a Address) String() string { return a.Target + "/" + a.Kind + "/" + a.Name }

// Type is the address without the name, "apprunner/service": what a provider handles.
func (a Address) Type() string { return a.Target + "/" + a.Kind }

// IsZero reports whether a names nothing.
func (a Address) IsZero() bool { return a == Address{} }

// Compare orders addresses by target, kind and name.
func (a Address) Compare(b Address) int {
	return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// MarshalText implements [encoding.TextMarshaler].
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }
