package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/apprunner"
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
	// early says that the run is about what comes before the services themselves.
	early bool
	// isolates says that the run goes on without a service that something is wrong with, and
	// out are the services that it has gone on without.
	isolates bool
	out      []leftOut
}

// load reads the manifests, all of which must be sound.
func (a *app) load() (*manifest.Set, error) {
	set, err := a.loadEach()
	if err == nil {
		err = set.Mistakes()
	}
	if err != nil {
		return nil, err
	}
	return set, nil
}

// loadEach reads the manifests and says what is noteworthy of them on stderr. Those that
// are wrong are in the set, too.
func (a *app) loadEach() (*manifest.Set, error) {
	set, err := manifest.Load(manifest.Options{
		Paths:           a.files,
		Environment:     a.environment,
		EnvFiles:        a.envFiles,
		LookupEnv:       a.lookup,
		LookupOther:     a.lookupOther,
		Git:             gitFacts(a.manifestDir()),
		FallbackEnvFile: a.sandbox.on,
		AllowSecretArgs: a.allowSecretArgs,
		ReadFile:        a.readFile,
	})
	a.set = set
	a.out.Hide(manifest.Redactions(set)...)
	a.err.Hide(manifest.Redactions(set)...)
	if !a.quiet {
		for _, n := range set.Notes {
			a.say("apron: note: %s", n)
		}
		for _, w := range set.Warnings {
			a.warnOf(w)
		}
	}
	if len(set.Unread) > 0 { // what was asked for is not there at all
		return nil, err
	}
	if len(set.Documents)+len(set.Refused) == 0 {
		return nil, &usageError{err: errors.New("no manifest holds a service"), command: "apron"}
	}
	return set, a.choose(set)
}

