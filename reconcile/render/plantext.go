package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	pathColumn = 8   // where the paths of fields start
	pathAlign  = 44  // longer paths do not move the values of the others
	pathMax    = 160 // what is longer is cut; a permission is read to its end
)

func (v *Plan) text(o Options) string {
	p := paint(o.Color)
	var b strings.Builder
	b.WriteString(v.Header.text(p))
	tight := true // an action of one line follows another without a blank line
	for i, a := range v.shown() {
		block := a.block(p)
		alone := strings.Count(block, "\n") == 1
		if i > 0 && (!alone || !tight) {
			b.WriteByte('\n')
		}
		b.WriteString(block)
		tight = alone
	}
	if len(v.Actions) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range v.Notes {
		b.WriteString(n.text(p))
	}
	if len(v.Notes) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(p.in(bold, v.headline()) + "\n")
	if more := v.compared(); more != "" {
		b.WriteString(more + "\n")
	}
	if v.Header.tells() {
		b.WriteString("\n" + table(p, v.Header.Services, v.columns(), v.cells))
	}
	b.WriteString(v.orphanText(p))
	return b.String()
}

// headline is Terraform's summary line.
func (v *Plan) headline() string {
	if len(v.Actions) == 0 && v.Header.Destroy {
		return "Nothing to destroy." + v.Header.without()
	}
	if len(v.Actions) == 0 && v.Header.Verb != "" {
		return "Nothing to " + v.Header.Verb + "." + v.Header.without()
	}
	without := v.Header.without()
	warned := slices.ContainsFunc(v.Notes, func(n Note) bool { return n.Warning })
	switch {
	case len(v.Actions) == 0 && without != "":
		return "No changes for the other services." + without
	case len(v.Actions) == 0 && warned:
		return "No changes. Live matches " + v.Header.sources() + ", but for the warnings."
	case len(v.Actions) == 0:
		return "No changes. Live matches " + v.Header.sources() + "."
	}
	return fmt.Sprintf("Plan: %d to add, %d to change, %d to destroy.%s", v.Summary.Add, v.Summary.Change, v.Summary.Destroy, without)
}

// compared says what "no changes" is worth.
func (v *Plan) compared() string {
	n := v.Header.Compared
	switch {
	case len(v.Actions) > 0 || n == 0:
		return ""
	case n == 1:
		return "Compared 1 resource, in every setting the manifest names."
	}
	return fmt.Sprintf("Compared %d resources, in every setting the manifest names.", n)
}

func (h Header) text(p paint) string {
	var b strings.Builder
	for _, f := range h.facts() {
		fmt.Fprintf(&b, "%s %s\n", p.in(dim, fmt.Sprintf("%-9s", f[0])), clean(f[1]))
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// margin marks a line that widens access.
func margin(widening bool) string {
	if widening {
		return "! "
	}
	return "  "
}

// block is an action and its fields:
//
//	!   ~ iam/role/web
//	      # why
//	!     + permissions.s3:  s3:GetObject
func (a Action) block(p paint) string {
	var b strings.Builder
	head := fmt.Sprintf("%s%3s %s", margin(a.Widening), a.Symbol, clean(a.Address))
	if p {
		pad := strings.Repeat(" ", 3-len(a.Symbol))
		head = p.in(red, margin(a.Widening)) + pad + p.symbol(a.Symbol) + " " + p.in(bold, clean(a.Address))
	}
	if r := a.remark(); r != "" {
		head += p.in(dim, " ("+r+")")
	}
	b.WriteString(head + "\n")
	if a.Reason != "" {
		b.WriteString(p.in(dim, "      # "+clean(a.Reason)) + "\n")
	}
	for _, l := range a.Who.lines() {
		b.WriteString(p.in(dim, "      # "+clean(l)) + "\n")
	}
	column := 0
	for _, f := range a.Fields {
		if n := utf8.RuneCountInString(f.label()); n <= pathAlign {
			column = max(column, n)
		}
	}
	for _, f := range a.settings() {
		b.WriteString(f.line(p, column))
	}
	return b.String()
}

func (f Field) label() string { return middle(clean(f.Path), pathMax) + ":" }

// line is one field, its value starting in the given column after the path's start.
func (f Field) line(p paint, column int) string {
	tail := f.remark()
	if tail != "" {
		tail = " # " + tail
	}
	label := f.label()
	label += strings.Repeat(" ", max(column-utf8.RuneCountInString(label), 0))
	room := width - pathColumn - utf8.RuneCountInString(label) - 1 - len(tail)
	line := margin(f.Widening) + "    " + f.Symbol + " " + label + " " + f.change(room) + tail
	if f.Widening {
		return p.in(red, line) + "\n"
	}
	if p {
		line = "      " + p.symbol(f.Symbol) + " " + label + " " + f.change(room) + p.in(dim, tail)
	}
	return line + "\n"
}

// change is what happens to a field, within room columns.
func (f Field) change(room int) string {
	const arrow = " → "
	if f.Restart {
		return "value changed: redeploy"
	}
	if f.Old == nil || f.New == nil {
		before, after := f.texts(room)
		return before + after
	}
	room -= utf8.RuneCountInString(arrow)
	half := room / 2
	before, after := f.texts(half)
	old, new := f.Old.columns(), f.New.columns()
	switch { // a short value leaves its room to a long one
	case old <= half && new > half:
		after = f.New.text(room - old)
	case new <= half && old > half:
		before = f.Old.text(room - new)
	}
	return before + arrow + after
}

func (n Note) text(p paint) string {
	text := clean(n.Address) + ": " + clean(n.Text)
	if n.Warning {
		return p.in(yellow, "Warning: "+text) + "\n"
	}
	return "Note: " + text + "\n"
}
