package render

import (
	"bytes"
	"fmt"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
)

// lineTeller says everything once, in lines that stay. What others print in a phase is
// folded away where that can be done: our own lines never are.
type lineTeller struct {
	out       *bytes.Buffer
	paint     paint
	now       func() time.Time
	heartbeat time.Duration
	folds     Folds  // nil where nothing can be folded
	flush     func() // writes what out holds
	folded    string // the title of what is folded just now
}

// own is the source of lines that are ours: what a provider noticed while others printed.
const own = "apron"

// fold begins a part for what others print; an empty title ends it.
func (t *lineTeller) fold(title string) {
	if t.folds == nil || title == t.folded {
		return
	}
	t.flush()
	if t.folded = title; title == "" {
		t.folds.Unfold()
	} else {
		t.folds.Fold(title)
	}
}

func (t *lineTeller) say(r *running, format string, args ...any) {
	t.fold("")
	r.said = t.now()
	fmt.Fprintf(t.out, "%s: %s\n", r.label, fmt.Sprintf(format, args...))
}

func (t *lineTeller) started(r *running) { t.say(r, "%s", r.doing()) }

func (t *lineTeller) phase(r *running) {
	if e := r.expect; e != nil {
		t.say(r, "%s, about %s %s", r.doing(), whole(e.Usual), clean(e.Basis))
		return
	}
	t.say(r, "%s", r.doing())
}

func (t *lineTeller) line(r *running, p apply.Progress) {
	if p.Source == own {
		t.fold("")
	} else {
		t.fold(r.label + ": " + r.doing())
	}
	r.said = t.now()
	t.out.WriteString(foreign(t.paint, r, p))
}

func (t *lineTeller) layer(r *running, l apply.Layer) {
	if line := layerLine(r, l); line != "" {
		t.say(r, "%s", line)
	}
}

func (t *lineTeller) pushed(r *running, l apply.Layers) {
	if line := pushedLine(l); line != "" {
		t.say(r, "%s", line)
	}
}

func (t *lineTeller) finished(r *running, e apply.Event) {
	t.fold("")
	t.out.WriteString(ending(t.paint, r, e))
}

func (t *lineTeller) tick(now time.Time, all []*running) {
	for _, r := range all {
		switch late := r.late(now); {
		case late && !r.over:
			r.over = true
			t.say(r, "still %s, %s: %s", r.doing(), whole(now.Sub(r.expect.Since)), r.unusual())
		case now.Sub(r.said) < t.heartbeat:
		case late:
			t.say(r, "still %s, %s: longer than usual", r.doing(), whole(now.Sub(r.expect.Since)))
		case r.expect != nil:
			t.say(r, "still %s, %s of about %s: %s", r.doing(), whole(now.Sub(r.expect.Since)), whole(r.expect.Usual), r.normal(now))
		default:
			t.say(r, "still %s%s, %s", r.doing(), r.measure(), whole(now.Sub(r.since)))
		}
	}
}

func (t *lineTeller) close() { t.fold("") }

// foreign is a line of somebody else's output, after the name of who printed it.
func foreign(p paint, r *running, pr apply.Progress) string {
	who := r.label
	if pr.Source != "" {
		who += " " + clean(pr.Source)
	}
	return p.in(dim, who+" |") + " " + cleanLine(pr.Line) + "\n"
}

// ending is the line that says how an action ended.
func ending(p paint, r *running, e apply.Event) string {
	_, did := verb(e.Action.Op)
	switch {
	case e.Status == apply.Done:
		did = p.in(green, did) + p.in(dim, " ("+took(e.Took)+")")
	case e.Status == apply.Failed:
		did = p.in(red, "failed") + " after " + took(e.Took)
	case e.Because != "":
		did = p.in(yellow, "skipped") + ", as " + clean(string(e.Because)) + " failed"
	default:
		did = p.in(yellow, "skipped") + ", interrupted"
	}
	return r.label + ": " + did + "\n"
}

// late reports whether the phase takes longer than is normal.
func (r *running) late(now time.Time) bool {
	return r.expect != nil && now.Sub(r.expect.Since) > r.expect.Longest
}

// unusual says what it means that the phase is late.
func (r *running) unusual() string {
	text := fmt.Sprintf("longer than usual (about %s, up to %s, %s)", whole(r.expect.Usual), whole(r.expect.Longest), clean(r.expect.Basis))
	if r.expect.Over != "" {
		text += "; " + clean(r.expect.Over)
	}
	return text
}

// normal judges a phase that is not late.
func (r *running) normal(now time.Time) string {
	if now.Sub(r.expect.Since) > r.expect.Usual {
		return "still normal"
	}
	return "normal"
}

// measure is how far a measured phase has come: ", 12.3 MB of 45.6 MB (27%)", and of layers
// how fast they go and how many are there.
func (r *running) measure() string {
	if r.total <= 0 {
		return ""
	}
	return fmt.Sprintf(", %s of %s (%d%%)%s", size(r.done), size(r.total), int(100*r.share()), r.counts())
}

// share is the part that is done, from 0 to 1.
func (r *running) share() float64 {
	return min(max(float64(r.done)/float64(r.total), 0), 1)
}

// size is a number of bytes for people, in powers of 1000.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n), []string{"kB", "MB", "GB", "TB"}
	for i, u := range units {
		if f /= 1000; f < 999.95 || i == len(units)-1 {
			return fmt.Sprintf("%.1f %s", f, u)
		}
	}
	return ""
}
