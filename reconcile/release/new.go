package release

import (
	"maps"
	"slices"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Run is what a record is made from, beside what the caller fills in itself.
type Run struct {
	// Wanted is what the manifest asked for, of one service.
	Wanted []state.Resource
	// Live is what was there before.
	Live state.Live
	// Report is how the service's actions ended.
	Report *apply.Report
	// Image is the address of the image.
	Image state.Address
	// Redact replaces what is secret in a text by a mask; nil replaces nothing.
	Redact func(string) string
}

// Mask stands in a record for a text that holds a secret.
const Mask = "(sensitive)"

const (
	maxValue = 1000 // of a value in [Change], in runes
	maxError = 2000
)

// New fills in what a run tells by itself: the actions and their ends, the resources, and
// the digest of the image.
func New(r Record, run Run) Record {
	if run.Redact == nil {
		run.Redact = func(s string) string { return s }
	}
	r.FormatVersion = FormatVersion
	r.Error = cut(run.Redact(r.Error), maxError)
	r.Actions, r.Resources = []Action{}, []Resource{}
	if run.Report != nil {
		p := &plan.Plan{}
		for _, res := range run.Report.Results {
			p.Actions = append(p.Actions, res.Action)
			r.Actions = append(r.Actions, run.action(res))
		}
		r.Summary.Add, r.Summary.Change, r.Summary.Destroy = p.Counts()
		r.Summary.Done, r.Summary.Failed, r.Summary.Skipped = run.Report.Counts()
	}
	wanted := slices.SortedFunc(slices.Values(run.Wanted), func(a, b state.Resource) int { return a.Address.Compare(b.Address) })
	for _, w := range wanted {
		r.Resources = append(r.Resources, run.resource(w))
	}
	r.Image.Digest = run.outcome(run.Image).ID
	for key, s := range r.Secrets {
		if o, ok := run.version(s); ok {
			s.Version = o
			r.Secrets = maps.Clone(r.Secrets)
			r.Secrets[key] = s
		}
	}
	return r
}

func (run Run) action(res apply.Result) Action {
	a := Action{ID: string(res.Action.ID), Op: string(res.Action.Op), Address: res.Action.Target.String(),
		Status: string(res.Status), TookMS: res.Took.Milliseconds(), Cause: string(res.Action.Cause)}
	if res.Err != nil {
		a.Error = cut(run.Redact(res.Err.Error()), maxError)
	}
	for _, c := range res.Action.Changes {
		a.Changes = append(a.Changes, run.change(c))
	}
	return a
}

func (run Run) change(c plan.Change) Change {
	out := Change{Path: c.Path, Cause: string(c.Cause)}
	out.Secret = run.secret(c.Old) || run.secret(c.New)
	if out.Secret {
		return out
	}
	if c.Old != nil {
		v := cut(c.Old.Value, maxValue)
		out.Old = &v
	}
	if c.New != nil && !c.Unknown {
		v := cut(c.New.Value, maxValue)
		out.New = &v
	}
	return out
}

// secret reports whether a value must not be kept: it is one, or it holds one.
func (run Run) secret(f *state.Field) bool {
	return f != nil && (f.Secret || run.Redact(f.Value) != f.Value)
}

// resource is what was wanted, as far as it may be kept: a text that names the URL of a
// service is kept as it came out.
func (run Run) resource(w state.Resource) Resource {
	r := Resource{Address: w.Address.String(), Whole: w.Whole, Fields: []Field{}}
	for _, f := range w.Fields {
		if plan.OfDeployment(f.Path) {
			continue
		}
		if f.Template != "" {
			text, known := state.Expand(f.Template, run.url)
			f.Omit = f.Omit && !known
			if known {
				f.Value = text
			}
		}
		kept := Field{Path: f.Path, Value: f.Value, Secret: run.secret(&f), Ref: f.Ref, Order: f.Order, Once: f.Once,
			Immutable: f.Immutable, Provenance: f.Provenance, Template: f.Template, Omit: f.Omit}
		if kept.Secret {
			kept.Value, kept.Template = "", ""
			kept.Version = run.fieldVersion(w.Address, f.Path)
		}
		r.Fields = append(r.Fields, kept)
	}
	// A value that was left as it is, such as that of a parameter which is not set here, is
	// known by its version too.
	for _, f := range run.Live[w.Address].Fields {
		if _, named := w.Get(f.Path); !named && f.Secret && f.Version != "" {
			r.Fields = append(r.Fields, Field{Path: f.Path, Secret: true, Version: run.fieldVersion(w.Address, f.Path)})
		}
	}
	return r
}

// url is where a service answers once the run has ended.
func (run Run) url(service string) (string, bool) {
	for addr, o := range run.Live {
		if addr.Kind == "service" && addr.Name == service {
			if u := run.outcome(addr).URL; u != "" {
				return u, true
			}
			return o.URL, o.URL != ""
		}
	}
	if run.Report == nil {
		return "", false
	}
	for _, res := range run.Report.Results {
		if a := res.Action.Target; a.Kind == "service" && a.Name == service && res.Outcome.URL != "" {
			return res.Outcome.URL, true
		}
	}
	return "", false
}

// outcome is what is known of a resource after the run.
func (run Run) outcome(addr state.Address) state.Outcome {
	have := run.Live[addr]
	out := state.Outcome{ID: have.ID, URL: have.URL}
	if run.Report == nil {
		return out
	}
	for _, res := range run.Report.Results {
		if res.Action.Target != addr || res.Status != apply.Done {
			continue
		}
		if res.Outcome.ID != "" {
			out.ID = res.Outcome.ID
		}
		if res.Outcome.URL != "" {
			out.URL = res.Outcome.URL
		}
		if res.Outcome.Version != "" {
			out.Version = res.Outcome.Version
		}
	}
	return out
}

// fieldVersion is what the store calls the value of a secret field after the run.
func (run Run) fieldVersion(addr state.Address, path string) string {
	if v := run.outcome(addr).Version; v != "" {
		return v
	}
	f, _ := run.Live[addr].Get(path)
	return f.Version
}

// version is that of a secret which apron keeps itself: its Name is then an address.
func (run Run) version(s Secret) (string, bool) {
	addr, err := state.ParseAddress(s.Name)
	if err != nil || s.Source != string(state.FromEnv) {
		return "", false
	}
	return run.fieldVersion(addr, "value"), true
}
