package main

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	r53sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	smsdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	wafsdk "github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/iam"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/providers/logs"
	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/providers/route53"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/providers/wafv2"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// wiring holds every provider: this file is the only place that knows them all.
type wiring struct {
	all       reconcile.Providers
	registry  *ecr.Provider
	apprunner *apprunner.Provider
	iam       *iam.Provider
	zones     *route53.Provider
	ssm       *ssm.Provider
	secrets   *secretsmanager.Resolver
	// records are read by whoever has use for them: nil is for those who have none.
	records *records.Store
}

func (s *session) wire(o applyFlags) wiring {
	probes := map[string][]state.Probe{}
	var hidden []string
	for _, spec := range s.specs {
		probes[spec.Service] = spec.Verify
		hidden = append(hidden, withhold(spec)...)
	}
	var w wiring
	recheck := func(ctx context.Context, service string) []state.Check { return s.recheck(ctx, w, service) }
	w = wiring{
		apprunner: apprunner.New(s.cfg, s.id, apprunner.Options{Timeout: o.timeout, Poll: s.poll(), ProbeFor: s.patience(), Probes: probes, SecretLooking: looksSecret, Gate: s.gate, Place: s.place, Recheck: recheck,
			Rehearsal: s.a.sandbox.on, Look: s.look(), Learn: s.learnOnce(func() wiring { return w })}),
		iam:     iam.New(iamsdk.NewFromConfig(s.cfg)),
		ssm:     ssm.New(ssmsdk.NewFromConfig(s.cfg), ssm.Options{Region: s.cfg.Region, Account: s.id.Account}),
		secrets: secretsmanager.New(smsdk.NewFromConfig(s.cfg), secretsmanager.Options{Region: s.cfg.Region}),
		records: records.New(s.cfg),
	}
	w.zones = route53.New(r53sdk.NewFromConfig(s.cfg), route53.Options{Region: s.cfg.Region, Required: required(w.apprunner), Leads: w.apprunner.Leads, Poll: s.poll()})
	registry := ecr.New(s.cfg, s.id)
	registry.Verify = func(ctx context.Context, service string, env apply.Env) error {
		out, _ := env.Lookup(apprunner.Service(service))
		return w.apprunner.Verify(ctx, service, out.URL)
	}
	building := s.a.imageOptions(s.set, o.builderFlags, hidden)
	building.Bases = s.originOptions(state.Spec{})
	images := image.NewProvider(registry, building)
	w.registry = registry
	w.all = reconcile.Providers{registry, images, w.apprunner, w.iam, w.ssm, logs.New(cloudwatchlogs.NewFromConfig(s.cfg)),
		wafv2.New(wafsdk.NewFromConfig(s.cfg), wafv2.Options{ARNs: w.apprunner.ARNs, Poll: s.poll()}), w.zones}
	return w
}

// looksSecret reports whether a plain variable of a live service seems to hold a secret.
func looksSecret(name, value string) bool { return manifest.LooksSecret(name, value) != "" }

// narrow leaves the providers of some targets: a part of what the manifests want must not
// depend on whether the rest can be read.
func (w wiring) narrow(targets ...string) wiring {
	w.all = slices.DeleteFunc(slices.Clone(w.all), func(p reconcile.Provider) bool {
		return !slices.ContainsFunc(p.Types(), func(kind string) bool {
			target, _, _ := strings.Cut(kind, "/")
			return slices.Contains(targets, target)
		})
	})
	return w
}

// patience is how long the URL may take to answer as asked: the provider's own time, but
// in a sandbox that is in a hurry.
func (s *session) patience() time.Duration {
	if !s.a.sandbox.on || s.speed <= 1 {
		return 0
	}
	return max(time.Duration(float64(time.Minute)/s.speed), 2*time.Second)
}

// imageOptions are those of every build.
func (a *app) imageOptions(set *manifest.Set, o builderFlags, hidden []string) image.ProviderOptions {
	p := image.ProviderOptions{Exclude: set.EnvFiles, Builder: o.builder, NoCache: o.noCache, Withhold: hidden,
		SecretLooking: manifest.SecretLooking, Signature: manifest.Signature,
		Hide:  func(values ...string) { a.out.Hide(values...); a.err.Hide(values...) },
		Place: func(of image.Detail, err error) error { return placedBuild(set, of, err) }}
	if a.cache != "" { // of digests, which are the same for every manifest
		p.Known = store.OpenKnown(a.cache)
	}
	return p
}

// placedBuild gives an error about a build its place in the first manifest that wants it.
func placedBuild(set *manifest.Set, of image.Detail, err error) error {
	for i := range set.Documents {
		d := &set.Documents[i]
		if b := d.Spec.Image.Build; b != nil && d.Spec.Dir == of.Dir && d.Spec.Image.Repository == of.Repository && reflect.DeepEqual(*b, of.Build) {
			return placed(d, err)
		}
	}
	return err
}

