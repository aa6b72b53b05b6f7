package render

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Plan is the view of a plan.
type Plan struct {
	FormatVersion string   `json:"format_version"`
	Kind          string   `json:"kind"` // "plan"
	Header        Header   `json:"header"`
	Summary       Summary  `json:"summary"`
	Actions       []Action `json:"actions"` // in an order in which they can be done
	Notes         []Note   `json:"notes"`
	Leftovers
}

var _ View = (*Plan)(nil)

// Summary counts resources. One that is replaced counts as added and as destroyed.
type Summary struct {
	Add     int `json:"add"`
	Change  int `json:"change"`
	Destroy int `json:"destroy"`
}

// Action is one step of a plan.
type Action struct {
	ID      string `json:"id"`
	Op      string `json:"op"`     // create, update, delete, resume, redeploy, pause
	Symbol  string `json:"symbol"` // + ~ - -/+
	Address string `json:"address"`
	// Live is what the API calls the resource: an ARN, a digest or a name.
	Live string `json:"live,omitempty"`
	// Replace says that this is one half of a delete and create of the same address.
	Replace  bool `json:"replace,omitempty"`
	Rebuild  bool `json:"rebuild,omitempty"`
	Second   bool `json:"second,omitempty"`
	Widening bool `json:"widening,omitempty"`
	// Reason is for people; its wording may change.
	Reason string `json:"reason,omitempty"`
	// Cause, of a create or a delete, is pending or drift; absent when it is not known.
	Cause  string   `json:"cause,omitempty"`
	Left   *Left    `json:"left,omitempty"` // of drift: what has deleted the resource
	Who    *Blame   `json:"who,omitempty"`  // changed it, if that was asked
	Fields []Field  `json:"fields"`         // in path order
	Needs  []string `json:"needs"`          // IDs
}

// Field is one setting that changes.
type Field struct {
	Path   string `json:"path"`
	Symbol string `json:"symbol"` // + ~ -
	Old    *Value `json:"old,omitempty"`
	New    *Value `json:"new,omitempty"`
	// Restart says that the value is a reference that stays, and what it refers to
	// changes.
	Restart bool `json:"restart,omitempty"`
	// Replaces says that the change is why the resource is deleted and created.
	Replaces bool `json:"replaces,omitempty"`
	// Widening says that the change lets somebody do more than before.
	Widening bool `json:"widening,omitempty"`
	// Provenance says that the value names the commit, and is never itself a change.
	Provenance bool   `json:"provenance,omitempty"`
	Cause      string `json:"cause"`          // unknown, pending, drift, conflict
	Left       *Left  `json:"left,omitempty"` // of drift: what has left the value that is live
}

// Value is a value, or why it is not there: exactly one of its fields is set.
type Value struct {
	Text *string `json:"value,omitempty"`
	// Sensitive numbers the secret values of a plan from 1 on. Equal values have equal
	// numbers, which say nothing else. It is -1 where nobody kept the value.
	Sensitive int `json:"sensitive,omitempty"`
	// KnownAfter is the operation that makes the value known: create or apply.
	KnownAfter string `json:"known_after,omitempty"`
	// Shown is the value as people see it, quoted and cut, where no more than that is kept.
	Shown *string `json:"shown,omitempty"`
}

// Note is a remark that is not a change.
type Note struct {
	Address string `json:"address"`
	Text    string `json:"text"`
	Warning bool   `json:"warning,omitempty"`
}

// NewPlan makes the view of p.
func NewPlan(p *plan.Plan, h Header) *Plan {
	v := &Plan{FormatVersion: FormatVersion, Kind: "plan", Header: h.normal(), Actions: []Action{}, Notes: []Note{}}
	v.Summary.Add, v.Summary.Change, v.Summary.Destroy = p.Counts()
	m := &masks{token: map[string]int{}, gone: map[state.Address]state.Observed{}}
	for _, a := range p.Actions {
		if a.Op == plan.Delete && a.Replace {
			m.gone[a.Target] = a.Have
		}
		v.Actions = append(v.Actions, m.action(a))
	}
	for _, n := range p.Notes {
		v.Notes = append(v.Notes, Note{Address: n.Target.String(), Text: n.Text, Warning: n.Warning})
	}
	return v
}

// masks is what the view of one action must know of those before it.
type masks struct {
	token map[string]int                   // of a secret value
	gone  map[state.Address]state.Observed // deleted to be created again
}

func (m *masks) action(a plan.Action) Action {
	v := Action{
		ID: string(a.ID), Op: string(a.Op), Symbol: symbol(a.Op, a.Replace && a.Op == plan.Create), Address: a.Target.String(),
		Live: a.Have.ID, Replace: a.Replace, Rebuild: a.Rebuild, Second: a.Second, Widening: a.Widens(), Reason: a.Reason, Cause: string(a.Cause),
		Fields: []Field{}, Needs: []string{},
	}
	for _, need := range a.Needs {
		v.Needs = append(v.Needs, string(need))
	}
	changes := a.Changes
	if have, replaced := m.gone[a.Target]; replaced && a.Op == plan.Create {
		changes = replacing(changes, have.Fields)
	}
	for _, c := range changes {
		f := m.field(c)
		f.Replaces = a.Replace && c.Old != nil && (c.Old.Immutable || c.New != nil && c.New.Immutable)
		v.Fields = append(v.Fields, f)
	}
	return v
}

