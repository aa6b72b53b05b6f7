package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/plan"
)

// Blame is who changed a resource, as far as a log of calls tells.
type Blame struct {
	Events []Event `json:"events"` // the newest first
	// Earlier is how many calls there were before these that are not kept.
	Earlier int `json:"earlier,omitempty"`
	// Note says what is not known, and why: a log lags behind.
	Note string `json:"note,omitempty"`
}

// Event is a call that changed something.
type Event struct {
	Call string    `json:"call"` // UpdateService
	Who  string    `json:"who"`  // ARN
	At   time.Time `json:"at"`
	From string    `json:"from,omitempty"` // address, or a service of AWS
	// Apron says that a run of apron made the call, of which no release tells.
	Apron bool `json:"apron,omitempty"`
}

// maxEvents is how many calls people are shown of a resource.
const maxEvents = 3

// lines are the events as remarks.
func (b *Blame) lines() []string {
	if b == nil {
		return nil
	}
	var lines []string
	kept := b.displayed()
	for _, e := range kept.Events {
		line := fmt.Sprintf("%s by %s, %s", e.Call, e.Who, e.At.UTC().Format(whenFormat))
		if e.From != "" {
			line += ", from " + e.From
		}
		if e.Apron {
			line += ", through apron"
		}
		lines = append(lines, line)
	}
	if kept.Earlier > 0 {
		lines = append(lines, "and "+count(kept.Earlier, "call")+" before that")
	}
	if b.Note != "" {
		lines = append(lines, b.Note)
	}
	return lines
}

// displayed is what people are shown of it.
func (b *Blame) displayed() *Blame {
	if b == nil || len(b.Events) <= maxEvents {
		return b
	}
	return &Blame{b.Events[:maxEvents], b.Earlier + len(b.Events) - maxEvents, b.Note}
}

func (b *Blame) named(hide func(string) string) *Blame {
	if b == nil {
		return nil
	}
	named := &Blame{slices.Clone(b.Events), b.Earlier, hide(b.Note)}
	for i := range named.Events {
		e := &named.Events[i]
		e.Who, e.From = hide(e.Who), hide(e.From)
	}
	return named
}

// Remember takes over who made an earlier plan necessary, where that says the same of a
// resource. Both plans are [Plan.Displayed].
func (v *Plan) Remember(earlier *Plan) {
	told := map[string]Action{}
	for _, a := range earlier.Actions {
		told[a.ID] = a
	}
	for i := range v.Actions {
		if was := told[v.Actions[i].ID]; was.words() == v.Actions[i].words() {
			v.Actions[i].Who = was.Who
		}
	}
}

// sameBlame reports whether both plans say of the same who it was, whenever that was asked.
func (v *Plan) sameBlame(other *Plan) bool {
	said := func(v *Plan) map[string]string {
		all := map[string]string{}
		for _, a := range v.Actions {
			if b := a.Who.displayed(); b != nil {
				said := *b
				if len(said.Events) > 0 {
					said.Note = "" // which tells until when calls may be missing
				}
				all[a.ID] = said.blamed()
			}
		}
		return all
	}
	return maps.Equal(said(v), said(other))
}

// Touched lists the addresses of what somebody else has changed, or may have.
func (v *Plan) Touched() []string { return touched(v.Actions) }

// Blame adds who changed a resource.
func (v *Plan) Blame(address string, b Blame) { blame(v.Actions, address, b) }

// Touched lists the addresses of what has drifted.
func (v *Drift) Touched() []string {
	var all []string
	for _, s := range v.Services {
		all = append(all, touched(s.Resources)...)
	}
	return all
}

// Blame adds who changed a resource.
func (v *Drift) Blame(address string, b Blame) {
	for _, s := range v.Services {
		blame(s.Resources, address, b)
	}
}

func touched(actions []Action) []string {
	var all []string
	for _, a := range actions {
		if a.touched() {
			all = append(all, a.Address)
		}
	}
	return all
}

// touched reports whether something else than the manifest may be why. A resource that a
// plan creates without a record was never there.
func (a Action) touched() bool {
	if a.Cause == string(plan.Drift) {
		return true
	}
	if a.Op != string(plan.Update) {
		return false
	}
	for _, f := range a.Fields {
		if f.Cause != string(plan.Pending) && !f.Restart {
			return true
		}
	}
	return false
}

func blame(actions []Action, address string, b Blame) {
	if b.Events == nil {
		b.Events = []Event{}
	}
	for i := range actions {
		if actions[i].Address == address {
			actions[i].Who = &b
		}
	}
}

// blamed are the calls for Markdown: in the cell of the reason.
func (b *Blame) blamed() string {
	lines := b.lines()
	for i, l := range lines {
		lines[i] = code(l)
	}
	return strings.Join(lines, "<br>")
}
