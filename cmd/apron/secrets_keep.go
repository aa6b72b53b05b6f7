package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// setSecret keeps a value that the manifest takes from the environment, and deploys the
// services that read it if asked to.
func (a *app) setSecret(ctx context.Context, o applyFlags, key string, deploy bool) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	var with []state.Spec
	elsewhere := fmt.Errorf("%s is not a key under secrets of the manifest", key)
	for _, spec := range s.specs {
		if ref, ok := spec.Secrets[key]; ok && ref.Source == state.FromEnv {
			with = append(with, spec)
		} else if ok {
			elsewhere = fmt.Errorf("%s is kept as %s:%s, where apron only reads", key, ref.Source, ref.Name)
		}
	}
	if len(with) == 0 {
		return &usageError{err: elsewhere, command: "apron secrets set"}
	}
	value, err := a.readSecret(ctx, key)
	if err != nil {
		return err
	}
	given := map[state.Address]state.Sensitive{}
	for _, spec := range with {
		given[ssm.Address(spec.Service, key)] = state.Sensitive(value)
	}
	if deploy {
		return s.keep(ctx, o, given, with, "secrets rotate "+key, key)
	}
	return s.keep(ctx, o, given, nil, "secrets set "+key, key)
}

// importSecrets keeps what an env file gives the secrets of the manifest, and names what
// else it gives.
func (a *app) importSecrets(ctx context.Context, o applyFlags, file string) error {
	of, err := manifest.ReadEnvFile(file, a.lookup, a.readFile)
	if err != nil {
		return err
	}
	a.lookupOther = func(name string) (string, bool) {
		h, ok := of[name]
		return h.Value.Reveal(), ok && h.Value != ""
	}
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	given := map[state.Address]state.Sensitive{}
	taken, asked := map[string]bool{}, map[string]bool{}
	for _, spec := range s.specs {
		for key, ref := range spec.Secrets {
			if ref.Source != state.FromEnv {
				continue
			}
			asked["env:"+ref.Name] = true
			if h, ok := of[ref.Name]; ok {
				a.out.Hide(h.Value.Reveal())
				a.err.Hide(h.Value.Reveal())
				given[ssm.Address(spec.Service, key)], taken[ref.Name] = h.Value, true
			}
		}
	}
	if len(given) == 0 {
		return &manifest.Error{File: filepath.ToSlash(file), Msg: "gives no secret that apron keeps for this manifest",
			Fix: "name another file; the manifest has " + cmp.Or(strings.Join(slices.Sorted(maps.Keys(asked)), ", "), "no secret env:NAME")}
	}
	if err := unfit(of, taken); err != nil {
		return err
	}
	var rest []string
	for _, name := range slices.SortedFunc(maps.Keys(of), func(x, y string) int { return cmp.Or(of[x].Line-of[y].Line, cmp.Compare(x, y)) }) {
		if !taken[name] {
			rest = append(rest, fmt.Sprintf("%s (line %d)", name, of[name].Line))
		}
	}
	if len(rest) > 0 {
		a.say("apron: note: %s: %s: not imported, as no secret that apron keeps for this manifest takes its value from there", filepath.ToSlash(file), strings.Join(rest, ", "))
	}
	return s.keep(ctx, o, given, nil, "secrets import "+file, "")
}

// unfit says of all values that are taken which no parameter can hold.
func unfit(of map[string]manifest.Held, taken map[string]bool) error {
	var errs *multierror.Error
	for _, name := range slices.SortedFunc(maps.Keys(taken), func(x, y string) int { return of[x].Line - of[y].Line }) {
		h := of[name]
		e := &manifest.Error{File: h.File, Line: h.Line, Column: 1, Path: name}
		switch {
		case h.Value == "":
			e.Msg, e.Fix = "is empty", "give it a value, or take it out: a secret that the file does not give stays as it is"
		case len(h.Value) > maxSecret:
			e.Msg, e.Fix = fmt.Sprintf("has more than %d bytes, which a standard parameter does not hold", maxSecret), "keep it in Secrets Manager"
		default:
			continue
		}
		errs = multierror.Append(errs, e)
	}
	return errs.ErrorOrNil()
}

