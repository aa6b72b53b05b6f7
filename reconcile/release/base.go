package release

import (
	"slices"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Resource is what was wanted of one resource.
type Resource struct {
	Address string   `json:"address"`
	Whole   []string `json:"whole,omitempty"` // as in [state.Resource]
	Fields  []Field  `json:"fields"`          // in path order
}

// Field is a [state.Field] as it may be kept.
type Field struct {
	Path       string `json:"path"`
	Value      string `json:"value"` // empty if Secret
	Secret     bool   `json:"secret,omitempty"`
	Version    string `json:"version,omitempty"` // of a secret's value, in its store's words
	Ref        bool   `json:"ref,omitempty"`
	Order      bool   `json:"order,omitempty"`
	Once       bool   `json:"once,omitempty"`
	Immutable  bool   `json:"immutable,omitempty"`
	Provenance bool   `json:"provenance,omitempty"`
	Template   string `json:"template,omitempty"` // Value is then what came of it
	Omit       bool   `json:"omit,omitempty"`
}

// Wanted returns what the release wanted, for the planner.
func (r Record) Wanted() ([]state.Resource, error) {
	wanted := make([]state.Resource, 0, len(r.Resources))
	for _, kept := range r.Resources {
		addr, err := state.ParseAddress(kept.Address)
		if err != nil {
			return nil, err
		}
		w := state.Resource{Address: addr, Whole: kept.Whole}
		for _, f := range kept.Fields {
			w.Fields = append(w.Fields, state.Field{Path: f.Path, Value: f.Value, Secret: f.Secret, Version: f.Version, Ref: f.Ref, Order: f.Order,
				Once: f.Once, Immutable: f.Immutable, Provenance: f.Provenance, Template: f.Template, Omit: f.Omit})
		}
		state.Sort(w.Fields)
		wanted = append(wanted, w)
	}
	return wanted, nil
}

// Recent is what is known of a service's last releases.
type Recent struct {
	// Newest is the number of the newest record, or 0.
	Newest int
	// Success is the newest one that succeeded, or nil.
	Success *Record
	// Attempts are those after it, which failed, the newest first. Of many, the oldest may
	// be missing.
	Attempts []Record
}

// Attempted is what the attempts were about to do with each resource.
func (r Recent) Attempted() (map[state.Address][]plan.Attempt, error) {
	all := map[state.Address][]plan.Attempt{}
	restored := map[string]bool{} // by an attempt
	for _, record := range r.Attempts {
		of := map[state.Address]plan.Attempt{}
		wanted, err := record.Wanted()
		if err != nil {
			return nil, err
		}
		for _, w := range wanted {
			of[w.Address] = plan.Attempt{Wanted: &w}
		}
		for _, a := range record.Actions {
			restored[a.Address] = restored[a.Address] || a.Op != string(plan.Delete) && a.Status == string(apply.Done)
		}
		for _, a := range record.Actions {
			if a.Op != string(plan.Delete) || a.Status == string(apply.Skipped) || restored[a.Address] {
				continue
			}
			addr, err := state.ParseAddress(a.Address)
			if err != nil {
				return nil, err
			}
			of[addr] = plan.Attempt{Wanted: of[addr].Wanted, Deleted: true}
		}
		for addr, a := range of {
			a.Release = record.Number
			all[addr] = append(all[addr], a)
		}
	}
	return all, nil
}

// Known is a service, as the third side of a plan.
type Known struct {
	Recent
	// Addresses are what its manifest wants. What no release wanted of these is new.
	Addresses []state.Address
}

// Bases is the third side of a plan of several services. Of what they share the later
// release counts. Nothing is known of a service without a success.
func Bases(services ...Known) (map[state.Address]plan.Base, error) {
	services = slices.DeleteFunc(slices.Clone(services), func(k Known) bool { return k.Success == nil })
	slices.SortStableFunc(services, func(a, b Known) int { return a.Success.StartedAt.Compare(b.Success.StartedAt) })
	bases := map[state.Address]plan.Base{}
	for _, k := range services {
		for _, a := range k.Addresses {
			if _, known := bases[a]; !known {
				bases[a] = plan.Base{} // new, unless a release wanted it
			}
		}
		wanted, err := k.Success.Wanted()
		if err != nil {
			return nil, err
		}
		for _, w := range wanted {
			b := bases[w.Address]
			if b.Wanted != nil {
				w = union(*b.Wanted, w)
			}
			b.Wanted = &w
			bases[w.Address] = b
		}
		tried, err := k.Attempted()
		if err != nil {
			return nil, err
		}
		for addr, attempts := range tried {
			b := bases[addr]
			b.Attempts = append(b.Attempts, attempts...)
			bases[addr] = b
		}
	}
	return bases, nil
}

// union is what two releases wanted of one resource; what both name is as the later says.
func union(earlier, later state.Resource) state.Resource {
	for _, f := range earlier.Fields {
		if _, named := later.Get(f.Path); !named {
			later.Fields = state.Sort(append(slices.Clone(later.Fields), f))
		}
	}
	return later
}

// Same reports whether a release wanted just these resources with these settings. What
// only says where a build came from, and what is secret, does not count.
func (r Record) Same(wanted []Resource) bool {
	return slices.EqualFunc(r.Resources, wanted, func(a, b Resource) bool {
		return a.Address == b.Address && slices.Equal(a.Whole, b.Whole) && slices.Equal(settings(a), settings(b))
	})
}

// settings are the fields that make one release differ from another.
func settings(r Resource) []Field {
	var all []Field
	for _, f := range r.Fields {
		if f.Provenance || f.Secret {
			continue
		}
		all = append(all, f)
	}
	return all
}
