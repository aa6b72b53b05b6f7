package main

import (
	"io"
	"strings"
	"text/tabwriter"

	"github.com/apron-deploy/apron/reconcile/render"
)

// list writes the lines of a command that lists things: a table for people, and for
// machines JSON that has them under a name.
func list[T any](a *app, name string, all []T, head []string, row func(T) []string) error {
	if render.Format(a.format) == render.JSON {
		return a.encode(map[string]any{"format_version": render.FormatVersion, name: all})
	}
	rows := [][]string{head}
	for _, l := range all {
		rows = append(rows, row(l))
	}
	return columns(a.out, rows)
}

// columns writes rows below each other.
func columns(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := io.WriteString(t, strings.Join(row, "\t")+"\n"); err != nil {
			return err
		}
	}
	return t.Flush()
}