// replacing turns what a create sets into what it changes against the resource that was
// deleted for it. What that had and the create does not set is lost.
func replacing(created []plan.Change, had []state.Field) []plan.Change {
	old := map[string]*state.Field{}
	for i, f := range had {
		if !f.Order {
			old[f.Path] = &had[i]
		}
	}
	var changes []plan.Change
	for _, c := range created {
		was := old[c.Path]
		delete(old, c.Path)
		if c.Old == nil {
			c.Old = was
		}
		if c.Old == nil || c.New == nil || c.Unknown || c.Old.Value != c.New.Value {
			changes = append(changes, c)
		}
	}
	for _, f := range old {
		changes = append(changes, plan.Change{Path: f.Path, Old: f, Cause: plan.Unknown})
	}
	slices.SortStableFunc(changes, func(a, b plan.Change) int { return cmp.Compare(a.Path, b.Path) })
	return changes
}

func (m *masks) field(c plan.Change) Field {
	f := Field{Path: c.Path, Symbol: "~", Restart: c.Restart, Widening: c.Widening, Cause: string(cmp.Or(c.Cause, plan.Unknown))}
	// A value that was secret, or becomes it, is masked on both sides: it may be the same.
	secret := c.Old != nil && c.Old.Secret || c.New != nil && c.New.Secret
	f.Provenance = c.Old != nil && c.Old.Provenance || c.New != nil && c.New.Provenance
	if c.Old == nil {
		f.Symbol = "+"
	} else {
		f.Old = m.value(c.Old.Value, secret)
	}
	switch {
	case c.Unknown:
		f.New = &Value{KnownAfter: "apply"}
		if c.New != nil && c.New.Template != "" {
			f.New.KnownAfter = "create"
		}
	case c.New == nil:
		f.Symbol = "-"
	default:
		f.New = m.value(c.New.Value, secret)
	}
	return f
}

func (m *masks) value(s string, secret bool) *Value {
	if !secret {
		return &Value{Text: &s}
	}
	if m.token[s] == 0 {
		m.token[s] = len(m.token) + 1
	}
	return &Value{Sensitive: m.token[s]}
}

// shown returns the actions as people see them: a delete and create as one. The reason
// of the delete, which says what is lost, is that of both.
func (v *Plan) shown() []Action {
	reasons, created := map[string]string{}, map[string]bool{}
	for _, a := range v.Actions {
		if a.Replace && a.Op == string(plan.Delete) {
			reasons[a.Address] = a.Reason
		} else if a.Replace {
			created[a.Address] = true
		}
	}
	var shown []Action
	for _, a := range v.Actions {
		switch {
		case a.Replace && a.Op == string(plan.Delete) && created[a.Address]:
			continue
		case a.Replace:
			a.Reason = cmp.Or(a.Reason, reasons[a.Address])
		}
		shown = append(shown, a)
	}
	return shown
}

// remark is what the symbol does not say of an action.
func (a Action) remark() string {
	switch {
	case a.Second:
		return "second pass"
	case a.Rebuild:
		return "rebuild"
	case a.Op == string(plan.Resume), a.Op == string(plan.Redeploy), a.Op == string(plan.Pause):
		return a.Op
	}
	return a.lost()
}

// lost says that a resource was deleted by somebody: the one cause of a create that is
// worth a word. A delete says both.
func (a Action) lost() string {
	switch {
	case a.Op == string(plan.Create) && a.Cause == string(plan.Drift):
		return "drift: it was there, and is gone"
	case a.Op == string(plan.Delete) && a.Cause == string(plan.Drift):
		return "drift: no release made it"
	case a.Op == string(plan.Delete):
		return a.Cause
	}
	return ""
}

// settings are the fields as people see them: those of a create need no cause each.
func (a Action) settings() []Field {
	if a.Op != string(plan.Create) || a.Replace {
		return a.Fields
	}
	fields := slices.Clone(a.Fields)
	for i := range fields {
		fields[i].Cause = string(plan.Unknown)
	}
	return fields
}

// remark is what the values do not say of a field.
func (f Field) remark() string {
	switch {
	case f.Replaces:
		return "forces a replacement"
	case f.Left != nil:
		return f.Cause + ": left by " + f.Left.text()
	case f.Cause != string(plan.Unknown):
		return f.Cause
	}
	return ""
}

// text is the value, or the reason it is not there, within limit columns.
func (v *Value) text(limit int) string {
	switch own := v.own(); {
	case own != "":
		return own
	case v.Shown != nil:
		return *v.Shown
	case v.Text == nil:
		return ""
	}
	return short(*v.Text, limit)
}

// columns is how many the value takes when it is not cut.
func (v *Value) columns() int { return utf8.RuneCountInString(v.text(math.MaxInt)) }

// own is what stands for a value that is not shown.
func (v *Value) own() string {
	switch {
	case v.Sensitive > 0:
		return token(v.Sensitive)
	case v.Sensitive < 0:
		return Mask
	case v.KnownAfter != "":
		return "(known after " + v.KnownAfter + ")"
	}
	return ""
}

// texts is the field's old and new value, each within limit columns; empty when there
// is none.
func (f Field) texts(limit int) (before, after string) {
	if f.Old != nil && f.New != nil && f.Old.Text != nil && f.New.Text != nil {
		return shortPair(*f.Old.Text, *f.New.Text, limit)
	}
	if f.Old != nil {
		before = f.Old.text(limit)
	}
	if f.New != nil {
		after = f.New.text(limit)
	}
	return before, after
}
