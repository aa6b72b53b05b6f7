package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) rollbackCommand() *cobra.Command {
	var o applyFlags
	var version string
	var write bool
	cmd := &cobra.Command{
		Use:   "rollback [RELEASE]",
		Short: "Go back to a release: its image and its configuration together",
		Long: "rollback plans what brings back a release, shows it, asks, and does it. Without a number\n" +
			"it is the newest that succeeded before what runs. Secrets stay the references that they\n" +
			"were: values do not go back, and those that changed since are named. The manifest stays\n" +
			"as it is, so that the next apply goes forward again; --write makes it say what runs.",
		Example: "  apron rollback\n  apron rollback 41\n  apron rollback --to-version v1.0.0\n  apron rollback --only web",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			number := 0
			if len(args) == 1 && err == nil {
				if number, err = releaseNumber(args[0]); err == nil && version != "" {
					err = errors.New("a release and --to-version name two targets: give one")
				}
			}
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runRollback(cmd.Context(), o, number, version, write)
		},
	}
	o.register(cmd)
	a.registerOnly(cmd)
	cmd.Flags().StringVar(&version, "to-version", "", "the newest release that succeeded with this image.version")
	cmd.Flags().BoolVar(&write, "write", false, "make the manifest say what the release was, where it stands")
	return cmd
}

func (a *app) runRollback(ctx context.Context, o applyFlags, number int, version string, write bool) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	place, err := s.onlyPlace("apron rollback")
	if err == nil {
		err = s.recorded()
	}
	if err != nil {
		return err
	}
	w := s.wire(o)
	numbers, err := w.records.Numbers(ctx, place)
	if err != nil {
		return interruptible(ctx, err)
	}
	all, err := s.readRecords(ctx, w, place, numbers)
	if err != nil {
		return err
	}
	live, err := s.services(ctx, w)
	if err != nil {
		return err
	}
	target, err := chooseRelease(place, all, live[serviceAddress(s.specs[0])], number, version)
	if err != nil {
		return err
	}
	if err := s.imageKept(ctx, w, place, target, others(all, live[serviceAddress(s.specs[0])])); err != nil {
		return err
	}
	back, err := s.as(target)
	if err != nil {
		return err
	}
	if err := s.goBack(ctx, back, target, o); err != nil || !write {
		return err
	}
	return s.writeBack(ctx, back, target)
}

// chooseRelease finds the release to go back to.
func chooseRelease(place records.Place, all []release.Record, live state.Observed, number int, version string) (release.Record, error) {
	if number > 0 {
		i := slices.IndexFunc(all, func(r release.Record) bool { return r.Number == number })
		switch {
		case i < 0:
			return release.Record{}, &noReleaseError{place, fmt.Sprintf("release %d", number)}
		case all[i].Kind == release.Destroy:
			return release.Record{}, fmt.Errorf("release %d of %s is a destroy: apron destroy does it again", number, place.Service)
		case all[i].Result != release.Succeeded:
			return release.Record{}, fmt.Errorf("release %d of %s has %s, so that nobody knows whether it works: choose one that succeeded", number, place.Service, all[i].Result)
		}
		return all[i], nil
	}
	if version != "" {
		for _, r := range all { // the newest first
			if r.Image.Version == version && r.Result == release.Succeeded && r.Kind != release.Destroy {
				return r, nil
			}
		}
		return release.Record{}, &noReleaseError{place, "a release that succeeded with version " + version}
	}
	if live.Address == (state.Address{}) { // what was destroyed comes back as it was last
		for _, r := range all {
			if r.Result == release.Succeeded && r.Kind != release.Destroy {
				return r, nil
			}
		}
	}
	running := release.Running(all, live)
	if running == nil {
		return release.Record{}, &noReleaseError{place, "a release"}
	}
	previous := release.Previous(all, *running)
	if previous == nil {
		return release.Record{}, &noReleaseError{place, fmt.Sprintf("a release that succeeded before release %d, which runs,", running.Number)}
	}
	return *previous, nil
}

