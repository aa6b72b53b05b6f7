package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) promoteCommand() *cobra.Command {
	var o applyFlags
	var flags planFlags
	var from, to, only string
	cmd := &cobra.Command{
		Use:   "promote --from ENVIRONMENT --to ENVIRONMENT",
		Short: "Deploy the image that one environment runs to another one",
		Long: "promote plans the manifest of the environment --to with the very image that --from runs,\n" +
			"by its digest: nothing is built. It refuses when the last release of --from did not\n" +
			"succeed, unless the one before it runs again, or when something else runs there by now.",
		Example: "  apron promote --from staging --to production\n  apron promote --from staging --to production --only web",
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := o.check()
			switch {
			case err != nil:
			case from == "" || to == "":
				err = errors.New("--from and --to each name an environment of the manifest")
			case from == to:
				err = fmt.Errorf("--from and --to are both %q", from)
			case a.environment != "":
				err = errors.New("-e is what --from and --to are for")
			}
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runPromote(cmd.Context(), flags, o, only, from, to)
		},
	}
	flags.register(cmd)
	o.register(cmd)
	cmd.Flags().StringVar(&from, "from", "", "environment whose image is taken")
	cmd.Flags().StringVar(&to, "to", "", "environment to deploy it to")
	cmd.Flags().StringVar(&only, "only", "", "service to be about, of those of the manifests, as either environment names it")
	return cmd
}

func (a *app) runPromote(ctx context.Context, flags planFlags, o applyFlags, only, from, to string) error {
	here, there, err := a.inBoth(only, from, to)
	if err != nil {
		return err
	}
	a.environment, a.only = from, here
	source, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	tested, err := source.tested(ctx, from)
	if err != nil {
		return err
	}
	a.environment, a.only = to, there
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	_, err = s.onlyPlace("apron promote")
	if err == nil {
		err = s.recorded()
	}
	if err != nil {
		return err
	}
	spec := s.specs[0]
	switch {
	case spec.Service == tested.Service:
		return &usageError{err: fmt.Errorf("%s and %s are the same service, %s", from, to, spec.Service), command: "apron promote"}
	case s.id.Account != source.id.Account || s.cfg.Region != source.cfg.Region:
		return fmt.Errorf("%s is in %s, %s and %s in %s, %s: an image is promoted within one account and Region; nothing was changed",
			from, source.id.Account, source.cfg.Region, to, s.id.Account, s.cfg.Region)
	}
	w := s.wire(o)
	if spec.Image.Repository == tested.Image.Repository {
		s.existing[spec.Service] = tested.Image.Tag
	} else if err := s.take(ctx, w, tested.Image); err != nil {
		return err
	}
	w = s.wire(o)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := s.settled(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		p, err := s.plan(f, flags.options(), true, everything)
		if err != nil {
			return planned{}, err
		}
		p.recording.kind, p.verb = release.Promote, "promote"
		p.recording.from = fmt.Sprintf("%s release %d", tested.Service, tested.Number)
		if spec.Image.Repository == tested.Image.Repository {
			p.recording.inputs = tested.Image.Inputs
		}
		return p, nil
	})
	if err != nil {
		return err
	}
	a.say("%s with the image of %s, %s:", spec.Service, p.recording.from, tested.Image.Digest)
	if p, err = s.feasible(ctx, w, p, flags); err != nil {
		return err
	}
	return s.execute(ctx, w, p, o)
}

// inBoth is what the service that --only names is called in each of two environments, as
// either has it. Both are empty where nothing is named.
func (a *app) inBoth(only, from, to string) (here, there []string, err error) {
	if only == "" {
		return nil, nil, nil
	}
	defer func(quiet bool) { a.quiet = quiet }(a.quiet)
	a.quiet = true // what is noteworthy is told when it is read to be used
	var names [2][]string
	places := map[string]*[2]string{} // the names by where the document is
	var mistakes *multierror.Error
	for i, environment := range []string{from, to} {
		a.environment = environment
		set, err := a.loadEach()
		if err != nil {
			return nil, nil, err
		}
		mistakes = multierror.Append(mistakes, set.Mistakes())
		for _, d := range set.Documents {
			line, _ := d.Position("version") // which no environment overrides
			place := fmt.Sprintf("%s:%d", d.Spec.File, line)
			if places[place] == nil {
				places[place] = &[2]string{}
			}
			places[place][i], names[i] = d.Spec.Service, append(names[i], d.Spec.Service)
		}
	}
	for _, i := range []int{1, 0} { // what is deployed comes first
		for _, both := range places {
			if both[i] == only && both[1-i] != "" {
				return both[:1], both[1:], nil
			}
		}
	}
	if err := mistakes.ErrorOrNil(); err != nil {
		return nil, nil, err
	}
	return nil, nil, &usageError{err: fmt.Errorf("--only %s: the manifests have %s in %s and %s in %s",
		only, strings.Join(names[0], ", "), from, strings.Join(names[1], ", "), to), command: "apron promote"}
}

