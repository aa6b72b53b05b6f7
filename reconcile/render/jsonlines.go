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
	// Type is started, phase, progress, layer, pushed, line, done, failed or skipped.
	Type  string `json:"type"`
	Phase string `json:"phase,omitempty"`
	Done  int64  `json:"done,omitempty"`  // bytes
	Total int64  `json:"total,omitempty"` // bytes
	// Layers are those of the image that is pushed, in phase, progress and pushed; Layer is
	// one that is in the registry now.
	Layers *EventLayers `json:"layers,omitempty"`
	Layer  *EventLayer  `json:"layer,omitempty"`
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

// EventLayers counts layers of an image; those that were sent, existed or were mounted are
// in the registry.
type EventLayers struct {
	Total      int   `json:"total"`
	Sent       int   `json:"sent"`
	Existed    int   `json:"existed"`
	Mounted    int   `json:"mounted"` // from another repository
	Bytes      int64 `json:"bytes"`   // sent
	SavedBytes int64 `json:"saved_bytes"`
	// BytesPerSecond is the mean since the first byte.
	BytesPerSecond int64 `json:"bytes_per_second"`
}

// EventLayer is how one layer came to be in the registry.
type EventLayer struct {
	Digest  string `json:"digest"`
	Arrival string `json:"arrival"` // sent, existed or mounted
	Bytes   int64  `json:"bytes"`
	TookMS  int64  `json:"took_ms"` // to send it
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
	l := EventLine{Type: "phase", Phase: r.phase, Done: r.done, Total: r.total, Layers: eventLayers(r.layers)}
	if e := r.expect; e != nil {
		l.SinceMS, l.UsualMS, l.LongestMS = t.now().Sub(e.Since).Milliseconds(), e.Usual.Milliseconds(), e.Longest.Milliseconds()
	}
	t.say(r, l)
}

func (t *jsonTeller) line(r *running, p apply.Progress) {
	t.say(r, EventLine{Type: "line", Source: p.Source, Line: strings.TrimRight(p.Line, "\r\n")})
}

func (t *jsonTeller) layer(r *running, l apply.Layer) {
	t.say(r, EventLine{Type: "layer", Layer: &EventLayer{Digest: l.Digest, Arrival: string(l.Arrival), Bytes: l.Bytes, TookMS: l.Took.Milliseconds()}})
}

func (t *jsonTeller) pushed(r *running, l apply.Layers) {
	t.told[r.action.ID] = r.done
	t.say(r, EventLine{Type: "pushed", Phase: r.phase, Done: r.done, Total: r.total, Layers: eventLayers(&l), TookMS: l.Took.Milliseconds()})
}

func eventLayers(l *apply.Layers) *EventLayers {
	if l == nil {
		return nil
	}
	return &EventLayers{Total: l.Total, Sent: l.Sent, Existed: l.Existed, Mounted: l.Mounted, Bytes: l.Bytes, SavedBytes: l.Saved, BytesPerSecond: int64(l.Rate)}
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
			t.say(r, EventLine{Type: "progress", Phase: r.phase, Done: r.done, Total: r.total, Layers: eventLayers(r.layers)})
		}
	}
}

func (t *jsonTeller) close() {}
