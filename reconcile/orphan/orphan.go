// Package orphan finds services that were made from manifests of a repository that no
// longer has them: their file is gone, or names them no more. It is pure, and speaks up only
// where that is certain; what is not known makes no orphan.
//
//	tag of a live service ─▶ Origin ─┐
//	files of this checkout ──────────┼─▶ Find ─▶ what is left over, and why
//	what the run plans ──────────────┘
//
// An orphan is told, and never an action: nothing is deleted because a manifest is gone.
package orphan

import (
	"cmp"
	"slices"
)

// Service is a live service that carries the tag.
type Service struct {
	Name   string
	ID     string // its ARN
	URL    string
	Region string
	Tag    string // the value of the tag [Tag]
	Owner  string // the value of apron:service
}

// Place is a file of a repository.
type Place struct{ Repository, File string }

// Presence is whether a checkout has a file.
type Presence int

const (
	Unknown Presence = iota // nobody can say
	Gone
	There
)

// File is what is known of a file of this checkout.
type File struct {
	Presence Presence
	// Read says that the rest is known: every name that the file's documents give to a
	// service, in any environment, and the environments that they have.
	Read         bool
	Services     []string
	Environments []string
	// Open says that a variable decides a service's name, so that it may be any.
	Open bool
}

// Checkout is what a run knows.
type Checkout struct {
	Files   map[Place]File
	Planned map[string]bool // names of services that the run's manifests claim, sound or not
}

// Reason is why a service is an orphan.
type Reason string

const (
	FileGone        Reason = "file"        // the checkout does not have the file
	EnvironmentGone Reason = "environment" // the file has neither the environment nor the service
	Unclaimed       Reason = "service"     // no document of the file names the service
)

// Orphan is a service that no manifest claims.
type Orphan struct {
	Service
	Origin Origin
	Reason Reason
}

// Places are the files that services come from, as far as they can be told, each once.
func Places(services []Service) []Place {
	var places []Place
	for _, s := range services {
		if o, ok := Parse(s.Tag); ok && !slices.Contains(places, o.place()) {
			places = append(places, o.place())
		}
	}
	return places
}

func (o Origin) place() Place { return Place{o.Repository, o.File} }

// Find returns the orphans among services, by name.
func Find(services []Service, c Checkout) []Orphan {
	var found []Orphan
	for _, s := range services {
		o, ok := Parse(s.Tag)
		if !ok || s.Owner != s.Name || c.Planned[s.Name] {
			continue // not apron's, or claimed
		}
		if why, ok := c.reason(o, s.Name); ok {
			found = append(found, Orphan{s, o, why})
		}
	}
	slices.SortFunc(found, func(a, b Orphan) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return found
}

func (c Checkout) reason(o Origin, service string) (Reason, bool) {
	f := c.Files[o.place()]
	switch {
	case f.Presence == Gone:
		return FileGone, true
	case f.Presence != There || !f.Read || f.Open || slices.Contains(f.Services, service):
		return "", false
	case o.Environment != "" && !slices.Contains(f.Environments, o.Environment):
		return EnvironmentGone, true
	}
	return Unclaimed, true
}
