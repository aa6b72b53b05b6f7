package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Drift is the view of how what is live differs from what the last release left.
type Drift struct {
	FormatVersion string         `json:"format_version"`
	Kind          string         `json:"kind"` // "drift"
	Header        Header         `json:"header"`
	Drifted       bool           `json:"drifted"` // anything differs, whatever the cause
	Services      []ServiceDrift `json:"services"`
	Notes         []Note         `json:"notes"`
	Leftovers
}

var _ View = (*Drift)(nil)

// ServiceDrift is that of one service.
type ServiceDrift struct {
	Service string `json:"service"`
	// Release is the newest that succeeded; 0 when no record tells of one. Then the
	// manifest is what is compared with.
	Release    int        `json:"release,omitempty"`
	ReleasedAt *time.Time `json:"released_at,omitempty"`
	By         string     `json:"by,omitempty"`
	// Resources are those that differ: create for one that is gone. Of their fields old is
	// what was released and new what is live.
	Resources []Action `json:"resources"`
	Compared  int      `json:"compared"` // resources
	// Result and Errors say why nothing was compared: unread, refused or skipped.
	Result string    `json:"result,omitempty"`
	Errors []Problem `json:"errors,omitempty"`
}

// NewDrift makes a view of services that are added to it.
func NewDrift(h Header, notes []state.Note) *Drift {
	v := &Drift{FormatVersion: FormatVersion, Kind: "drift", Header: h.normal(), Services: []ServiceDrift{}, Notes: []Note{}}
	v.Header.Compared = 0
	for _, n := range notes {
		v.Notes = append(v.Notes, Note{Address: n.Target.String(), Text: n.Text, Warning: n.Warning})
	}
	return v
}

// Left is a release that failed, or was interrupted, and left what is live: somebody else has
// not.
type Left struct {
	Release int    `json:"release"`
	Kind    string `json:"kind"`   // apply, promote, rollback, destroy
	Result  string `json:"result"` // failed, interrupted
}

func (l *Left) text() string {
	did := "failed"
	if l.Result == string(release.Interrupted) {
		did = "was interrupted"
	}
	if l.Kind == string(release.Destroy) {
		return fmt.Sprintf("release %d, a destroy that %s", l.Release, did)
	}
	return fmt.Sprintf("release %d, which %s", l.Release, did)
}

// leftBy finds the attempt with a number; nil for none.
func leftBy(recent release.Recent, number int) *Left {
	for _, a := range recent.Attempts {
		if a.Number == number {
			return &Left{Release: number, Kind: string(a.Kind), Result: string(a.Result)}
		}
	}
	return nil
}

// Add adds what differs of one service: actions that would bring it back, and how many
// resources were compared. The newest success of recent, if it has one, is what is compared
// with.
func (v *Drift) Add(service string, recent release.Recent, actions []plan.Action, compared int) {
	s := ServiceDrift{Service: service, Resources: []Action{}, Compared: compared}
	if success := recent.Success; success != nil {
		s.Release, s.ReleasedAt, s.By = success.Number, &success.StartedAt, who(success.Actor)
	}
	m := &masks{token: map[string]int{}, gone: map[state.Address]state.Observed{}}
	for _, a := range actions {
		r := m.action(a)
		r.Left = leftBy(recent, a.Left)
		for i := range r.Fields {
			r.Fields[i] = r.Fields[i].turned()
			r.Fields[i].Left = leftBy(recent, a.Changes[i].Left)
		}
		s.Resources = append(s.Resources, r)
	}
	v.Drifted = v.Drifted || len(s.Resources) > 0
	v.Services = append(v.Services, s)
}

// LeaveOut adds a service of which nothing was compared, and why.
func (v *Drift) LeaveOut(service, result string, err error) {
	s := ServiceDrift{Service: service, Resources: []Action{}, Result: result}
	for _, p := range problems(err) {
		s.Errors = append(s.Errors, Problem{Why: p.text, Hint: p.hint})
	}
	v.Services = append(v.Services, s)
}

// turned shows a field from the other side: what happened, and not what would undo it.
func (f Field) turned() Field {
	f.Old, f.New = f.New, f.Old
	f.Symbol, f.Restart, f.Widening = "~", false, false
	switch {
	case f.Old == nil:
		f.Symbol = "+"
	case f.New == nil:
		f.Symbol = "-"
	}
	return f
}

