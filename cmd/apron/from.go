package main

import (
	"context"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/inspect"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/state"
)

// originOptions are those of one service's image.from: other accounts' ECR is read with
// the credentials of this run, every other registry with those of docker login.
func (s *session) originOptions(spec state.Spec) origin.Options {
	o := origin.Options{Dir: spec.Dir}
	if !s.a.sandbox.on {
		o.Keychain = origin.Keychain(func(ctx context.Context, _, region string) (user, password string, err error) {
			cfg := s.cfg.Copy()
			cfg.Region = region
			_, user, password, err = ecr.New(cfg, awsapi.Identity{}).Registry(ctx)
			return user, password, err
		}, nil)
	}
	if k := s.keychains[spec.Service]; k != nil {
		o.Keychain = k
	}
	return o
}

// pin asks what image.from stands for now, and whether that could work at all.
func (s *session) pin(ctx context.Context, d *manifest.Document) (*origin.Pin, error) {
	spec := d.Spec
	pin, err := origin.Resolve(ctx, spec.Image.From, s.originOptions(spec))
	if err != nil {
		return nil, err
	}
	w := inspect.Wanted{Key: "image.from", Platform: "linux/amd64", Command: spec.Command != nil,
		Compressed: pin.Compressed, Unpacked: pin.Unpacked, SecretLooking: manifest.SecretLooking, Signature: manifest.Signature}
	if spec.Port != nil {
		w.Port = *spec.Port
	}
	var refused *multierror.Error
	for _, f := range inspect.Check(pin.Config, w) {
		e := &manifest.Error{File: spec.File, Path: f.Key, Msg: f.Text, Fix: f.Fix}
		e.Line, e.Column = d.Position(f.Key)
		switch f.Severity {
		case inspect.Refuse:
			refused = multierror.Append(refused, e)
		case inspect.Warn:
			s.a.say("apron: warning: %v", e)
		}
	}
	return pin, refused.ErrorOrNil()
}

// imageOf is the image that a service wants: built, copied, or there already.
func (s *session) imageOf(spec state.Spec) state.Resource {
	if s.existing[spec.Service] != "" {
		return state.Resource{Address: s.imageAddress(spec), Fields: []state.Field{
			{Path: "repository", Value: ecr.Repository(spec.Image.Repository).String(), Ref: true, Order: true}}}
	}
	if pin := s.pins[spec.Service]; pin != nil {
		return image.Copied(spec, pin, s.originOptions(spec))
	}
	return image.Desired(spec, s.images[spec.Service])
}
