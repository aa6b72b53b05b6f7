package sandbox

import (
	"context"

	"github.com/apron-deploy/apron/providers/sandbox/route53"
)

// names is DNS as App Runner sees it: the sandbox's own hosted zones.
type names struct{ zones *route53.Service }

// CNAME returns where the CNAME record of a name points.
func (n names) CNAME(_ context.Context, name string) (string, error) {
	if values := n.zones.Lookup(name, "CNAME"); len(values) > 0 {
		return values[0], nil
	}
	return "", nil
}
