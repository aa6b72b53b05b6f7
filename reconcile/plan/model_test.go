package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// errOnce is that of a world which is told to move what is set once.
var errOnce = errors.New("is set once")

// world is a model of AWS in memory. It refuses what AWS refuses.
type world state.Live

// do carries out one action, or says why AWS would not.
func (w world) do(a plan.Action) error {
	have, exists := w[a.Target]
	switch a.Op {
	case plan.Create:
		if exists {
			return fmt.Errorf("%s exists already", a.Target)
		}
		return w.put(a, state.Observed{Owner: owner(a.Target), Phase: state.Ready})
	case plan.Update:
		if !exists {
			return fmt.Errorf("%s does not exist", a.Target)
		}
		more := slices.ContainsFunc(a.Changes, func(c plan.Change) bool { return !strings.HasPrefix(c.Path, "tags.") })
		if have.Phase == state.Paused && more || have.Phase == state.Stuck {
			return fmt.Errorf("%s cannot be updated while %s", a.Target, have.Phase)
		}
		return w.put(a, have)
	case plan.Resume:
		if have.Phase != state.Paused {
			return fmt.Errorf("%s is not paused", a.Target)
		}
		have.Phase = state.Ready
		w[a.Target] = have
		return nil
	case plan.Delete:
		if !exists {
			return fmt.Errorf("%s does not exist", a.Target)
		}
		for _, addr := range slices.SortedFunc(maps.Keys(w), state.Address.Compare) {
			if addr != a.Target && slices.Contains(state.Refs(w[addr].Fields), a.Target) {
				return fmt.Errorf("%s is used by %s", a.Target, addr)
			}
		}
		delete(w, a.Target)
		return nil
	}
	return fmt.Errorf("no such op %q", a.Op)
}

func (w world) put(a plan.Action, have state.Observed) error {
	fields := map[string]state.Field{}
	for _, f := range have.Fields {
		if !a.Want.Covers(f.Path) || f.Lasting { // AWS says nothing, and keeps it
			fields[f.Path] = f
		}
	}
	for _, f := range a.Want.Fields {
		if f.Immutable && a.Op == plan.Update && fields[f.Path].Value != f.Value {
			return fmt.Errorf("%s: %s cannot be changed", a.Target, f.Path)
		}
		if f.Once && a.Op == plan.Update && fields[f.Path].Value != f.Value {
			return fmt.Errorf("%s: %s: %w", a.Target, f.Path, errOnce)
		}
		if ref, ok := f.Target(); ok {
			if _, there := w[ref]; !there {
				return fmt.Errorf("%s: %s refers to %s, which does not exist", a.Target, f.Path, ref)
			}
		}
		if f.Order || f.Omit && f.Template == "" {
			continue
		}
		if f.Template != "" {
			text, known := state.Expand(f.Template, func(name string) (string, bool) {
				o := w[state.Address{Target: "apprunner", Kind: "service", Name: name}]
				return o.URL, o.URL != ""
			})
			if !known {
				return fmt.Errorf("%s: %s needs a URL that is not known yet", a.Target, f.Path)
			}
			f.Value, f.Template, f.Omit = text, "", false
		}
		if f.Later {
			f.Value = "made" // AWS says what it is
		}
		fields[f.Path] = f
	}
	have.Resource = state.Resource{Address: a.Target, Fields: state.Sort(slices.Collect(maps.Values(fields)))}
	have.Phase = state.Ready
	switch a.Target.Kind {
	case "image": // its content is its name
		have.ID = "sha256:" + a.Target.Name
	case "tag":
		image, _ := have.Get("image")
		target, _ := image.Target()
		have.ID = w[target].ID
	}
	if a.Target.Kind == "service" {
		if have.URL == "" {
			have.URL = "https://" + a.Target.Name + ".example"
		}
		have.Owner = state.Ours
	}
	if have.Owner == state.Theirs {
		have.Owner = owner(a.Target)
	}
	w[a.Target] = have
	return nil
}

func owner(a state.Address) state.Owner {
	switch a.Kind {
	case "scaling", "repository", "vpc-connector":
		return state.Shared
	case "image", "tag":
		return state.Derived
	}
	return state.Ours
}
