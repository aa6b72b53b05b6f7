package render

import (
	"bytes"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// EventLine is one line of [JSONLines].
type EventLine struct {
	FormatVersion string    `json:"format_version"`
	Kind          string    `json:"kind"` // "event"
	Time          time.Time `json:"time"`
	Action        string    `json:"action"` // ID
	Address       string    `json:"address,omitempty"`
	// Type is started, phase, progress, line, done, failed or skipped.
	Type  string `json:"type"`
	Phase string `json:"phase,omitempty"`
	Done  int64  `json:"done,omitempty"`  // bytes
	Total int64  `json:"total,omitempty"` // bytes
	// UsualMS and LongestMS are how long the phase takes as a rule, and up to where that is
	// normal, from SinceMS before this event on.
	SinceMS   int64    `json:"since_ms,omitempty"`
	UsualMS   int64    `json:"usual_ms,omitempty"`
	LongestMS int64    `json:"longest_ms,omitempty"`
	Source    string   `json:"source,omitempty"`
	Line      string   `json:"line,omitempty"`
	Because   string   `json:"because,omitempty"`
	TookMS    int64    `json:"took_ms,omitempty"`
	Error     *Problem `json:"error,omitempty"`
}

// jsonTeller writes an object a line. How far a phase has come is told once a tick.
type jsonTeller struct {
	out  *bytes.Buffer
	now  func() time.Time
	told map[plan.ID]int64 // bytes done, as last told
}

func (t *jsonTeller) say(r *running, l EventLine) {
	l.FormatVersion, l.Kind, l.Time = FormatVersion, "event", t.now().UTC()
	l.Action = string(r.action.ID)
	if !r.action.Target.IsZero() {
		l.Address = r.action.Target.String()
	}
	line, err := encode(l, "")
	if err != nil { // not with these types
		return
	}
	t.out.WriteString(line)
}

func (t *jsonTeller) started(r *running) { t.say(r, EventLine{Type: string(apply.Started)}) }

func (t *jsonTeller) phase(r *running) {
	t.told[r.action.ID] = r.done
	l := EventLine{Type: "phase", Phase: r.phase, Done: r.done, Total: r.total}
	if e := r.expect; e != nil {
		l.SinceMS, l.UsualMS, l.LongestMS = t.now().Sub(e.Since).Milliseconds(), e.Usual.Milliseconds(), e.Longest.Milliseconds()
	}
	t.say(r, l)
}

func (t *jsonTeller) line(r *running, p apply.Progress) {
	t.say(r, EventLine{Type: "line", Source: p.Source, Line: strings.TrimRight(p.Line, "\r\n")})
}

func (t *jsonTeller) finished(r *running, e apply.Event) {
	l := EventLine{Type: string(e.Status), Because: string(e.Because), TookMS: e.Took.Milliseconds()}
	if e.Err != nil {
		l.Error = &Problem{What: string(e.Action.ID), Why: e.Err.Error(), Hint: hint(e.Err)}
	}
	delete(t.told, r.action.ID)
	t.say(r, l)
}

func (t *jsonTeller) tick(_ time.Time, all []*running) {
	for _, r := range all {
		if r.total > 0 && r.done != t.told[r.action.ID] {
			t.told[r.action.ID] = r.done
			t.say(r, EventLine{Type: "progress", Phase: r.phase, Done: r.done, Total: r.total})
		}
	}
}

func (t *jsonTeller) close() {}
