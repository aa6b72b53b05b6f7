package image

import (
	"context"
	"fmt"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/inspect"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Registry knows where images go and how to log in there. It is called again when the
// registry refuses what it returned, and must then return what is newer.
type Registry interface {
	// Registry returns the registry's address with its scheme, a user name and a password.
	Registry(ctx context.Context) (endpoint, username, password string, err error)
}

// ProviderOptions steer a [Provider]. The zero value is sensible.
type ProviderOptions struct {
	// Exclude and Bases are those of [Options], and must be the same as for the plan.
	Exclude []string
	Bases   origin.Options
	// Builder is one of [build.Names]; empty is auto.
	Builder string
	// NoCache has the builder reuse nothing of earlier builds.
	NoCache bool
	// Withhold names variables that no builder and no hook may see: those of secrets.
	Withhold []string
	// Hide is told what the output of a build must not show: what the files of its secrets
	// hold. Nil lets it be seen.
	Hide func(values ...string)
	// Place gives an error about a key of the manifest, a [*source.Error] or several, its
	// place there. Nil leaves it as it is.
	Place func(Detail, error) error
	// SecretLooking and Signature tell secrets in an image by the name of a variable and
	// by a value's form. Nil looks for none.
	SecretLooking func(name string) bool
	Signature     func(text string) string
	// Temp is where layers are spooled; empty is the system's directory.
	Temp string
	// Known remembers what layers became when they were compressed, and who has them. Nil
	// remembers nothing.
	Known *store.Known
	// Push steers pushes; its FirstWins, Like, Progress, Layer and Memory are the provider's.
	Push push.Options
}

// Provider builds images and pushes them.
type Provider struct {
	registry Registry
	o        ProviderOptions

	mu   sync.Mutex
	made map[plan.ID]*made
}

// NewProvider returns a provider that pushes to registry.
func NewProvider(registry Registry, o ProviderOptions) *Provider {
	if o.Known != nil {
		o.Push.Memory = o.Known
	}
	return &Provider{registry: registry, o: o, made: map[plan.ID]*made{}}
}

var (
	_ reconcile.Provider = (*Provider)(nil)
	_ apply.Preparer     = (*Provider)(nil)
)

// Types returns "ecr/image".
func (*Provider) Types() []string { return []string{Type} }

// Observe sees nothing: which images exist is what the ECR provider observes.
func (*Provider) Observe(context.Context, reconcile.Query) (state.Live, []state.Note, error) {
	return nil, nil, nil
}

// Execute copies the image of a create, or builds it unless it is prepared, and pushes it,
// unless its tag is in the registry by then. The outcome's ID is the digest.
func (p *Provider) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	if a.Op == plan.Create {
		switch d := a.Want.Detail.(type) {
		case Detail:
			out, err := p.push(ctx, a, d, reporter(a, env))
			return out, p.place(d, p.space(err))
		case CopyDetail:
			out, err := p.copy(ctx, d, reporter(a, env))
			return out, p.space(err)
		}
	}
	return state.Outcome{}, fmt.Errorf("%s: an image is only ever created", a.ID)
}

// place says where the manifest has what an error is about.
func (p *Provider) place(d Detail, err error) error {
	if err == nil || p.o.Place == nil {
		return err
	}
	return p.o.Place(d, err)
}

func reporter(a plan.Action, env apply.Env) func(apply.Progress) {
	return func(s apply.Progress) {
		if s.Action = a.ID; env.Progress != nil {
			env.Progress(s)
		}
	}
}

// push pushes what was made of a, or is made now.
func (p *Provider) push(ctx context.Context, a plan.Action, d Detail, report func(apply.Progress)) (state.Outcome, error) {
	m := p.take(a.ID)
	if m == nil {
		var err error
		if m, err = p.make(ctx, d, report); err != nil {
			return state.Outcome{}, err
		}
	}
	defer m.close()
	if m.digest != "" {
		return state.Outcome{ID: m.digest}, nil
	}
	o := p.o.Push
	o.FirstWins, o.Like = true, d.Like
	moving := follow(&o, "pushing", report)
	digest, _, err := push.Push(ctx, m.img, m.to, m.credentials, o)
	if err != nil {
		return state.Outcome{}, err
	}
	moving.end()
	return state.Outcome{ID: digest}, nil
}

// credentials returns what is known first, and asks the registry's provider after that.
func (p *Provider) credentials(user, pass string) push.Credentials {
	known := true
	return func(ctx context.Context) (string, string, error) {
		if known {
			known = false
			return user, pass, nil
		}
		_, user, pass, err := p.registry.Registry(ctx)
		return user, pass, err
	}
}