// readFile reads a file, or what is to be written to it. What was read once stays what it was
// to the end of the run: whoever agrees to a plan agrees to what they were shown.
func (a *app) readFile(name string) ([]byte, error) {
	for file, text := range a.unwritten {
		if sameFile(name, file) {
			return text, nil
		}
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if text, ok := a.frozen[path]; ok {
		return text, nil
	}
	text, err := os.ReadFile(name)
	if err == nil {
		a.frozen[path] = text
	}
	return text, err
}

// sameFile reports whether two names are of one file, which need not exist.
func sameFile(a, b string) bool {
	x, err := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	return err == nil && err2 == nil && x == y
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
	nameless := false // a manifest that is too wrong to say
	for _, d := range set.Documents {
		names = append(names, d.Spec.Service)
	}
	for _, r := range set.Refused {
		nameless = nameless || r.Service == ""
		if r.Service != "" && !slices.Contains(names, r.Service) {
			names = append(names, r.Service)
		}
	}
	for _, name := range a.only {
		if !slices.Contains(names, name) {
			if nameless {
				return set.Mistakes()
			}
			return &usageError{err: fmt.Errorf("--only %s: the manifests have %s", name, strings.Join(names, ", ")), command: "apron"}
		}
	}
	set.Documents = slices.DeleteFunc(set.Documents, func(d manifest.Document) bool { return !slices.Contains(a.only, d.Spec.Service) })
	set.Refused = slices.DeleteFunc(set.Refused, func(r manifest.Refused) bool { return !slices.Contains(a.only, r.Service) })
	return nil
}

// open reads the manifests, finds out whose credentials these are, and names the images.
func (a *app) open(ctx context.Context, identify bool) (*session, error) {
	set, err := a.load()
	if err != nil {
		return nil, err
	}
	return a.openSet(ctx, set, identify, false)
}

// openEach is open for a command that goes on without the services that something is wrong
// with, as long as there are others.
func (a *app) openEach(ctx context.Context, identify bool) (*session, error) {
	set, err := a.loadEach()
	if err != nil {
		return nil, err
	}
	if len(set.Documents) == 0 {
		return nil, set.Mistakes()
	}
	return a.openSet(ctx, set, identify, true)
}

func (a *app) openSet(ctx context.Context, set *manifest.Set, identify, isolates bool) (*session, error) {
	s := &session{a: a, set: set, guard: &awsapi.Guard{}, images: map[string]image.Identity{}, pins: map[string]*origin.Pin{}, existing: map[string]string{}, keychains: map[string]authn.Keychain{},
		isolates: isolates, out: refusedManifests(set)}
	var unsupported *multierror.Error
	for _, d := range set.Documents {
		for _, u := range d.Unsupported {
			unsupported = multierror.Append(unsupported, &serviceError{d.Spec.Service, &manifest.Error{File: u.File, Line: u.Line, Column: u.Column, Path: u.Path,
				Msg: "not supported yet", Fix: "take it out: apron does not ignore what it cannot do"}})
		}
		d.Spec.Origin = a.originOf(filepath.Join(d.Spec.Dir, filepath.Base(d.Spec.File)))
		s.specs = append(s.specs, d.Spec)
	}
	if err := s.without(unsupported.ErrorOrNil()); err != nil {
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
	wrong := make([]error, len(s.specs))
	if identify {
		g.Go(func() error {
			s.identify(gctx, wrong)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, interruptible(ctx, err)
	}
	for _, spec := range s.specs {
		if spec.Account != "" && spec.Account != s.id.Account {
			return nil, &accountError{file: spec.File, want: spec.Account, got: s.id.Account}
		}
	}
	var errs *multierror.Error
	for i, err := range wrong {
		if err != nil {
			errs = multierror.Append(errs, &serviceError{s.specs[i].Service, err})
		}
	}
	if err := s.without(errs.ErrorOrNil()); err != nil {
		return nil, interruptible(ctx, err)
	}
	return s, nil
}

// identify names the images, and says of each service what keeps it from that.
func (s *session) identify(ctx context.Context, wrong []error) {
	ids, pins := make([]image.Identity, len(s.specs)), make([]*origin.Pin, len(s.specs))
	var g errgroup.Group
	for i, spec := range s.specs {
		g.Go(func() error {
			d := &s.set.Documents[i]
			if spec.Image.InPlace {
				return nil
			}
			if spec.Image.From != "" {
				pins[i], wrong[i] = s.pin(ctx, spec)
				return nil
			}
			var err error
			ids[i], err = image.Identify(ctx, spec.Dir, *spec.Image.Build, image.Options{Exclude: s.set.EnvFiles, Bases: s.originOptions(state.Spec{}), Cache: s.a.cacheOf(spec.Dir)})
			wrong[i] = placed(d, err)
			return nil
		})
	}
	_ = g.Wait() // each says itself what is wrong
	for i, spec := range s.specs {
		s.a.warnOfEnvFiles(spec, ids[i])
		s.images[spec.Service] = ids[i]
		if pins[i] != nil {
			s.pins[spec.Service], s.images[spec.Service] = pins[i], image.Identity{Tag: pins[i].Tag()}
		}
	}
}

func (s *session) scope() apprunner.Scope {
	return apprunner.Scope{Account: s.id.Account, Region: s.cfg.Region, Partition: s.id.Partition}
}

// warnOfEnvFiles names files that would take secrets into an image.
func (a *app) warnOfEnvFiles(spec state.Spec, id image.Identity) {
	if files := id.EnvFiles(); len(files) > 0 {
		a.warn("%s: image.build.context: %s is part of it, and what COPY takes of it everybody reads who may pull the image", spec.File, strings.Join(files, ", "))
		a.say("apron: hint: exclude it in .dockerignore, or name it with --env-file, which excludes it too")
	}
}

// placed gives an error about a key of the manifest, or each of several, its place there.
func placed(d *manifest.Document, err error) error {
	if all := gathered(err); len(all) > 1 {
		var several *multierror.Error
		for _, e := range all {
			several = multierror.Append(several, placed(d, e))
		}
		return several
	}
	var wrong *source.Error
	if !errors.As(err, &wrong) {
		return err
	}
	e := &manifest.Error{File: d.Spec.File, Path: wrong.Key, Msg: wrong.Why, Fix: wrong.Fix}
	for key := wrong.Key; e.Line == 0; key = key[:max(strings.LastIndexByte(key, '.'), 0)] {
		e.Line, e.Column = d.Position(key) // of what holds it, when it is left out
		if key == "" {
			break
		}
	}
	return e
}

// userAgent is how apron's calls are told from those of others.
const userAgent = "apron"

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
	o := awsapi.Options{Region: region, Profile: s.a.profile, Guard: s.guard, UserAgent: userAgent, Log: s.a.log}
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
	h.Manifests = s.manifests()
	for _, spec := range s.specs {
		h.Target = spec.Target
		h.Services = append(h.Services, render.Service{Name: spec.Service, URL: live[serviceAddress(spec)].URL})
	}
	return h
}
