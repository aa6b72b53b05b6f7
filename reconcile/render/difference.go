package render

import (
	"slices"
	"strings"
)

// Difference is the view of what an approved plan and the plan of now do not share.
type Difference struct {
	FormatVersion string   `json:"format_version"`
	Kind          string   `json:"kind"`     // "difference"
	Approved      []Action `json:"approved"` // that are not planned now, or not like this
	Now           []Action `json:"now"`      // that nobody approved, or not like this
}

var _ View = (*Difference)(nil)

// NewDifference picks the actions with the given IDs out of both plans.
func NewDifference(approved, now *Plan, ids []string) *Difference {
	pick := func(p *Plan) []Action {
		picked := []Action{}
		for _, a := range p.Actions {
			if slices.Contains(ids, a.ID) {
				picked = append(picked, a)
			}
		}
		return picked
	}
	return &Difference{FormatVersion: FormatVersion, Kind: "difference", Approved: pick(approved), Now: pick(now)}
}

func (v *Difference) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	for _, side := range v.sides() {
		b.WriteString(p.in(bold, side.title+":") + "\n\n")
		if len(side.actions) == 0 {
			b.WriteString("    nothing of this\n")
		}
		for _, a := range side.actions {
			b.WriteString(a.block(p))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (v *Difference) markdown() string {
	var b strings.Builder
	for _, side := range v.sides() {
		b.WriteString("**" + side.title + "**\n\n")
		if len(side.actions) == 0 {
			b.WriteString("Nothing of this.\n\n")
			continue
		}
		b.WriteString("| | Resource | |\n|---|---|---|\n")
		for _, a := range side.actions {
			b.WriteString(a.row())
		}
		b.WriteByte('\n')
		for _, a := range side.actions {
			b.WriteString(a.details())
		}
	}
	return b.String()
}

type side struct {
	title   string
	actions []Action
}

func (v *Difference) sides() []side {
	return []side{{"Approved", v.Approved}, {"Now", v.Now}}
}
