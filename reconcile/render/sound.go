package render

import (
	"slices"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// Sound reports whether a plan that was read back is one that [NewPlan] can have made, of the
// actions with these IDs and no others: what Markdown shows as our own words is that, and
// what is counted is there. Foreign text is shown as code, and can hide nothing.
func (v *Plan) Sound(ids []string) bool {
	var have []string
	for _, a := range v.Actions {
		if !a.sound() {
			return false
		}
		have = append(have, a.ID)
	}
	slices.Sort(have)
	want := slices.Sorted(slices.Values(ids))
	return slices.Equal(have, want) && v.Summary == v.counted() && v.Header.sound()
}

var (
	ops     = []plan.Op{plan.Create, plan.Update, plan.Delete, plan.Resume, plan.Redeploy, plan.Pause}
	results = []string{"", Changes, Unchanged, Refused, Unread, Locked, Skipped}
)

func (a Action) sound() bool {
	op := plan.Op(a.Op)
	if !slices.Contains(ops, op) || a.Symbol != symbol(op, a.Replace && op == plan.Create) || !slices.Contains([]plan.Cause{"", plan.Unknown, plan.Pending, plan.Drift, plan.Conflict}, plan.Cause(a.Cause)) {
		return false
	}
	for _, f := range a.Fields {
		if !slices.Contains([]string{"+", "~", "-"}, f.Symbol) || !slices.Contains([]plan.Cause{plan.Unknown, plan.Pending, plan.Drift, plan.Conflict}, plan.Cause(f.Cause)) || !f.Old.sound() || !f.New.sound() {
			return false
		}
	}
	return true
}

func (v *Value) sound() bool {
	return v == nil || slices.Contains([]string{"", "create", "apply"}, v.KnownAfter)
}

// counted counts the actions as a plan does.
func (v *Plan) counted() Summary {
	var s Summary
	seen := map[string]bool{}
	for _, a := range v.Actions {
		switch {
		case a.Op == string(plan.Create):
			s.Add++
			seen[a.Address] = true
		case a.Op == string(plan.Delete):
			s.Destroy++
		case !seen[a.Address]:
			s.Change++
			seen[a.Address] = true
		}
	}
	return s
}

// sound reports whether what the header shows outside of code is our own.
func (h Header) sound() bool {
	if h.Destroy || h.Verb != "" { // of these nobody approves a comment
		return false
	}
	return !slices.ContainsFunc(h.Services, func(s Service) bool { return !slices.Contains(results, s.Result) })
}