// keep keeps values, whatever this machine has for those secrets, and then deploys the
// services that read one of them, by the key given. It does nothing else of what the
// manifests want. typed is the command.
func (s *session) keep(ctx context.Context, o applyFlags, given map[state.Address]state.Sensitive, deployed []state.Spec, typed, key string) error {
	for _, spec := range s.specs {
		for key, ref := range spec.Secrets {
			if value, ok := given[ssm.Address(spec.Service, key)]; ok {
				ref.Value, ref.Set = value, true
				spec.Secrets[key] = ref
			}
		}
	}
	s.warnHeld(given)
	s.early = true
	w := s.wire(o).narrow("ssm")
	if len(deployed) > 0 {
		w = s.wire(o).narrow("ssm", "apprunner")
	}
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := s.settled(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		live := maps.Clone(f.live)
		p, err := s.plan(f, planFlags{}.options(), true, func(addr state.Address) bool { _, ok := given[addr]; return ok })
		if err != nil {
			return planned{}, err
		}
		p.missing, p.recording, p.typed = nil, nil, typed // other secrets are not asked for, and a part is no release
		if len(deployed) == 0 {
			p.part = true
			return p, nil
		}
		again, err := s.redeployment(deployed, live, key)
		if err != nil {
			return planned{}, err
		}
		p.plan, p.facts.live, p.verb = p.plan.Then(again), live, "rotate"
		return p, nil
	})
	if err != nil {
		return err
	}
	return s.execute(ctx, w, p, o)
}

// redeployment deploys services again that read a secret kept under a key.
func (s *session) redeployment(with []state.Spec, live state.Live, key string) (*plan.Plan, error) {
	var services []state.Address
	var refused *multierror.Error
	wanted := map[string][]state.Resource{}
	for _, spec := range with {
		addr := serviceAddress(spec)
		services = append(services, addr)
		wanted[spec.Service] = []state.Resource{{Address: addr}}
		have, exists := live[addr]
		if f, _ := have.Get("secrets." + key); exists && have.Owner == state.Ours && f.Value != ssm.Address(spec.Service, key).String() {
			refused = multierror.Append(refused, &plan.RefusedError{Target: addr, Why: "does not read " + key + " from where apron keeps it",
				Fix: "keep the value with `apron secrets set`, and deploy it with `apron apply`"})
		}
	}
	if err := refused.ErrorOrNil(); err != nil {
		return nil, s.refusals(err, wanted)
	}
	p, err := plan.Steer(plan.Redeploy, services, live, plan.SteerOptions{Wait: true})
	if err != nil {
		return nil, s.refusals(err, wanted)
	}
	return p, nil
}

// warnHeld says where this machine has other values than those that are to be kept: an
// apply takes them from there.
func (s *session) warnHeld(given map[state.Address]state.Sensitive) {
	const text = "holds another value, which the next apply keeps in the place of the new one"
	type place struct {
		name string
		manifest.Held
	}
	told := map[place]bool{}
	for _, d := range s.set.Documents {
		for _, key := range slices.Sorted(maps.Keys(d.Spec.Secrets)) {
			value, ok := given[ssm.Address(d.Spec.Service, key)]
			if !ok {
				continue
			}
			name := d.Spec.Secrets[key].Name
			for _, h := range d.Held(name) {
				at := place{name, h}
				if h.Value == value || told[at] {
					continue
				}
				told[at] = true
				if h.File == "" {
					s.a.warn("%s of the environment %s", name, text)
					s.a.say("apron: hint: unset it, or give it the new value: what is not set on a machine stays as it is kept")
					continue
				}
				s.a.warnOf(manifest.Warning{File: h.File, Line: h.Line, Column: 1, Path: name, Text: text,
					Hint: "write the new value there, or take " + name + " out: what is not set on a machine stays as it is kept"})
			}
		}
	}
}