// goneError says that the image of a release is not there any more.
type goneError struct {
	place  records.Place
	target release.Record
	why    string
	// other is the newest release that still has its image; 0 for none.
	other int
}

var _ error = (*goneError)(nil)

func (e *goneError) Error() string {
	return fmt.Sprintf("release %d of %s cannot be brought back: its image %s:%s %s; nothing was changed",
		e.target.Number, e.place.Service, e.target.Image.Repository, e.target.Image.Tag, e.why)
}

// Hint says which release can be.
func (e *goneError) Hint() string {
	if e.other == 0 {
		return "no other release has its image: check out the commit and apply, to build it again"
	}
	return fmt.Sprintf("release %d is the newest other one that still has its image; or check out the commit and apply, to build it again", e.other)
}

// others are the releases with other images than the one that runs.
func others(all []release.Record, live state.Observed) []release.Record {
	return slices.DeleteFunc(slices.Clone(all), func(r release.Record) bool {
		return live.Value("image") == ecr.Image(r.Image.Repository, r.Image.Tag).String()
	})
}

// imageKept refuses a release whose image is gone, or is another by now. all are those to
// name in its place.
func (s *session) imageKept(ctx context.Context, w wiring, place records.Place, target release.Record, all []release.Record) error {
	digest := func(r release.Record, live state.Live) string {
		return live[ecr.Image(r.Image.Repository, r.Image.Tag)].ID
	}
	look := func(list ...release.Record) (state.Live, error) {
		q := reconcile.Query{}
		for _, r := range list {
			if a := ecr.Image(r.Image.Repository, r.Image.Tag); r.Image.Tag != "" && !slices.Contains(q.Want, a) {
				q.Want = append(q.Want, a)
			}
		}
		live, _, err := w.registry.Observe(ctx, q)
		return live, interruptible(ctx, err)
	}
	live, err := look(target)
	if err != nil {
		return err
	}
	has := digest(target, live)
	if has != "" && has == target.Image.Digest {
		return nil
	}
	e := &goneError{place: place, target: target, why: "is gone from the repository"}
	if has != "" {
		e.why = "is another by now"
	}
	if live, err = look(all...); err != nil {
		return err
	}
	for _, r := range all {
		if r.Number != target.Number && r.Result == release.Succeeded && r.Image.Digest != "" && digest(r, live) == r.Image.Digest {
			e.other = r.Number
			break
		}
	}
	return e
}

// goBack plans, shows and does what brings back a release. back is the session of it.
func (s *session) goBack(ctx context.Context, back *session, target release.Record, o applyFlags) error {
	w := back.wire(o)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		f, err := back.settled(ctx, w, false)
		if err != nil {
			return planned{}, err
		}
		stay := back.restore(s.specs[0], target, f)
		p, err := back.plan(f, plan.Options{Bases: map[state.Address]plan.Base{}, Resume: true, AllowWildcard: true}, true, everything)
		if err != nil {
			return planned{}, err
		}
		p.plan.Notes = slices.DeleteFunc(p.plan.Notes, func(n state.Note) bool { return slices.Contains(stay, n.Target) && !n.Warning })
		p.plan.Notes = append(p.plan.Notes, moved(back.specs[0], target, f)...)
		p.recording.kind, p.recording.of, p.verb = release.Rollback, target.Number, "rollback"
		p.recording.inputs = target.Image.Inputs
		return p, nil
	})
	if err != nil {
		return err
	}
	if p.plan.Empty() {
		s.a.say("%s is as release %d was already.", target.Service, target.Number)
	} else {
		s.a.say("Back to release %d of %s, of %s:", target.Number, target.Service, target.StartedAt.UTC().Format(time.RFC3339))
	}
	return back.execute(ctx, w, p, o)
}