// head says how a service is; quote is how foreign text is written.
func (s ServiceDrift) head(quote func(string) string) string {
	name, differs := quote(s.Service), len(s.Resources) > 0
	if len(s.Errors) > 0 {
		return fmt.Sprintf("%s was not compared, %s: %s", name, s.Result, quote(s.Errors[0].Why))
	}
	if s.Release == 0 {
		than := " is as the manifest says"
		if differs {
			than = " differs from the manifest"
		}
		return name + than + "; no record tells of a release that succeeded."
	}
	by := fmt.Sprintf("release %d (%s, %s)", s.Release, s.ReleasedAt.UTC().Format(whenFormat), quote(s.By))
	if differs {
		return name + " differs from " + by + "."
	}
	return name + " is as " + by + " left it."
}

// tally counts what differs.
type tally struct{ settings, gone int }

func (t tally) text() string {
	var parts []string
	if t.settings > 0 {
		parts = append(parts, count(t.settings, "setting")+" changed")
	}
	if t.gone > 0 {
		parts = append(parts, count(t.gone, "resource")+" gone")
	}
	return strings.Join(parts, ", ") + "."
}

// Headline counts what differs: what drifted, and what releases left that failed.
func (v *Drift) Headline() string {
	var drifted, left tally
	var out []string
	for _, s := range v.Services {
		if len(s.Errors) > 0 {
			out = append(out, inSentence(s.Service))
		}
		for _, r := range s.Resources {
			switch {
			case r.Op == string(plan.Create) && r.Left != nil:
				left.gone++
			case r.Op == string(plan.Create):
				drifted.gone++
			}
			for _, f := range r.Fields {
				if f.Left != nil {
					left.settings++
				} else {
					drifted.settings++
				}
			}
		}
	}
	switch {
	case !v.Drifted && len(out) > 0:
		return "No drift of the other services." + without(out)
	case !v.Drifted:
		return "No drift."
	}
	var parts []string
	if drifted != (tally{}) {
		parts = append(parts, "Drift: "+drifted.text())
	}
	if left != (tally{}) {
		parts = append(parts, "Left by a release that did not succeed: "+left.text())
	}
	return strings.Join(parts, " ") + without(out)
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func (v *Drift) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	b.WriteString(v.Header.text(p))
	for _, s := range v.Services {
		b.WriteString(s.head(clean) + "\n")
		for _, r := range s.Resources {
			b.WriteString("\n" + r.differing().block(p))
		}
		if len(s.Resources) > 0 {
			b.WriteByte('\n')
		}
	}
	for _, n := range v.Notes {
		b.WriteString(n.text(p))
	}
	if !v.Drifted || len(v.Notes) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(p.in(bold, v.Headline()) + "\n")
	b.WriteString(v.orphanText(p))
	return b.String()
}

// differing is a resource as people see it: one that is gone is marked as that, without
// the settings it had.
func (a Action) differing() Action {
	if a.Op == string(plan.Create) {
		a.Symbol, a.Op, a.Fields, a.Reason = "-", string(plan.Delete), nil, "it is gone"
		if a.Left != nil {
			a.Reason += ": deleted by " + a.Left.text()
		}
		a.Cause = ""
	}
	return a
}

func (v *Drift) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", v.Headline())
	for _, s := range v.Services {
		b.WriteString("- " + s.head(code) + "\n")
	}
	for _, n := range v.Notes {
		b.WriteString(n.markdown())
	}
	b.WriteByte('\n')
	for _, s := range v.Services {
		if len(s.Resources) == 0 {
			continue
		}
		b.WriteString("| | Resource | Setting | Released | Live | |\n|---|---|---|---|---|---|\n")
		for _, r := range s.Resources {
			r = r.differing()
			if who := r.Who.blamed(); who != "" {
				fmt.Fprintf(&b, "| | %s | %s | | | |\n", code(r.Address), who)
			}
			if len(r.Fields) == 0 {
				remark := ""
				if r.Left != nil {
					remark = " " + string(plan.Pending) + ": deleted by " + r.Left.text()
				}
				fmt.Fprintf(&b, "| %s | %s | | | *gone* |%s |\n", mark(r.Symbol, false), code(r.Address), remark)
			}
			for _, f := range r.Fields {
				before, after := f.markdownTexts()
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", mark(f.Symbol, false), code(r.Address), code(f.Path), before, after, f.remark())
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString(v.orphanMarkdown())
	b.WriteString(v.Header.markdown())
	return b.String()
}
