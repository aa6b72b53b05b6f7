package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// session is a run that has read its manifests and knows which account it speaks to.
type session struct {
	a     *app
	set   *manifest.Set
	specs []state.Spec
	cfg   aws.Config
	guard *awsapi.Guard
	id    awsapi.Identity
	speed float64 // of the sandbox
	// nameServer is the sandbox's, as host:port.
	nameServer string
	// seen is what was last observed: the secrets of its services are masked.
	seen state.Live
	// images are the identities of the images to run, by service.
	images map[string]image.Identity
	// pins are what image.from stands for, of the services that have it.
	pins map[string]*origin.Pin
	// existing are the tags of images that are not made but were, by service: those of a
	// release that is gone back to, or promoted.
	existing map[string]string
	// keychains are what opens the registries of images that are promoted, by service.
	keychains map[string]authn.Keychain
}

// load reads the manifests and says what is noteworthy of them on stderr.
func (a *app) load() (*manifest.Set, error) {
	set, err := manifest.Load(manifest.Options{
		Paths:           a.files,
		Environment:     a.environment,
		EnvFiles:        a.envFiles,
		LookupEnv:       a.noted,
		Git:             gitFacts(a.manifestDir()),
		FallbackEnvFile: a.sandbox.on,
		AllowSecretArgs: a.allowSecretArgs,
	})
	if set != nil {
		a.out.Hide(manifest.Redactions(set)...)
		a.err.Hide(manifest.Redactions(set)...)
		for _, n := range set.Notes {
			a.say("apron: note: %s", n)
		}
		for _, w := range set.Warnings {
			a.say("apron: warning: %s", w)
			if w.Hint != "" {
				a.say("apron: hint: %s", w.Hint)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if len(set.Documents) == 0 {
		return nil, &usageError{err: errors.New("no manifest holds a service"), command: "apron"}
	}
	return set, a.choose(set)
}

// registerOnly lets a command be about some of the manifests' services.
func (a *app) registerOnly(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&a.only, "only", nil, "service to be about, of those of the manifests; may be repeated (default all)")
}

// choose leaves in the set what --only names.
func (a *app) choose(set *manifest.Set) error {
	if len(a.only) == 0 {
		return nil
	}
	var names []string
	for _, d := range set.Documents {
		names = append(names, d.Spec.Service)
	}
	for _, name := range a.only {
		if !slices.Contains(names, name) {
			return &usageError{err: fmt.Errorf("--only %s: the manifests have %s", name, strings.Join(names, ", ")), command: "apron"}
		}
	}
	set.Documents = slices.DeleteFunc(set.Documents, func(d manifest.Document) bool { return !slices.Contains(a.only, d.Spec.Service) })
	return nil
}

// open reads the manifests, finds out whose credentials these are, and names the images.
func (a *app) open(ctx context.Context, identify bool) (*session, error) {
	set, err := a.load()
	if err != nil {
		return nil, err
	}
	s := &session{a: a, set: set, guard: &awsapi.Guard{}, images: map[string]image.Identity{}, pins: map[string]*origin.Pin{}, existing: map[string]string{}, keychains: map[string]authn.Keychain{}}
	var unsupported *multierror.Error
	for i := range set.Documents {
		for _, u := range set.Documents[i].Unsupported {
			unsupported = multierror.Append(unsupported, &manifest.Error{File: u.File, Line: u.Line, Column: u.Column, Path: u.Path,
				Msg: "not supported yet", Fix: "take it out: apron does not ignore what it cannot do"})
		}
		s.specs = append(s.specs, set.Documents[i].Spec)
	}
	if err := unsupported.ErrorOrNil(); err != nil {
		return nil, err
	}
	if err := s.configure(ctx); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		s.id, err = awsapi.WhoAmI(gctx, s.cfg)
		return err
	})
	if identify {
		ids, pins := make([]image.Identity, len(s.specs)), make([]*origin.Pin, len(s.specs))
		for i, spec := range s.specs {
			g.Go(func() (err error) {
				if spec.Image.From != "" {
					pins[i], err = s.pin(gctx, &set.Documents[i])
					return err
				}
				ids[i], err = image.Identify(gctx, spec.Dir, *spec.Image.Build, image.Options{Exclude: set.EnvFiles, Cache: a.cacheOf(spec.Dir)})
				return placed(&set.Documents[i], err)
			})
		}
		defer func() {
			for i, spec := range s.specs {
				a.warnOfEnvFiles(spec, ids[i])
				s.images[spec.Service] = ids[i]
				if pins[i] != nil {
					s.pins[spec.Service], s.images[spec.Service] = pins[i], image.Identity{Tag: pins[i].Tag()}
				}
			}
		}()
	}
	if err := g.Wait(); err != nil {
		return nil, interruptible(ctx, err)
	}
	for _, spec := range s.specs {
		if spec.Account != "" && spec.Account != s.id.Account {
			return nil, &accountError{file: spec.File, want: spec.Account, got: s.id.Account}
		}
	}
	return s, nil
}