// as is the session of the manifest that a release was made of. Its secrets and variables
// come from where they come from today.
func (s *session) as(target release.Record) (*session, error) {
	current := s.specs[0]
	set, err := manifest.Load(manifest.Options{
		Paths: []string{current.File}, EnvFiles: s.a.envFiles, LookupEnv: s.a.lookup, Git: gitFacts(current.Dir), FallbackEnvFile: s.a.sandbox.on, AllowSecretArgs: true,
		ReadFile: func(name string) ([]byte, error) {
			if filepath.Clean(name) == filepath.Clean(current.File) {
				return []byte(target.Manifest), nil
			}
			return s.a.readFile(name)
		},
	})
	if err == nil && (len(set.Documents) != 1 || set.Documents[0].Spec.Service != target.Service) {
		err = fmt.Errorf("it is not of %s alone", target.Service)
	}
	if err != nil {
		return nil, fmt.Errorf("the manifest that release %d keeps cannot be read by this apron: %w", target.Number, err)
	}
	s.a.out.Hide(manifest.Redactions(set)...)
	s.a.err.Hide(manifest.Redactions(set)...)
	for _, path := range set.Documents[0].Masked() {
		if !strings.HasPrefix(path, "env.") {
			return nil, fmt.Errorf("release %d had a secret in %s, which is not kept: it cannot be brought back", target.Number, path)
		}
	}
	back := s.only(set.Documents[0].Spec)
	back.specs[0].Origin = current.Origin // the release was perhaps made from another place
	// A release that kept what ran has not given the version of its manifest to it.
	back.specs[0].Image.Version = target.Image.Version
	set.Documents[0].Spec.Image.Version = target.Image.Version
	back.set = set
	back.existing[target.Service] = target.Image.Tag
	return back, nil
}

// only is the session of one service alone.
func (s *session) only(spec state.Spec) *session {
	one := *s
	one.specs = []state.Spec{spec}
	one.existing = maps.Clone(s.existing)
	return &one
}

// restore fills in what the release does not keep: secret variables are as the manifest
// has them today, or as they are live, and parameters keep their values. It returns the
// addresses of the parameters that keep theirs.
func (s *session) restore(current state.Spec, target release.Record, f facts) []state.Address {
	spec := &s.specs[0]
	live := f.live[serviceAddress(*spec)]
	for _, path := range s.set.Documents[0].Masked() {
		name := strings.TrimPrefix(path, "env.")
		if v, ok := current.Env[name]; ok {
			spec.Env[name] = v
			continue
		}
		if have, ok := live.Get(path); ok {
			spec.Env[name] = state.EnvValue{Value: have.Value, Hidden: true}
			continue
		}
		delete(spec.Env, name)
		s.a.warn("%s is left out: release %d does not keep its value, and nothing has it today", path, target.Number)
	}
	var stay []state.Address
	for key, ref := range spec.Secrets {
		addr := ssm.Address(spec.Service, key)
		if _, exists := f.live[addr]; exists && ref.Source == state.FromEnv {
			ref.Value, ref.Set = "", false
			spec.Secrets[key] = ref
			stay = append(stay, addr)
		}
	}
	s.set.Documents[0].Spec = *spec
	return stay
}

// moved notes the secrets whose values are no longer those of the release.
func moved(spec state.Spec, target release.Record, f facts) []state.Note {
	var notes []state.Note
	now := secretsOf(spec, f)
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if spec.Secrets[key].Version != "" {
			continue // one version never changes
		}
		was := target.Secrets[key].Version
		is := now[key].Version
		if addr, err := state.ParseAddress(now[key].Name); err == nil && now[key].Source == string(state.FromEnv) {
			value, _ := f.live[addr].Get("value")
			is = value.Version
		}
		if was != "" && is != "" && was != is {
			notes = append(notes, state.Note{Target: serviceAddress(spec), Warning: true,
				Text: fmt.Sprintf("secrets.%s: its value has changed since release %d (version %s then, %s now) and stays as it is", key, target.Number, was, is)})
		}
	}
	return notes
}
