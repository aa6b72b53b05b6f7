package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/orphan"
)

// Leftovers are services that manifests of the repository once made, and no manifest
// claims any more. They are told, and nothing is done to them: they are no part of a plan,
// of its fingerprint or of an exit code.
type Leftovers struct {
	Orphans []Orphan `json:"orphans,omitempty"`
	// Unchecked says why nobody knows of any.
	Unchecked string `json:"orphans_unchecked,omitempty"`
}

// Orphan is one of them.
type Orphan struct {
	Service     string `json:"service"`
	Live        string `json:"live"` // its ARN
	URL         string `json:"url,omitempty"`
	Region      string `json:"region"`
	Repository  string `json:"repository"`
	Manifest    string `json:"manifest"` // from the top of the repository
	Environment string `json:"environment,omitempty"`
	// Reason is file, environment or service: what this checkout does not have.
	Reason string `json:"reason"`
	// History, Delete and Keep are commands, for the top of the repository: one that shows
	// what the manifest was, one that deletes the service, once the file, if that is there,
	// says again what it said, and one that writes another manifest for it.
	History string `json:"history"`
	Delete  string `json:"delete"`
	Keep    string `json:"keep"`
}

// NewLeftovers makes the view of orphans. What comes of their tags has no character that a
// shell obeys within quotes: see [orphan.Parse].
func NewLeftovers(found []orphan.Orphan) Leftovers {
	var v Leftovers
	for _, o := range found {
		at := "':/" + o.Origin.File + "'"
		remove := "apron destroy -f '" + o.Origin.File + "'"
		if o.Origin.Environment != "" {
			remove += " -e " + o.Origin.Environment
		}
		remove += " --only " + o.Name
		if o.Reason == orphan.FileGone {
			remove = `git checkout "$(git rev-list -n 1 HEAD -- ` + at + `)^" -- ` + at + " && " + remove
		}
		v.Orphans = append(v.Orphans, Orphan{Service: o.Name, Live: o.ID, URL: o.URL, Region: o.Region, Repository: o.Origin.Repository, Manifest: o.Origin.File,
			Environment: o.Origin.Environment, Reason: string(o.Reason), History: "git log -p -- " + at, Delete: remove, Keep: "apron import " + o.Name})
	}
	return v
}

// most is how many orphans people are shown.
const most = 20

func (v Leftovers) fewOrphans() []Orphan { return v.Orphans[:min(len(v.Orphans), most)] }

// moreOrphans says that there are more.
func (v Leftovers) moreOrphans() string {
	if n := len(v.Orphans) - most; n > 0 {
		return fmt.Sprintf("And %d more: --json has all of them.\n", n)
	}
	return ""
}

func (v Leftovers) orphanHeadline() string {
	if len(v.Orphans) == 1 {
		return "1 service has no manifest in this checkout any more. Nothing is done to it."
	}
	return fmt.Sprintf("%d services have no manifest in this checkout any more. Nothing is done to them.", len(v.Orphans))
}

// origin says from what the service was made, and what of that is missing.
func (o Orphan) origin(quote func(string) string) string {
	from := "made from " + quote(o.Manifest)
	if o.Environment != "" {
		from += " with environment " + quote(o.Environment)
	}
	switch orphan.Reason(o.Reason) {
	case orphan.FileGone:
		return from + ", which this checkout does not have"
	case orphan.EnvironmentGone:
		return from + ", which the file does not have"
	}
	return from + ", which does not name it"
}

// way says how it could be deleted.
func (o Orphan) way(quote func(string) string) string {
	if o.Reason == string(orphan.FileGone) {
		return quote(o.Delete)
	}
	return "put back what " + quote(o.History) + " shows, then " + quote(o.Delete)
}

// ticked is a command within a sentence of a terminal.
func ticked(command string) string { return "`" + clean(command) + "`" }

func (v Leftovers) orphanText(p paint) string {
	if v.Unchecked != "" {
		return "\nNote: orphans not checked: " + clean(v.Unchecked) + "\n"
	}
	if len(v.Orphans) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n" + p.in(bold, v.orphanHeadline()) + "\n")
	for _, o := range v.fewOrphans() {
		head := p.in(bold, clean(o.Service)) + " in " + clean(o.Region)
		if o.URL != "" {
			head += "  " + p.in(cyan, clean(o.URL))
		}
		fmt.Fprintf(&b, "  %s\n      %s\n      %s\n", head, clean(o.Live), o.origin(clean))
		fmt.Fprintf(&b, "      to delete it: %s\n      to keep it: %s\n", o.way(ticked), ticked(o.Keep))
	}
	return b.String() + v.moreOrphans()
}

func (v Leftovers) orphanMarkdown() string {
	if v.Unchecked != "" {
		return "- Note: orphans not checked: " + code(v.Unchecked) + "\n\n"
	}
	if len(v.Orphans) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("**" + v.orphanHeadline() + "**\n\n| Service | Region | URL | |\n|---|---|---|---|\n")
	for _, o := range v.fewOrphans() {
		url := ""
		if o.URL != "" {
			url = code(o.URL)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(o.Service), code(o.Region), url, o.origin(code))
	}
	b.WriteString("\n<details>\n<summary>What to do</summary>\n\n")
	for _, o := range v.fewOrphans() {
		fmt.Fprintf(&b, "- %s, %s\n  - to delete it: %s\n  - to keep it: %s\n", code(o.Service), code(o.Live), o.way(code), code(o.Keep))
	}
	b.WriteString("\n</details>\n\n")
	return b.String() + v.moreOrphans() + strings.Repeat("\n", min(len(v.moreOrphans()), 1))
}

func (v Leftovers) namedOrphans(hide func(string) string) Leftovers {
	v.Unchecked, v.Orphans = hide(v.Unchecked), slices.Clone(v.Orphans)
	for i := range v.Orphans {
		o := &v.Orphans[i]
		for _, s := range []*string{&o.Service, &o.Live, &o.URL, &o.Region, &o.Repository, &o.Manifest, &o.Environment, &o.History, &o.Delete, &o.Keep} {
			*s = hide(*s)
		}
	}
	return v
}

// sameOrphans reports whether people are told the same. Why nobody could check is said in the
// words of whoever refused, which may number them.
func (v Leftovers) sameOrphans(other Leftovers) bool {
	return slices.Equal(v.Orphans, other.Orphans) && (v.Unchecked == "") == (other.Unchecked == "")
}