// withhold names the variables that hold a service's secrets: no builder and no hook gets
// them.
func withhold(spec state.Spec) []string {
	var names []string
	for key, ref := range spec.Secrets {
		names = append(names, key)
		if ref.Source == state.FromEnv {
			names = append(names, ref.Name)
		}
	}
	return names
}

// poll is the longest pause between two looks at an operation: the provider's own, but
// less in the sandbox, which has no rate to respect and may be in a hurry.
func (s *session) poll() time.Duration {
	if !s.a.sandbox.on {
		return 0
	}
	return max(time.Duration(float64(time.Second)/max(s.speed, 1)), 5*time.Millisecond)
}

func serviceAddress(spec state.Spec) state.Address { return apprunner.Service(spec.Service) }

// planned is a plan and what it was made from.
type planned struct {
	plan  *plan.Plan
	facts facts
	// desired is the part of it that was planned.
	desired state.Desired
	// missing are secrets without a value anywhere: an apply must not start.
	missing error
	// wrong is what is known to keep a rollout from succeeding.
	wrong  error
	wanted int // how many resources were compared
	// resources are those that the manifests want, by service.
	resources map[string][]state.Resource
	// left are services that are no part of the plan, if somebody has asked for them.
	left    render.Leftovers
	asked   bool
	who     map[string]render.Blame // changed what is live, by address; nil if nobody has asked
	destroy bool
	verb    string // of the command, unless it is apply or destroy
	// typed is the command with what else it needs, where the verb alone is not the command.
	typed string
	// part says that no service is brought to what its manifest wants: there is nothing to
	// verify, and no release.
	part bool
	// twice has the plan made again under the locks: what it goes by changes by itself.
	twice bool
	// locks are services that the run keeps others from, beside those that it writes to.
	locks []string
	// recording says what is to be recorded of the plan's execution; nil for nothing.
	recording *recording
	// again plans once more, from what is live by then.
	again func(context.Context) (planned, error)
}

// replannable is a plan that can be made again.
func replannable(ctx context.Context, make func(context.Context) (planned, error)) (planned, error) {
	p, err := make(ctx)
	p.again = make
	return p, err
}

// command is the verb that carries a plan out.
func (p planned) command() string {
	switch {
	case p.typed != "":
		return p.typed
	case p.verb != "":
		return p.verb
	case p.destroy:
		return "destroy"
	}
	return "apply"
}

// everything is the part of the resources that most commands are about.
func everything(state.Address) bool { return true }

// plan joins manifests and facts into the desired state and plans a part of it.
func (s *session) plan(f facts, o plan.Options, applying bool, part func(state.Address) bool) (planned, error) {
	d := state.Desired{}
	var missing, errs *multierror.Error
	notes := slices.Clone(f.notes)
	wanted := map[string][]state.Resource{}
	for _, spec := range s.specs {
		resources, more, err := s.desire(spec, f, applying, &missing)
		if err != nil {
			errs = multierror.Append(errs, &serviceError{spec.Service, err})
			continue
		}
		notes = append(notes, more...)
		wanted[spec.Service] = resources
		for _, r := range resources {
			if have, twice := d[r.Address]; twice {
				if r, err = ecr.Merge(have, r); err != nil {
					e := &manifest.Error{File: spec.File, Msg: err.Error(), Fix: "make them agree, or give each a name, a tag or a repository of its own"}
					for _, other := range s.specs { // nobody knows which of them is meant
						if other.Service == spec.Service || slices.ContainsFunc(wanted[other.Service], func(o state.Resource) bool { return o.Address == have.Address }) {
							errs = multierror.Append(errs, &serviceError{other.Service, e})
						}
					}
				}
			}
			d[r.Address] = r
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		return planned{}, err
	}
	outside := func(addr state.Address) bool { return !part(addr) }
	maps.DeleteFunc(d, func(addr state.Address, _ state.Resource) bool { return outside(addr) })
	maps.DeleteFunc(f.live, func(addr state.Address, _ state.Observed) bool { return outside(addr) })
	notes = slices.DeleteFunc(notes, func(n state.Note) bool { return outside(n.Target) })
	if o.Bases == nil {
		var err error
		if o.Bases, err = s.bases(f, wanted); err != nil {
			return planned{}, err
		}
	}
	p, err := plan.Build(d, f.live, o)
	if err != nil {
		return planned{}, s.refusals(err, wanted)
	}
	notes = append(notes, s.unknown(p, f)...)
	p.Notes = append(p.Notes, notes...)
	slices.SortStableFunc(p.Notes, func(a, b state.Note) int {
		if c := a.Target.Compare(b.Target); c != 0 {
			return c
		}
		return strings.Compare(a.Text, b.Text)
	})
	return planned{plan: p, facts: f, desired: d, missing: missing.ErrorOrNil(), wanted: len(d), resources: wanted, recording: &recording{kind: release.Apply}}, nil
}
