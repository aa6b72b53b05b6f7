package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/render"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "validate",
		Short:   "Check the manifest, offline",
		Long:    "validate reads the manifest and nothing else: no network, no process. It says every\nerror at once, with its line and column, and what looks wrong besides.",
		Aliases: []string{"lint"},
		RunE: func(*cobra.Command, []string) error {
			set, err := a.load()
			if err != nil {
				return err
			}
			return a.valid(set)
		},
	}
}

// validity is the result of validate.
type validity struct {
	FormatVersion string   `json:"format_version"`
	Valid         bool     `json:"valid"`
	Services      []string `json:"services"`
	Warnings      []string `json:"warnings"`
	Unsupported   []string `json:"unsupported"`
}

func (a *app) valid(set *manifest.Set) error {
	v := validity{FormatVersion: render.FormatVersion, Valid: true, Services: []string{}, Warnings: []string{}, Unsupported: []string{}}
	for _, d := range set.Documents {
		v.Services = append(v.Services, d.Spec.Service)
		for _, u := range d.Unsupported {
			v.Unsupported = append(v.Unsupported, u.String())
		}
	}
	for _, w := range set.Warnings {
		v.Warnings = append(v.Warnings, w.String())
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(v)
	}
	for _, u := range v.Unsupported {
		a.warn("%s", u)
	}
	for _, d := range set.Documents {
		if _, err := fmt.Fprintf(a.out, "%s: service %s is valid\n", d.Spec.File, d.Spec.Service); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) renderCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "render",
		Short: "Print the manifest as apron understands it, secrets masked",
		RunE: func(*cobra.Command, []string) error {
			set, err := a.load()
			if err != nil {
				return err
			}
			if render.Format(a.format) == render.JSON {
				return a.renderJSON(set)
			}
			for i := range set.Documents {
				if i > 0 {
					fmt.Fprintln(a.out, "---")
				}
				if err := manifest.Render(a.out, &set.Documents[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// rendered is the result of render.
type rendered struct {
	FormatVersion string `json:"format_version"`
	Manifests     []any  `json:"manifests"`
}

func (a *app) renderJSON(set *manifest.Set) error {
	r := rendered{FormatVersion: render.FormatVersion}
	for i := range set.Documents {
		v, err := manifest.Rendered(&set.Documents[i])
		if err != nil {
			return err
		}
		r.Manifests = append(r.Manifests, v)
	}
	return a.encode(r)
}

// encode writes a result as indented JSON.
func (a *app) encode(v any) error {
	a.wrote = true
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the manifest's JSON Schema, for editors",
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(manifest.Schema())
			return err
		},
	}
}
