package apprunner

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// revised is what scaling configurations, observability configurations and VPC
// connectors have in common: a name has revisions, and none of them ever changes. A
// deleted one can still be described for a while.
type revised struct {
	ARN       string
	Name      string
	Revision  int
	CreatedAt wire.Time
	DeletedAt wire.Time `json:",omitzero"`
	Tags      map[string]string
}

func (r *revised) active() bool   { return r.DeletedAt.IsZero() }
func (r *revised) self() *revised { return r }

// status is in lower case, as the service writes it and unlike the model's enumeration.
func (r *revised) status() string {
	if r.active() {
		return "active"
	}
	return "inactive"
}

type revisable interface{ self() *revised }

// partialARN takes an ARN of a kind apart: the name, the revision and the id. The last
// two may be missing.
func partialARN(kind string) func() *regexp.Regexp {
	return pattern.Lazy(`^arn:aws:apprunner:[a-z0-9-]+:[0-9]{12}:` + kind + `/([A-Za-z0-9][A-Za-z0-9\-_]{3,39})(?:/([0-9]+)(?:/([0-9a-f]{32}))?)?$`)
}

// latest is the highest active revision of a name; ok is false if there is none.
func latest[T revisable](all []T, name string) (found T, ok bool) {
	for _, one := range all {
		if r := one.self(); r.Name == name && r.active() && (!ok || r.Revision > found.self().Revision) {
			found, ok = one, true
		}
	}
	return found, ok
}

// lookUp returns the revision that an ARN in any form means, deleted or not. A name
// alone means the latest active revision.
func lookUp[T revisable](all []T, form func() *regexp.Regexp, arn string) (found T, ok bool) {
	parts := form().FindStringSubmatch(arn)
	if parts == nil {
		return found, false
	}
	if parts[2] == "" {
		if found, ok = latest(all, parts[1]); ok && strings.HasPrefix(found.self().ARN, arn+"/") {
			return found, true
		}
		var none T
		return none, false
	}
	for _, one := range all {
		if r := one.self(); r.ARN == arn || parts[3] == "" && strings.HasPrefix(r.ARN, arn+"/") {
			return one, true
		}
	}
	return found, false
}

// named counts the active revisions of a name, and the other names that have any.
func named[T revisable](all []T, name, reserved string) (revisions, others int) {
	names := map[string]bool{}
	for _, one := range all {
		switch r := one.self(); {
		case !r.active():
		case r.Name == name:
			revisions++
		case r.Name != reserved:
			names[r.Name] = true
		}
	}
	return revisions, len(names)
}

// usersOf are the services, in whatever status, whose configuration fits, or would again
// after a rollback.
func (st *state) usersOf(fits func(config) bool) (arns []string) {
	for _, r := range st.Services {
		if r.Status != deleted && (fits(r.Config) || r.Live != nil && fits(r.Live.Config)) {
			arns = append(arns, r.ARN)
		}
	}
	return arns
}

// quota is the refusal of one thing too many.
func quota(most int, what string, args ...any) error {
	return wire.Errorf(quotaExceeded, "The maximum number of %s (%d) for this account in this Region has been reached.", fmt.Sprintf(what, args...), most)
}
