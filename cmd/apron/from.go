package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/inspect"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/state"
)

// originOptions are those of one service's image.from: ECR is read with the credentials of
// this run, whosever account it is, every other registry with those of docker login. The
// sandbox's own ECR is found under the name that AWS would give it.
func (s *session) originOptions(spec state.Spec) origin.Options {
	o := origin.Options{Dir: spec.Dir, Whole: spec.Image.Whole}
	login := func(ctx context.Context, _, region string) (user, password string, err error) {
		cfg := s.cfg.Copy()
		cfg.Region = region
		_, user, password, err = ecr.New(cfg, awsapi.Identity{}).Registry(ctx)
		return user, password, err
	}
	o.Keychain = origin.Keychain(login, nil)
	if s.a.sandbox.on {
		o.Keychain = origin.Keychain(s.sandboxLogin(login), nil)
		o.Transport = origin.At(aws.ToString(s.cfg.BaseEndpoint))
	}
	if k := s.keychains[spec.Service]; k != nil {
		o.Keychain = k
	}
	return o
}

// sandboxLogin refuses what the sandbox is not: it is one account in one Region.
func (s *session) sandboxLogin(login origin.Login) origin.Login {
	return func(ctx context.Context, account, region string) (string, string, error) {
		id, err := awsapi.WhoAmI(ctx, s.cfg)
		if err != nil {
			return "", "", err
		}
		if account != id.Account || region != s.cfg.Region {
			return "", "", fmt.Errorf("the sandbox is account %s in %s, and reads no other", id.Account, s.cfg.Region)
		}
		return login(ctx, account, region)
	}
}

// pin asks what image.from stands for now, and whether that could work at all.
func (s *session) pin(ctx context.Context, spec state.Spec) (*origin.Pin, error) {
	pin, err := origin.Resolve(ctx, spec.Image.From, s.originOptions(spec))
	if err != nil {
		return nil, err
	}
	w := wanted(spec, "image.from")
	w.Compressed, w.Unpacked = pin.Compressed, pin.Unpacked
	var refused *multierror.Error
	for _, f := range inspect.Check(pin.Config, w) {
		if f.Severity == inspect.Refuse {
			refused = multierror.Append(refused, s.entry(spec, f.Key, f.Text, f.Fix))
			continue
		}
		s.remark(spec, f)
	}
	return pin, refused.ErrorOrNil()
}

// runnable is what a service runs, for an engine of this machine: the image that its sources
// make, or what image.from stands for now. It is read under ctx and until done is called. ref
// names it for people.
func (a *app) runnable(ctx context.Context, set *manifest.Set, d *manifest.Document, o builderFlags) (img v1.Image, ref string, done func(), err error) {
	if d.Spec.Image.Build != nil {
		built, tag, done, err := a.build(ctx, set, d, o)
		if err != nil {
			return nil, "", nil, err
		}
		if img, err = built.Archived(); err != nil {
			done()
			return nil, "", nil, err
		}
		return img, d.Spec.Image.Repository + ":" + tag, done, nil
	}
	spec := d.Spec
	spec.Image.Whole = false // it is run on one platform
	s := &session{a: a, set: set, specs: []state.Spec{spec}, guard: &awsapi.Guard{}}
	if a.sandbox.on || origin.InECR(spec.Image.From) { // all others know nothing of AWS
		if err := s.configure(ctx); err != nil {
			return nil, "", nil, err
		}
	}
	pin, err := s.pin(ctx, spec)
	if err != nil {
		return nil, "", nil, err
	}
	from, err := origin.Open(ctx, pin, s.originOptions(spec))
	if err != nil {
		return nil, "", nil, err
	}
	if img, err = from.Archived(); err != nil {
		return nil, "", nil, errors.Join(err, from.Close())
	}
	return img, pin.Reference, func() { _ = from.Close() }, nil // it was only read
}

// imageOf is the image that a service wants: built, copied, or there already.
func (s *session) imageOf(spec state.Spec) state.Resource {
	if s.existing[spec.Service] != "" {
		return state.Resource{Address: s.imageAddress(spec), Fields: []state.Field{
			{Path: "repository", Value: ecr.Repository(spec.Image.Repository).String(), Ref: true, Order: true}}}
	}
	if pin := s.pins[spec.Service]; pin != nil {
		return image.Copied(spec, pin, s.originOptions(spec), ecr.LiveTag(spec.Service))
	}
	return image.Desired(spec, s.images[spec.Service], ecr.LiveTag(spec.Service))
}
