package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/logs"
	"github.com/apron-deploy/apron/providers/route53"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/providers/wafv2"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// unread says of what could not be read which services need it, so that a run of several
// goes on without those. also is what services need beside what their manifests ask for.
// Any other error is about the whole run, as is that of a thing that no service needs.
func (s *session) unread(err error, also map[string][]state.Address) error {
	all, ok := reconcile.Unread(err)
	if !ok {
		return err
	}
	need := map[state.Address][]string{}
	for _, spec := range s.specs {
		for _, addr := range s.read(spec) {
			need[addr] = append(need[addr], spec.Service)
		}
		for _, addr := range also[spec.Service] {
			if !slices.Contains(need[addr], spec.Service) {
				need[addr] = append(need[addr], spec.Service)
			}
		}
	}
	var errs *multierror.Error
	for _, e := range all {
		services := need[e.Target]
		for _, name := range services {
			errs = multierror.Append(errs, &serviceError{name, e})
		}
		if len(services) > 0 {
			continue
		}
		needy := s.referring(e)
		errs = multierror.Append(errs, needy...)
		if len(needy) == 0 {
			errs = multierror.Append(errs, e)
		}
	}
	if !s.isolates {
		return once(errs)
	}
	return errs
}

// read are the addresses that a service is read by.
func (s *session) read(spec state.Spec) []state.Address {
	all := s.wanted(spec)
	add := func(addr state.Address) {
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	add(serviceAddress(spec))
	add(ecr.Repository(spec.Image.Repository))
	add(iam.Address(s.cfg.Region, spec.Service, iam.Access))
	add(iam.Address(s.cfg.Region, spec.Service, iam.Instance))
	add(ssm.Below(spec.Service))
	add(logs.Below(spec.Service))
	add(wafv2.Address(spec.Service))
	for _, d := range spec.Domains {
		add(route53.Address(d.Name))
	}
	for _, ref := range spec.Secrets {
		switch ref.Source {
		case state.FromSSM:
			add(ssm.Named(ref.Name))
		case state.FromSecretsManager:
			add(secretsmanager.Named(ref.Name))
		}
	}
	return all
}

// referring are the services that are left out because they name the URL of one that could
// not be read.
func (s *session) referring(unread *reconcile.ReadError) []error {
	var errs []error
	for _, spec := range s.specs {
		for _, key := range slices.Sorted(maps.Keys(spec.Env)) {
			for _, name := range state.SoftRefs(spec.Env[key].Template) {
				if serviceAddress(state.Spec{Service: name}) == unread.Target {
					errs = append(errs, &serviceError{spec.Service, &dependsError{spec.Service, "env." + key, name, unread}})
				}
			}
		}
	}
	return errs
}

// few is up to how many errors of one kind each are told.
const few = 3

// once tells of reads that failed alike for many services the first, and of how many more it
// is true: what an identity may not do at all is one thing to mend.
func once(err error) error {
	all := gathered(err)
	kind := make([]string, len(all))
	count := map[string]int{}
	for i, e := range all {
		if _, ok := errors.AsType[*reconcile.ReadError](e); ok {
			kind[i] = awsapi.Kind(e)
			count[kind[i]]++
		}
	}
	var left *multierror.Error
	for i, e := range all {
		n := count[kind[i]]
		switch {
		case kind[i] == "" || n <= few && n > 0:
			left = multierror.Append(left, e)
		case n > few:
			left = multierror.Append(left, &alikeError{e, n - 1})
			count[kind[i]] = -1 // has been told
		}
	}
	return left.ErrorOrNil()
}

// alikeError says that an error is not the only one of its kind.
type alikeError struct {
	err  error
	more int
}

var _ error = (*alikeError)(nil)

func (e *alikeError) Error() string {
	return fmt.Sprintf("%v; and so it is with %d more", e.err, e.more)
}
func (e *alikeError) Unwrap() error { return e.err }

// unreadServices names the services that were left out because they could not be read.
func (s *session) unreadServices() []string {
	var names []string
	for _, o := range s.out {
		if o.result == render.Unread {
			names = append(names, o.service)
		}
	}
	return names
}

// unsavedError says that a plan was not saved, since it would have to leave out services
// whose plan nobody knows.
type unsavedError struct {
	file     string
	services []string
}

var _ error = (*unsavedError)(nil)

func (e *unsavedError) Error() string {
	return fmt.Sprintf("the plan is not saved in %s: nobody has seen what it is for %s", e.file, strings.Join(e.services, ", "))
}

// Hint says how to get it all the same.
func (e *unsavedError) Hint() string {
	return "mend what keeps them from being read, or choose the others with --only"
}

// goOn tries something, and where that fails for some of the services tries again without
// them.
func goOn[T any](ctx context.Context, s *session, try func(context.Context) (T, error)) (T, error) {
	for {
		v, err := try(ctx)
		if err == nil {
			return v, nil
		}
		if err := s.without(err); err != nil {
			var none T
			return none, interruptible(ctx, err)
		}
	}
}
