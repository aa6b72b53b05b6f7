package render

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/apply"
)

const (
	frameMax   = 12      // lines of a frame; a taller one could scroll out of reach
	barColumns = 20      // of a bar of progress
	barMin     = 5       // fewer tell nothing
	pendingMax = 1 << 16 // bytes of lines that wait for the next redraw
)

// liveTeller keeps a frame at the bottom of the terminal, a line for each action that
// runs, and lets what has ended scroll away above it. It draws only when the clock
// ticks, so that a flood of events costs ten redraws a second.
type liveTeller struct {
	out   *bytes.Buffer
	paint paint
	width func() int
	now   func() time.Time

	pending bytes.Buffer // lines that will stay
	frame   string       // what is drawn, to draw nothing twice
	drawn   int          // its lines
}

func (t *liveTeller) started(*running) {}
func (t *liveTeller) phase(*running)   {}

func (t *liveTeller) line(r *running, p apply.Progress) { t.stay(foreign(t.paint, r, p)) }

// layer is nothing to be told by itself: the frame counts layers.
func (t *liveTeller) layer(*running, apply.Layer) {}

func (t *liveTeller) pushed(r *running, l apply.Layers) {
	if line := pushedLine(l); line != "" {
		t.stay(r.label + ": " + line + "\n")
	}
}

func (t *liveTeller) finished(r *running, e apply.Event) { t.stay(ending(t.paint, r, e)) }

func (t *liveTeller) stay(line string) {
	t.pending.WriteString(line)
	if t.pending.Len() > pendingMax {
		t.draw("")
	}
}

func (t *liveTeller) tick(now time.Time, all []*running) {
	columns := 80
	if t.width != nil {
		columns = max(t.width(), 20)
	}
	var b strings.Builder
	label := 0
	for _, r := range all {
		label = max(label, cells(r.label))
	}
	label = min(label, columns/2)
	drawn := 0
	for i, r := range all {
		status := t.status(r, now, label, columns-1) // the last column may wrap
		room := frameMax - drawn
		if i < len(all)-1 {
			room-- // for how many there are more
		}
		n := strings.Count(status, "\n")
		if n > room {
			fmt.Fprintf(&b, "    … and %d more\n", len(all)-i)
			break
		}
		drawn += n
		b.WriteString(status)
	}
	t.draw(b.String())
}

// status is the line of a running action: symbol, address, what it does, how far it
// has come, and since when. Layers have a second one.
func (t *liveTeller) status(r *running, now time.Time, label, columns int) string {
	sym := symbol(r.action.Op, false)
	name := fit(r.label, label)
	doing := r.doing()
	measured := ""
	if r.layers != nil && r.total > 0 {
		measured = t.moving(r, columns)
	}
	bar := ""
	if r.total > 0 && measured == "" {
		bar = fmt.Sprintf(" %s %3d%% %s", r.bar(barColumns), int(100*r.share()), size(r.total))
	}
	age := " " + r.age(now)
	room := columns - len("  ") - len(sym) - 1 - cells(name) - 2
	if room < cells(doing)+cells(bar)+cells(age) {
		bar = ""
	}
	doing = strings.TrimRight(fit(doing, max(room-cells(bar)-cells(age), 0)), " ")
	return "  " + t.paint.symbol(sym) + " " + name + "  " + doing + t.paint.in(cyan, bar) + t.paint.in(dim, age) + "\n" + measured
}

// bar is how far a measured phase has come, as a picture.
func (r *running) bar(columns int) string {
	full := int(r.share() * float64(columns))
	return "[" + strings.Repeat("█", full) + strings.Repeat("░", columns-full) + "]"
}

// moving is the line of layers that are on their way. The bar has what numbers leave of it.
func (t *liveTeller) moving(r *running, columns int) string {
	const indent = "    "
	text := fmt.Sprintf("%3d%% %s of %s%s", int(100*r.share()), size(r.done), size(r.total), r.counts())
	bar := ""
	if room := min(columns-len(indent)-len("[] ")-cells(text), barColumns); room >= barMin {
		bar = r.bar(room) + " "
	}
	return indent + t.paint.in(cyan, bar) + strings.TrimRight(fit(text, columns-len(indent)-cells(bar)), " ") + "\n"
}

// age is since when an action runs, or of a phase with an expectation how much of it is
// over.
func (r *running) age(now time.Time) string {
	switch {
	case r.expect == nil:
		return whole(now.Sub(r.since))
	case r.late(now):
		return fmt.Sprintf("%s, usually %s: late", whole(now.Sub(r.expect.Since)), whole(r.expect.Usual))
	}
	return fmt.Sprintf("%s of about %s", whole(now.Sub(r.expect.Since)), whole(r.expect.Usual))
}

// draw replaces the frame, and puts what stays above it.
func (t *liveTeller) draw(frame string) {
	if frame == t.frame && t.pending.Len() == 0 {
		return
	}
	if t.drawn > 0 {
		fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", t.drawn) // up to its first line, and clear from there
	}
	t.pending.WriteTo(t.out)
	t.out.WriteString(frame)
	t.frame, t.drawn = frame, strings.Count(frame, "\n")
}

func (t *liveTeller) close() { t.draw("") }

// cells is how many columns a terminal gives s, rather too many than too few: scripts
// from Hangul on are taken to be wide.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r >= 0x1100 && (r < 0x2000 || r > 0x2bff) {
		return 2
	}
	return 1
}

// fit cuts or pads s to n columns.
func fit(s string, n int) string {
	if c := cells(s); c <= n {
		return s + strings.Repeat(" ", n-c)
	}
	if n <= 0 {
		return ""
	}
	used := 1 // the ellipsis
	for i, r := range s {
		if used += runeCells(r); used > n {
			return s[:i] + "…"
		}
	}
	return s
}
