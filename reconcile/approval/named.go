package approval

import (
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Named is the fingerprint with hide done to all its text that is not ours, as others may
// read it. The hashes stay.
func (f Fingerprint) Named(hide func(string) string) Fingerprint {
	f.Account, f.Region = hide(f.Account), hide(f.Region)
	steps := make([]Step, len(f.Steps))
	for i, s := range f.Steps {
		s.ID, s.Target = hide(s.ID), hide(s.Target)
		steps[i] = s
	}
	f.Steps = steps
	return f
}

// Unnamed undoes [Fingerprint.Named] where the plan of now, made from desired and live,
// tells what a text stood for. What could stand for two things becomes nothing that is
// planned.
func (f Fingerprint) Unnamed(hide func(string) string, p *plan.Plan, account, region string, desired state.Desired, live state.Live) Fingerprint {
	ids, targets := names{}, names{}
	for _, a := range p.Actions {
		ids.add(hide, string(a.ID))
		targets.add(hide, a.Target.String())
	}
	for addr := range desired {
		targets.add(hide, addr.String())
	}
	for addr := range live {
		targets.add(hide, addr.String())
	}
	if f.Account == hide(account) {
		f.Account = account
	}
	if f.Region == hide(region) {
		f.Region = region
	}
	steps := make([]Step, len(f.Steps))
	for i, s := range f.Steps {
		s.ID, s.Target = ids.real(s.ID), targets.real(s.Target)
		steps[i] = s
	}
	f.Steps = steps
	return f
}

// names are texts by what they became. Of two that became the same there is none.
type names map[string]string

func (n names) add(hide func(string) string, text string) {
	name := hide(text)
	if was, ok := n[name]; ok && was != text {
		text = ""
	}
	n[name] = text
}

func (n names) real(name string) string {
	text, ok := n[name]
	switch {
	case !ok:
		return name
	case text == "":
		return "one of several: " + name
	}
	return text
}