// build makes the image from the sources that the plan saw, or fails. It is read under ctx
// until it is closed.
func (p *Provider) build(ctx context.Context, d Detail, spool string, report func(apply.Progress)) (build.Image, error) {
	o := Options{Exclude: p.o.Exclude, Bases: p.o.Bases}
	c, err := source.Open(d.Dir, d.Build, source.Options{Exclude: p.o.Exclude})
	if err != nil {
		return nil, err
	}
	seen, err := identify(ctx, c, d.Build, o)
	if err != nil {
		return nil, err
	}
	if seen.Tag != d.Identity.Tag {
		return nil, &ChangedError{Names: Diff(d.Identity, seen), When: SincePlan}
	}
	r := build.Request{
		Context: c, Build: d.Build, Spool: spool,
		Name:    "apron.local/" + d.Repository + ":latest", // moves, so that old ones can be pruned
		Environ: build.Environ(p.o.Withhold), NoCache: p.o.NoCache, Known: p.o.Known,
		Pull: func(ctx context.Context, reference string, platform v1.Platform) (v1.Image, error) {
			return origin.Image(ctx, reference, platform, p.o.Bases)
		},
		Line: func(source, line string) { report(apply.Progress{Line: line, Source: source}) },
	}
	builder, err := build.Choose(ctx, p.o.Builder, r)
	if err != nil {
		return nil, err
	}
	p.hide(r)
	if d.Build.Before != nil && len(d.Build.Before.Run) > 0 {
		report(apply.Progress{Phase: "running " + d.Build.Before.Run[0]})
		if err := build.Before(ctx, r); err != nil {
			return nil, err
		}
		// What the hook changed beyond its outputs would be in the image, not in its name.
		if err := unchanged(ctx, c, d.Build, o, seen, ByHook); err != nil {
			return nil, err
		}
		p.hide(r) // what the hook has made
	}
	report(apply.Progress{Phase: "building with " + builder.Name()})
	img, err := builder.Build(ctx, r)
	if err != nil {
		return nil, err
	}
	// The name is taken for good once it is pushed, so that it must not lie.
	err = unchanged(ctx, c, d.Build, o, seen, WhileBuilding)
	if err == nil {
		err = p.inspect(img, d, report)
	}
	if err != nil {
		img.Close()
		return nil, err
	}
	return img, nil
}

// hide keeps what the files of a build's secrets hold out of what is shown of it.
func (p *Provider) hide(r build.Request) {
	if p.o.Hide != nil {
		p.o.Hide(build.Revealing(r)...)
	}
}

// inspect refuses an image that cannot work, and says what else is noteworthy of it.
func (p *Provider) inspect(img build.Image, d Detail, report func(apply.Progress)) error {
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("read the image's configuration: %w", err)
	}
	compressed, plain := img.Sizes()
	found := inspect.Check(config, inspect.Wanted{Key: "image.build", Platform: d.Build.Platform, Port: d.Port, Command: d.Command,
		Compressed: compressed, Unpacked: plain, SecretLooking: p.o.SecretLooking, Signature: p.o.Signature})
	var refused *multierror.Error
	for _, f := range found {
		switch f.Severity {
		case inspect.Refuse:
			refused = multierror.Append(refused, &source.Error{Key: f.Key, Why: f.Text, Fix: f.Fix})
		case inspect.Warn:
			report(apply.Progress{Line: "warning: " + f.Key + ": " + f.Text + ": " + f.Fix, Source: "apron"})
		default:
			report(apply.Progress{Line: f.Key + ": " + f.Text, Source: "apron"})
		}
	}
	return refused.ErrorOrNil()
}

// unchanged fails if the inputs are no longer those that were seen.
func unchanged(ctx context.Context, c *source.Context, b state.Build, o Options, seen Identity, when Moment) error {
	now, err := identify(ctx, c, b, o)
	if err != nil {
		return err
	}
	if now.Tag != seen.Tag {
		return &ChangedError{Names: Diff(seen, now), When: when}
	}
	return nil
}

// Moment is when the inputs of a build changed.
type Moment string

const (
	SincePlan     Moment = "since the plan"
	ByHook        Moment = "by image.build.before"
	WhileBuilding Moment = "while the image was built"
)

// ChangedError says that the inputs of a build changed when they must not.
type ChangedError struct {
	Names []string // of inputs, sorted
	When  Moment
}

var _ error = (*ChangedError)(nil)

func (e *ChangedError) Error() string {
	names := e.Names
	more := ""
	if len(names) > 3 {
		more = fmt.Sprintf(" and %d more", len(names)-3)
		names = names[:3]
	}
	list := strings.Join(names, ", ") + more
	switch e.When {
	case ByHook:
		return "image.build.before changed what the image is made of: " + list + "; nothing was built"
	case WhileBuilding:
		return "the sources changed while the image was built: " + list + "; nothing was pushed"
	}
	return "the sources changed since the plan: " + list + "; nothing was built"
}

// Hint says what to do about it.
func (e *ChangedError) Hint() string {
	if e.When == ByHook {
		return "list what the hook writes under image.build.before.outputs"
	}
	return "run apply again"
}