// warnOfEnvFiles names files that would take secrets into an image.
func (a *app) warnOfEnvFiles(spec state.Spec, id image.Identity) {
	if files := id.EnvFiles(); len(files) > 0 {
		a.say("apron: warning: %s: image.build.context: %s is part of it, and what COPY takes of it everybody reads who may pull the image", spec.File, strings.Join(files, ", "))
		a.say("apron: hint: exclude it in .dockerignore, or name it with --env-file, which excludes it too")
	}
}

// placed gives an error about a key of the manifest its place there.
func placed(d *manifest.Document, err error) error {
	var wrong *source.Error
	if !errors.As(err, &wrong) {
		return err
	}
	e := &manifest.Error{File: d.Spec.File, Path: wrong.Key, Msg: wrong.Why, Fix: wrong.Fix}
	for key := wrong.Key; e.Line == 0 && key != ""; key = key[:max(strings.LastIndexByte(key, '.'), 0)] {
		e.Line, e.Column = d.Position(key) // of what holds it, when it is left out
	}
	return e
}

// configure decides where AWS is: all manifests of a run share one account and Region.
func (s *session) configure(ctx context.Context) error {
	region, account := s.a.region, ""
	for _, spec := range s.specs {
		if s.a.region == "" && spec.Region != "" {
			if region != "" && region != spec.Region {
				return &usageError{err: fmt.Errorf("the manifests name two Regions, %s and %s", region, spec.Region), command: "apron"}
			}
			region = spec.Region
		}
		if spec.Account != "" {
			account = spec.Account
		}
	}
	o := awsapi.Options{Region: region, Profile: s.a.profile, Guard: s.guard, UserAgent: "apron", Log: s.a.log}
	if s.a.sandbox.on {
		info, err := s.a.connect(ctx, s.specs[0].Dir, account, region)
		if err != nil {
			return err
		}
		s.speed = info.Speed
		s.nameServer = strings.TrimPrefix(info.Endpoint(), "http://")
		o.Region, o.Endpoint = info.Region, info.Endpoint()
		o.Credentials = credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")
	}
	var err error
	s.cfg, err = awsapi.Load(ctx, o)
	return err
}

// header says what a plan is about.
func (s *session) header(live state.Live) render.Header {
	h := render.Header{Environment: s.a.environment, Account: s.id.Account, Region: s.cfg.Region, Identity: s.id.ARN, Sandbox: s.a.sandbox.on}
	for _, spec := range s.specs {
		if !slices.Contains(h.Manifests, spec.File) {
			h.Manifests = append(h.Manifests, spec.File)
		}
		h.Target = spec.Target
		h.Services = append(h.Services, render.Service{Name: spec.Service, URL: live[serviceAddress(spec)].URL})
	}
	return h
}