// tested is the last release of an environment, whose image runs there and has proven
// itself.
func (s *session) tested(ctx context.Context, environment string) (release.Record, error) {
	place, err := s.onlyPlace("apron promote")
	if err == nil {
		err = s.recorded()
	}
	if err != nil {
		return release.Record{}, err
	}
	w := s.wire(applyFlags{})
	recent, _, err := s.recent(ctx, w)
	if err != nil {
		return release.Record{}, interruptible(ctx, err)
	}
	live, err := s.services(ctx, w)
	if err != nil {
		return release.Record{}, err
	}
	tested, note, err := promotable(environment, place.Service, recent[place.Service], live[serviceAddress(s.specs[0])])
	if err != nil {
		return release.Record{}, err
	}
	if note != "" {
		s.a.warn("%s", note)
	}
	return tested, s.imageKept(ctx, w, place, tested, nil)
}

// promotable is the release of a service whose image may be promoted: the last one, or, if
// that did not succeed, the one before it that did and runs again, which the note tells of.
func promotable(environment, service string, recent release.Recent, live state.Observed) (tested release.Record, note string, err error) {
	refuse := func(format string, args ...any) (release.Record, string, error) {
		return release.Record{}, "", &promoteError{environment, fmt.Sprintf(format, args...)}
	}
	if len(recent.Attempts) > 0 {
		last, ended := recent.Attempts[0], "has failed"
		if last.Result == release.Interrupted {
			ended = "was interrupted"
		}
		back := recent.Success != nil && recent.Success.Kind != release.Destroy && live.Phase == state.Ready && left(*recent.Success, live)
		if !back {
			return refuse("release %d of %s, the last one, %s", last.Number, service, ended)
		}
		note = fmt.Sprintf("release %d of %s %s, and what release %d left runs", last.Number, service, ended, recent.Success.Number)
	}
	switch {
	case recent.Success == nil:
		return refuse("no release of %s is recorded", service)
	case recent.Success.Kind == release.Destroy:
		return refuse("release %d of %s, the last one, has destroyed it", recent.Success.Number, service)
	case live.Value("image") != ecr.Image(recent.Success.Image.Repository, recent.Success.Image.Tag).String():
		return refuse("%s does not run the image of release %d, the last one, by now", service, recent.Success.Number)
	}
	return *recent.Success, note, nil
}

// left reports whether a service is as a release wanted it. Its tags do not count: App Runner
// takes none back with a deployment that fails.
func left(r release.Record, live state.Observed) bool {
	all, err := r.Wanted()
	if err != nil {
		return false
	}
	wanted := slices.DeleteFunc(all, func(w state.Resource) bool { return w.Address != live.Address })
	drifted := plan.Drifted(wanted, nil, state.Live{live.Address: live})
	return len(wanted) > 0 && !slices.ContainsFunc(drifted, func(a plan.Action) bool {
		return slices.ContainsFunc(a.Changes, func(c plan.Change) bool { return !strings.HasPrefix(c.Path, "tags.") })
	})
}

// promoteError says why an environment's image is not promoted.
type promoteError struct{ environment, why string }

var _ error = (*promoteError)(nil)

func (e *promoteError) Error() string {
	return e.why + ": there is nothing to promote; nothing was changed"
}

// Hint says what to do about it.
func (e *promoteError) Hint() string { return "apron apply -e " + e.environment + " first" }

// take has an image copied from another repository of the account's registry.
func (s *session) take(ctx context.Context, w wiring, from release.Image) error {
	endpoint, user, password, err := w.registry.Registry(ctx)
	if err != nil {
		return interruptible(ctx, err)
	}
	s.a.out.Hide(password)
	s.a.err.Hide(password)
	spec := s.specs[0]
	_, host, _ := strings.Cut(endpoint, "://")
	s.keychains[spec.Service] = oneKey{user, password}
	pin, err := origin.Resolve(ctx, host+"/"+from.Repository+"@"+from.Digest, s.originOptions(spec))
	if err != nil {
		return interruptible(ctx, err)
	}
	s.pins[spec.Service], s.images[spec.Service] = pin, image.Identity{Tag: pin.Tag()}
	return nil
}

// oneKey is the credentials of the account's own registry.
type oneKey struct{ user, password string }

var _ authn.Keychain = oneKey{}

func (k oneKey) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}
