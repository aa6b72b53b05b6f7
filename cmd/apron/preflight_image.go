package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/image/inspect"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/state"
)

// image looks at the configuration of the image that is to run.
func (p *preflight) image(ctx context.Context) ([]state.Check, error) {
	if pin := p.pins[p.spec.Service]; pin != nil { // whose findings the session has refused
		return []state.Check{p.check("image", state.Passed, "%s is for linux/amd64 and has something to run", p.spec.Image.From)}, nil
	}
	if p.spec.Image.InPlace {
		return p.inPlace(ctx)
	}
	address := p.imageAddress(p.spec)
	_, stored := p.f.live[address]
	switch {
	case !stored && p.o.after:
		c := p.check("image", state.Broken, "there is no image %s in the repository any more", address.Name)
		c.Fix = "apply again: it is built and pushed before the rollout"
		return []state.Check{c}, nil
	case !stored:
		return []state.Check{p.check("image", state.Unchecked, "it is not built yet: apply builds it and looks at it before anything is made")}, nil
	case !p.o.deep:
		return []state.Check{p.check("image", state.Unchecked, "it was looked at when it was pushed")}, nil
	}
	repository, tag, _ := strings.Cut(address.Name, ":")
	in, err := p.w.registry.Look(ctx, repository, tag)
	if none, ok := errors.AsType[*ecr.NoPlatformError](err); ok {
		c := p.check("image", state.Broken, "%v", none)
		c.Fix, c.Blame = "build it for linux/amd64", state.BlameManifest
		return []state.Check{c}, nil
	}
	if err != nil {
		return []state.Check{p.check("image", state.Unchecked, "its configuration cannot be read: %v", err)}, nil
	}
	if in.Config == nil {
		return []state.Check{p.check("image", state.Unchecked, "it disappeared while it was looked at")}, nil
	}
	w := wanted(p.spec, "image")
	w.Compressed = in.Compressed
	return p.inspected(address.Name, in.Config, w), nil
}

// inPlace looks at an image that runs where it is, which apron has not looked at before.
func (p *preflight) inPlace(ctx context.Context) ([]state.Check, error) {
	const key = "image.from"
	if address := p.imageAddress(p.spec); !address.IsZero() {
		if _, stored := p.f.live[address]; !stored {
			c := p.check(key, state.Broken, "there is no image %s in ECR", address.Name)
			c.Fix, c.Blame = "push it, or name one that is there", state.BlameManifest
			return []state.Check{c}, nil
		}
	}
	pin, err := origin.Resolve(ctx, p.spec.Image.From, p.originOptions(p.spec))
	if e, ok := errors.AsType[*origin.Error](err); ok && e.Mistake {
		c := p.check(key, state.Broken, "%q %s", e.From, e.Why)
		c.Fix, c.Blame = e.Fix, state.BlameManifest
		return []state.Check{c}, nil
	}
	if err != nil {
		c := p.check(key, state.Unchecked, "whether it can run was not checked: %v", err)
		if p.o.planned && ctx.Err() == nil {
			p.a.warn("%v", p.entry(p.spec, key, c.Text, ""))
		}
		return []state.Check{c}, nil
	}
	w := wanted(p.spec, key)
	w.Compressed, w.Unpacked = pin.Compressed, pin.Unpacked
	return p.inspected(p.spec.Image.From, pin.Config, w), nil
}

// inspected are the checks of an image by its configuration. A plan says, beside them, what
// is noteworthy and keeps nothing from running.
func (p *preflight) inspected(name string, config *v1.ConfigFile, w inspect.Wanted) []state.Check {
	fits := p.check(w.Key, state.Passed, "%s is for %s/%s", name, config.OS, config.Architecture)
	var broken, others []state.Check
	port := false
	for _, found := range inspect.Check(config, w) {
		c := p.check(w.Key, state.Unchecked, "%s", found.Text)
		c.Fix = found.Fix
		switch {
		case found.Severity == inspect.Refuse:
			c.Verdict, c.Blame = state.Broken, state.BlameManifest
			broken = append(broken, c)
			continue
		case found.Severity == inspect.Note:
			c.Verdict, c.Fix = state.Passed, ""
		case found.Key == "port":
			port = true
			c.Path, c.Text = "port", c.Text+", though EXPOSE binds nobody"
		}
		others = append(others, c)
		if p.o.planned {
			p.remark(p.spec, found)
		}
	}
	switch {
	case len(broken) > 0:
		return append(broken, others...)
	case !port && inspect.ExposesTCP(config):
		others = append(others, p.check("port", state.Passed, "the image exposes %d", cmp.Or(w.Port, inspect.AppRunnerPort)))
	}
	return append([]state.Check{fits}, others...)
}

// wanted is what a service needs of an image that exists already.
func wanted(spec state.Spec, key string) inspect.Wanted {
	w := inspect.Wanted{Key: key, Platform: "linux/amd64", Command: spec.Command != nil, SecretLooking: manifest.SecretLooking, Signature: manifest.Signature}
	if spec.Port != nil {
		w.Port = *spec.Port
	}
	return w
}

// remark says what is noteworthy of a service's image and keeps it from nothing.
func (s *session) remark(spec state.Spec, f inspect.Finding) {
	e := s.entry(spec, f.Key, f.Text, f.Fix)
	switch {
	case f.Severity == inspect.Warn:
		s.a.warn("%v", e)
	case !s.a.quiet:
		s.a.say("apron: note: %v", e)
	}
}

// entry is an error about a key of a service's manifest, with its place.
func (s *session) entry(spec state.Spec, key, text, fix string) *manifest.Error {
	e := &manifest.Error{File: spec.File, Path: key, Msg: text, Fix: fix}
	e.Line, e.Column = s.position(spec, key)
	return e
}
