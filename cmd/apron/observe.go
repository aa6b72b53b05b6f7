package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/providers/route53"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// facts are what a desired state needs to know of AWS beside the live resources.
type facts struct {
	live       state.Live
	notes      []state.Note
	parameters map[string]ssm.Reference
	secrets    map[string]secretsmanager.Reference
	roles      map[namedRole]iam.Resolved
	zones      map[string]route53.Zone   // of domains that apron writes records for
	recent     map[string]release.Recent // by service
}

// observe asks everything at once: depth, not number, is what a plan waits for.
func (s *session) observe(ctx context.Context, w wiring, users bool) (facts, error) {
	q := reconcile.Query{Account: s.id.Account, Region: s.cfg.Region, Specs: s.specs, Users: users, Want: s.addresses()}
	f := facts{roles: map[namedRole]iam.Resolved{}}
	var parameters, secrets []string
	var named []namedRole
	var by []string // the service of each
	// Who only looks has no use for what a desired state would need to know, and is kept from
	// nothing where that cannot be read.
	planning := slices.ContainsFunc(w.all, func(p reconcile.Provider) bool { return p == w.zones })
	for _, spec := range s.specs {
		if !planning {
			break
		}
		for _, ref := range spec.Secrets {
			switch ref.Source {
			case state.FromSSM:
				parameters = append(parameters, ref.Name)
			case state.FromSecretsManager:
				secrets = append(secrets, ref.Name)
			}
		}
		for _, r := range namedRoles(spec) {
			named, by = append(named, r), append(by, spec.Service)
		}
	}
	wrong := make([]error, len(named))
	roles := make([]iam.Resolved, len(named))
	reads, gctx := reconcile.NewReads(ctx)
	reads.Go(func() (err error) {
		f.live, f.notes, err = w.all.Observe(gctx, q)
		return err
	})
	if planning {
		reads.Go(func() (err error) {
			f.zones, err = w.zones.Zones(gctx, s.specs)
			return err
		})
	}
	reads.Go(func() (err error) {
		f.parameters, err = w.ssm.Resolve(gctx, parameters)
		return err
	})
	reads.Go(func() (err error) {
		f.secrets, err = w.secrets.Resolve(gctx, secrets)
		return err
	})
	var damaged []records.Damage
	if w.records != nil {
		reads.Go(func() (err error) {
			f.recent, damaged, err = s.recent(gctx, w)
			return err
		})
	}
	for i, r := range named {
		reads.Go(func() (err error) {
			roles[i], err = w.iam.Resolve(gctx, r.name, r.purpose)
			_, none := errors.AsType[*iam.NotFoundError](err)
			if !none {
				err = awsapi.Unread(state.Address{Target: "iam", Kind: "role", Name: r.name}, err)
			}
			if _, unread := reconcile.Unread(err); none || unread { // what is wrong with one service
				wrong[i], err = &serviceError{by[i], err}, nil
			}
			return err
		})
	}
	err := s.unread(reads.Wait(), nil)
	if ctx.Err() != nil {
		return facts{}, interruptible(ctx, err)
	}
	if wrong = slices.DeleteFunc(wrong, func(err error) bool { return err == nil }); len(wrong) > 0 {
		err = multierror.Append(err, wrong...)
	}
	if err != nil {
		return facts{}, err
	}
	s.a.hide(f.live)
	s.leaveAlone(f.live)
	if planning {
		f.notes = append(f.notes, s.domainNotes(ctx, f.live)...)
	}
	s.seen = f.live
	for _, d := range damaged {
		f.notes = append(f.notes, state.Note{Target: ecr.Repository(d.Repository), Warning: true,
			Text: fmt.Sprintf("the release record %s cannot be read: %v", d.Tag, d.Err)})
	}
	for i, r := range named {
		f.roles[r] = roles[i]
		f.notes = append(f.notes, roles[i].Notes()...)
	}
	return f, nil
}

// leaveAlone forgets the repositories of images that run where they are: even one that
// apron made for another service is none of this run's.
func (s *session) leaveAlone(live state.Live) {
	kept := map[string]bool{}
	for _, spec := range s.specs {
		kept[spec.Image.Repository] = kept[spec.Image.Repository] || !spec.Image.InPlace
	}
	for name, keep := range kept {
		if !keep {
			delete(live, ecr.Repository(name))
		}
	}
}

// hide keeps the values of parameters from every output: they are known from the store
// even where this machine's environment does not have them.
func (a *app) hide(live state.Live) {
	for addr, o := range live {
		for _, f := range o.Fields {
			if addr.Target == "ssm" && f.Secret {
				a.out.Hide(f.Value)
				a.err.Hide(f.Value)
			}
		}
	}
}

type namedRole struct {
	name    string
	purpose iam.Purpose
}

func namedRoles(spec state.Spec) []namedRole {
	var named []namedRole
	if r := spec.Roles.Access; r != "auto" && r != "" {
		named = append(named, namedRole{r, iam.Access})
	}
	if r := spec.Roles.Instance; r != "auto" && r != "" && r != apprunner.None {
		named = append(named, namedRole{r, iam.Instance})
	}
	return named
}

// addresses are what the desired state may hold. They follow from the manifests alone,
// so that everything can be looked up at once.
func (s *session) addresses() []state.Address {
	seen := map[state.Address]bool{}
	for _, spec := range s.specs {
		for _, addr := range s.wanted(spec) {
			seen[addr] = true
		}
		for _, v := range spec.Env {
			for _, name := range state.SoftRefs(v.Template) {
				seen[apprunner.Service(name)] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), state.Address.Compare)
}

// wanted are the addresses of one service's desired state, but for what it only refers to.
func (s *session) wanted(spec state.Spec) []state.Address {
	var all []state.Address
	image := s.imageAddress(spec)
	if image.Name != "" {
		all = append(all, image)
	}
	if !spec.Image.InPlace {
		for _, r := range ecr.Desired(spec, image, serviceAddress(spec), nil) {
			all = append(all, r.Address)
		}
		all = append(all, ecr.Candidates(spec)...)
	}
	for _, r := range apprunner.Desired(spec, apprunner.Inputs{Image: image}) {
		all = append(all, r.Address)
	}
	return all
}

func (s *session) imageAddress(spec state.Spec) state.Address {
	if tag := s.existing[spec.Service]; tag != "" {
		return ecr.Image(spec.Image.Repository, tag)
	}
	if spec.Image.InPlace {
		return s.scope().Image(spec.Image.From)
	}
	id, ok := s.images[spec.Service]
	if !ok {
		return state.Address{}
	}
	return ecr.Image(spec.Image.Repository, id.Tag)
}
