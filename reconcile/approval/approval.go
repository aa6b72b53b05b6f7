package approval

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/orphan"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Version is the version of the format. Fingerprints of two versions never agree.
const Version = 2

// Fingerprint is what a plan comes down to when it is compared.
type Fingerprint struct {
	Version int    `json:"version"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Steps   []Step `json:"steps"` // in the order of their IDs
}

// Step is an action of a plan.
type Step struct {
	ID     string `json:"id"`     // "update apprunner/service/web"
	Target string `json:"target"` // its address
	Op     string `json:"op"`
	Want   string `json:"want"` // hash of the values that are wanted
	Hash   string `json:"hash"` // of all that the action is
}

// Of reduces a plan.
func Of(p *plan.Plan, account, region string) Fingerprint {
	f := Fingerprint{Version: Version, Account: account, Region: region, Steps: []Step{}}
	for _, a := range p.Actions {
		want := wanted(a.Want)
		if a.Op == plan.Delete {
			want = ""
		}
		h := sha256.New()
		write(h, string(a.Op), a.Target.String(), want, a.Have.ID)
		for _, c := range a.Changes {
			if c.Path == origin && c.Old == nil {
				continue // a checkout without a remote asks for the same, but for this tag
			}
			if a.Op == plan.Create && c.New != nil && c.New.Secret {
				continue // who plans need not have the value that who applies keeps
			}
			write(h, c.Path, had(c.Old), fmt.Sprint(c.Unknown, c.Restart, c.Widening))
		}
		f.Steps = append(f.Steps, Step{ID: string(a.ID), Target: a.Target.String(), Op: string(a.Op), Want: want, Hash: sum(h)})
	}
	slices.SortFunc(f.Steps, func(a, b Step) int { return cmp.Compare(a.ID, b.ID) })
	return f
}

// String is one text for the whole, which two plans share if and only if they agree.
func (f Fingerprint) String() string {
	h := sha256.New()
	write(h, fmt.Sprint(f.Version), f.Account, f.Region)
	for _, s := range f.Steps {
		write(h, s.ID, s.Hash)
	}
	return "apron-" + sum(h)
}

// Since says which steps are not those of an earlier plan, as IDs.
func (f Fingerprint) Since(before Fingerprint) (added, changed, gone []string) {
	was := map[string]string{}
	for _, s := range before.Steps {
		was[s.ID] = s.Hash
	}
	for _, s := range f.Steps {
		if hash, ok := was[s.ID]; !ok {
			added = append(added, s.ID)
		} else if hash != s.Hash {
			changed = append(changed, s.ID)
		}
		delete(was, s.ID)
	}
	for _, s := range before.Steps {
		if _, left := was[s.ID]; left {
			gone = append(gone, s.ID)
		}
	}
	return added, changed, gone
}

// origin is the tag that says where a service's manifest is.
const origin = "tags." + orphan.Tag

// wanted hashes the values of a resource that may be compared, which no secret may.
func wanted(r state.Resource) string {
	h := sha256.New()
	for _, f := range r.Fields {
		if !f.Secret && (!f.Provenance || f.Source != "") {
			write(h, f.Path, had(&f))
		}
	}
	return sum(h)
}

// had is a value as far as it may be compared.
func had(f *state.Field) string {
	switch {
	case f == nil:
		return "-"
	case f.Secret:
		return "secret"
	case f.Provenance:
		return "commit" + f.Source
	}
	return "=" + cmp.Or(f.Template, f.Value)
}

// write writes texts so that no two sequences of them look alike.
func write(h hash.Hash, texts ...string) {
	for _, s := range texts {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil))[:32] }

// DifferentError says how the plan that would be carried out differs from the approved one.
type DifferentError struct {
	Scope   string   // of another account, Region or version of the format; else empty
	New     []string // IDs of actions that nobody agreed to
	Changed []string // IDs of actions that are not what was agreed to
	Missing []string // IDs of actions that are not to be done now, though what they wanted is not live
}

var _ error = (*DifferentError)(nil)

func (e *DifferentError) Error() string {
	if e.Scope != "" {
		return "the approved plan is " + e.Scope
	}
	var parts []string
	for _, p := range []struct {
		what string
		ids  []string
	}{{"not approved", e.New}, {"not as approved", e.Changed}, {"approved, and not planned any more", e.Missing}} {
		if len(p.ids) > 0 {
			parts = append(parts, p.what+": "+strings.Join(p.ids, ", "))
		}
	}
	return "what would be done is not what was approved: " + strings.Join(parts, "; ")
}

// Check compares what was approved with the plan of now, made from desired and live. Its
// error is a [*DifferentError].
func Check(approved Fingerprint, p *plan.Plan, account, region string, desired state.Desired, live state.Live) error {
	e := &DifferentError{}
	switch {
	case approved.Version != Version:
		e.Scope = fmt.Sprintf("of version %d of the format, and this apron has %d", approved.Version, Version)
	case approved.Account != account:
		e.Scope = "for account " + approved.Account + ", and this is " + account
	case approved.Region != region:
		e.Scope = "for Region " + approved.Region + ", and this is " + region
	}
	if e.Scope != "" {
		return e
	}
	agreed := map[string]Step{}
	for _, s := range approved.Steps {
		agreed[s.ID] = s
	}
	planned := map[string]bool{}
	for _, s := range Of(p, account, region).Steps {
		was, ok := agreed[s.ID]
		if later, passes := agreed[s.ID+plan.SecondPass]; passes && later.Hash == s.Hash {
			planned[later.ID] = true // all that is left to do, which makes it the first pass
			continue
		}
		planned[s.ID] = true
		if !ok {
			e.New = append(e.New, s.ID)
		} else if was.Hash != s.Hash {
			e.Changed = append(e.Changed, s.ID)
		}
	}
	for _, s := range approved.Steps {
		_, replaced := agreed[string(plan.Create)+" "+s.Target] // a delete whose create has its own say
		_, passed := agreed[s.ID+plan.SecondPass]               // an update whose second pass has
		superseded := s.Op == string(plan.Delete) && replaced || s.Op == string(plan.Update) && passed
		if !planned[s.ID] && !superseded && !satisfied(s, desired, live) {
			e.Missing = append(e.Missing, s.ID)
		}
	}
	if len(e.New)+len(e.Changed)+len(e.Missing) > 0 {
		return e
	}
	return nil
}

// satisfied reports whether what a step wanted is so: the plan of now has no action for it,
// so what is desired is live, and it must be desired as it was then.
func satisfied(s Step, desired state.Desired, live state.Live) bool {
	addr, err := state.ParseAddress(s.Target)
	if err != nil {
		return false
	}
	have, exists := live[addr]
	switch plan.Op(s.Op) {
	case plan.Delete:
		return !exists
	case plan.Create, plan.Update:
		want, ok := desired[addr]
		return ok && wanted(want) == s.Want
	case plan.Resume:
		return exists && have.Phase == state.Ready
	}
	return false
}
