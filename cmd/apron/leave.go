package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/lock"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// leftOut is a service that a run of several goes on without.
type leftOut struct {
	service string // or the file, where that does not say
	file    string
	result  string // as the table of services has it
	err     error
}

// serviceError is what is wrong with one service: a run of several can go on without it.
type serviceError struct {
	service string
	err     error
}

var _ error = (*serviceError)(nil)

func (e *serviceError) Error() string { return e.err.Error() }
func (e *serviceError) Unwrap() error { return e.err }

// dependsError says that a service needs the URL of one that is left out.
type dependsError struct {
	service, path, on string
	unread            error // why the other one cannot be read; nil if it is left out
}

var _ error = (*dependsError)(nil)

func (e *dependsError) Error() string {
	why := "is left out and not live"
	if e.unread != nil {
		why = "cannot be read: " + e.unread.Error()
	}
	return fmt.Sprintf("service %q is skipped: %s refers to the URL of service %q, which %s", e.service, e.path, e.on, why)
}
func (e *dependsError) Unwrap() error { return e.unread }

// Hint says what would let it go on.
func (e *dependsError) Hint() string { return "mend what keeps the other service out, and run again" }

// gathered lists the errors that were gathered into one, and leaves each of them whole.
func gathered(err error) []error {
	many, ok := err.(*multierror.Error)
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range many.Errors {
		all = append(all, gathered(e)...)
	}
	return all
}

// about names the service that an error is about, or "" where it is about the whole run.
func about(err error) string {
	if e, ok := errors.AsType[*serviceError](err); ok {
		return e.service
	}
	if e, ok := errors.AsType[*checkError](err); ok {
		return e.check.Service
	}
	if e, ok := errors.AsType[*lock.HeldError](err); ok {
		return e.Service
	}
	return ""
}

// outcome is what the table of services says of one that is left out.
func outcome(err error) string {
	if _, ok := errors.AsType[*lock.HeldError](err); ok {
		return render.Locked
	}
	if _, ok := errors.AsType[*reconcile.ReadError](err); ok {
		return render.Unread
	}
	if _, ok := errors.AsType[*dependsError](err); ok {
		return render.Skipped
	}
	return render.Refused
}

// without goes on without the services that err is about. Where that leaves none, or err is
// about the whole run, it returns all that is known to be wrong.
func (s *session) without(err error) error {
	if err == nil {
		return nil
	}
	wrong := map[string]*multierror.Error{}
	for _, e := range gathered(err) {
		service := about(e)
		if service == "" || !s.has(service) {
			return s.failures(err)
		}
		wrong[service] = multierror.Append(wrong[service], e)
	}
	if !s.isolates || len(wrong) == len(s.specs) {
		return s.failures(once(err))
	}
	for _, spec := range s.specs {
		if errs, ok := wrong[spec.Service]; ok {
			s.out = append(s.out, leftOut{spec.Service, spec.File, outcome(errs), errs})
		}
	}
	s.specs = slices.DeleteFunc(slices.Clone(s.specs), func(spec state.Spec) bool { return wrong[spec.Service] != nil })
	set := *s.set
	set.Documents = slices.DeleteFunc(slices.Clone(set.Documents), func(d manifest.Document) bool { return wrong[d.Spec.Service] != nil })
	s.set = &set
	return nil
}

// failures is err with what is wrong with the services that were left out.
func (s *session) failures(err error) error {
	if len(s.out) == 0 {
		return err
	}
	var all *multierror.Error
	for _, o := range s.out {
		all = multierror.Append(all, o.err)
	}
	if err != nil {
		all = multierror.Append(all, err)
	}
	return all
}

// refusals says of what a plan is refused for which services want it.
func (s *session) refusals(err error, wanted map[string][]state.Resource) error {
	var all *multierror.Error
	for _, e := range gathered(err) {
		refused, ok := errors.AsType[*plan.RefusedError](e)
		told := false
		for _, spec := range s.specs {
			if !ok || !slices.ContainsFunc(wanted[spec.Service], func(r state.Resource) bool { return r.Address == refused.Target }) {
				continue
			}
			told = true
			why := e
			if slices.ContainsFunc(s.out, func(o leftOut) bool { return refused.Lacks != "" && o.service == refused.Lacks }) {
				why = &dependsError{spec.Service, refused.Path, refused.Lacks, nil}
			}
			all = multierror.Append(all, &serviceError{spec.Service, why})
		}
		if !told {
			all = multierror.Append(all, e)
		}
	}
	return all.ErrorOrNil()
}

// warnLeftOut tells, before somebody is asked, which services the plan is without and why.
func (s *session) warnLeftOut() error {
	if len(s.out) == 0 {
		return nil
	}
	return render.Error(s.a.err, s.failures(nil), s.a.colorErr)
}

// rows are the services of a run for its table: those of the plan, with what it does to
// each, and then those that are left out.
func (s *session) rows(p planned) []render.Service {
	faults := map[string]*multierror.Error{}
	for _, e := range gathered(p.wrong) {
		if name := about(e); name != "" {
			faults[name] = multierror.Append(faults[name], e)
		}
	}
	var rows []render.Service
	for _, spec := range s.specs {
		r := render.Service{Name: spec.Service, Target: spec.Target, Version: spec.Image.Version, URL: p.facts.live[serviceAddress(spec)].URL}
		if s.several() {
			r.Plan(p.plan, func(a plan.Action) bool { return p.about(spec, a) })
			if errs := faults[spec.Service]; errs != nil {
				r.Refuse(outcome(errs), errs)
			}
		}
		rows = append(rows, r)
	}
	for _, o := range s.out {
		r := render.Service{Name: o.service}
		r.Refuse(o.result, o.err)
		rows = append(rows, r)
	}
	return rows
}

// several reports whether a run is about more services than one, so that it takes a table
// to say how each of them fares.
func (s *session) several() bool { return len(s.specs)+len(s.out) > 1 }

// manifests are the files of the run, in the order in which they were named.
func (s *session) manifests() []string {
	of := map[string]bool{}
	for _, spec := range s.specs {
		of[spec.File] = true
	}
	for _, o := range s.out {
		of[o.file] = true
	}
	if len(s.set.Files) == 0 { // of a release, and in no file
		return slices.Sorted(maps.Keys(of))
	}
	return slices.DeleteFunc(slices.Clone(s.set.Files), func(file string) bool { return !of[file] })
}

// refusedManifests are the manifests that are wrong, as services that are left out.
func refusedManifests(set *manifest.Set) []leftOut {
	var out []leftOut
	for _, r := range set.Refused {
		out = append(out, leftOut{cmp.Or(r.Service, r.File), r.File, render.Refused, r.Err()})
	}
	return out
}
