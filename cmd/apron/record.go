package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/providers/ssm"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// recording is what a run is to leave a record of.
type recording struct {
	kind release.Kind
	of   int    // the release that a rollback goes back to
	from string // what a promotion took the image of
	// inputs is the blob of what the image was made of that another release of the repository
	// keeps, or empty.
	inputs string
}

// ran is one execution of a plan, for its records.
type ran struct {
	started time.Time
	took    time.Duration
	report  *apply.Report
	err     error
}

// recordTime is how long a run that was interrupted may take to say so.
const recordTime = 15 * time.Second

// record writes a record of each service that the run was about, and returns their
// numbers. What keeps it from doing so is told and no error: what was deployed is deployed.
func (s *session) record(ctx context.Context, w wiring, p planned, r ran) map[string]int {
	if p.recording == nil {
		return nil
	}
	if ctx.Err() != nil {
		var signal errInterrupted
		if !errors.As(context.Cause(ctx), &signal) {
			return nil
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), recordTime)
		defer cancel()
	}
	numbers := map[string]int{}
	for i := range s.set.Documents {
		d := &s.set.Documents[i]
		mine := r
		mine.report = &apply.Report{}
		for _, res := range r.report.Results {
			if p.concerns(d.Spec, res.Action) {
				mine.report.Results = append(mine.report.Results, res)
			}
		}
		if len(mine.report.Results) > 0 {
			s.put(ctx, w, p, d, mine, numbers)
		}
	}
	return numbers
}

// confess writes the records that are missing of what is live already: a run that was
// killed once everything was done had no time to.
func (s *session) confess(ctx context.Context, w wiring, p planned) {
	if p.recording == nil || p.recording.kind != release.Apply {
		return
	}
	for i := range s.set.Documents {
		d := &s.set.Documents[i]
		if d.Spec.Image.InPlace {
			continue
		}
		success := p.facts.recent[d.Spec.Service].Success
		now := release.New(release.Record{}, release.Run{Wanted: p.resources[d.Spec.Service], Live: p.facts.live, Redact: s.a.out.Redact})
		if success != nil && success.Same(now.Resources) {
			continue
		}
		s.guard.PermitWrites()
		numbers := map[string]int{}
		s.put(ctx, w, p, d, ran{started: time.Now(), report: &apply.Report{}}, numbers)
		if n := numbers[d.Spec.Service]; n > 0 {
			s.a.say("apron: note: %s is recorded as release %d: no record told of what is live", d.Spec.Service, n)
		}
	}
}

func (s *session) put(ctx context.Context, w wiring, p planned, d *manifest.Document, r ran, numbers map[string]int) {
	spec := d.Spec
	if spec.Image.InPlace {
		return
	}
	record, err := s.describe(p, d, r)
	if err == nil {
		record, err = w.records.Put(ctx, records.PlaceOf(spec), record, s.inputs(d, record), p.facts.recent[spec.Service].Newest)
	}
	var none *records.ErrNoRepository
	switch {
	case errors.As(err, &none):
		s.a.say("apron: note: %v", err)
	case err != nil:
		s.a.warn("this release of %s is not recorded: %v", spec.Service, interruptible(ctx, err))
	default:
		numbers[spec.Service] = record.Number
	}
}

// inputs are what the image of a record was made of, as far as that is known here, so that
// other machines can tell what has changed since.
func (s *session) inputs(d *manifest.Document, r release.Record) []byte {
	id := s.images[d.Spec.Service]
	if len(id.Inputs) == 0 || id.Tag != r.Image.Tag || r.Image.Digest == "" {
		return nil // it was built elsewhere, or never
	}
	return id.Share(func(input string) bool {
		kind, name, _ := strings.Cut(input, " ")
		path, ok := map[string]string{"arg": "image.build.args.", "label": "image.build.labels.", "before.env": "image.build.before.env.", "before.run": "image.build.before.run"}[kind]
		return ok && d.Hides(path+name)
	})
}

// describe makes the record of one service.
func (s *session) describe(p planned, d *manifest.Document, r ran) (release.Record, error) {
	spec := d.Spec
	record := release.Record{Service: spec.Service, Environment: s.a.environment, Kind: p.recording.kind, Of: p.recording.of, From: p.recording.from,
		Result: release.Succeeded, StartedAt: r.started.UTC().Truncate(time.Second), TookMS: r.took.Milliseconds(), Actor: s.actor(), Commit: commitOf(spec.Dir),
		Apron: version(), Account: s.id.Account, Region: s.cfg.Region, Target: spec.Target}
	if success := p.facts.recent[spec.Service].Success; success != nil {
		record.Success = success.Number
	}
	run := release.Run{Wanted: p.resources[spec.Service], Live: p.facts.live, Report: r.report, Redact: s.a.out.Redact}
	_, failed, skipped := r.report.Counts()
	var signal errInterrupted
	switch {
	case failed+skipped == 0:
	case errors.As(r.err, &signal):
		record.Result = release.Interrupted
	default:
		record.Result = release.Failed
	}
	for _, res := range r.report.Failed() {
		record.Error = cmp.Or(record.Error, string(res.Action.ID)+": "+res.Err.Error())
	}
	if p.recording.kind == release.Destroy {
		run.Image, _ = state.ParseAddress(p.facts.live[serviceAddress(spec)].Value("image"))
	} else {
		run.Image = s.imageAddress(spec)
		record.Image.Version = spec.Image.Version
		record.Secrets = secretsOf(spec, p.facts)
		var text bytes.Buffer
		if err := manifest.Render(&text, d); err != nil {
			return release.Record{}, err
		}
		record.Manifest = text.String()
	}
	record.Image.Repository, record.Image.Inputs = spec.Image.Repository, p.recording.inputs
	if _, tag, ok := strings.Cut(run.Image.Name, ":"); ok {
		record.Image.Tag = tag
	}
	return release.New(record, run), nil
}

// concerns reports whether an action belongs to a service: its manifest wants the
// resource, or the resource is or was the service's.
func (p planned) concerns(spec state.Spec, a plan.Action) bool {
	if slices.ContainsFunc(p.resources[spec.Service], func(r state.Resource) bool { return r.Address == a.Target }) {
		return true
	}
	if a.Want.Address == a.Target {
		return false // another service's
	}
	service := p.facts.live[serviceAddress(spec)]
	if p.leadsTo(a.Have, serviceAddress(spec)) {
		return true
	}
	return a.Have.Value("tags.apron:service") == spec.Service || service.Address == a.Target || slices.Contains(state.Refs(service.Fields), a.Target) ||
		a.Target == ecr.Tag(spec.Image.Repository, "live-"+spec.Service) || a.Target.Target == "ssm" && strings.HasPrefix(a.Target.Name, ssm.ParameterName(spec.Service, "")) ||
		a.Target.Target == "ecr" && a.Target.Name == spec.Image.Repository
}

// leadsTo reports whether a resource refers to a service: itself, as a domain does, or by way
// of another, as the records of a domain do.
func (p planned) leadsTo(o state.Observed, service state.Address) bool {
	for _, ref := range state.Refs(o.Fields) {
		if ref == service || ref != o.Address && slices.Contains(state.Refs(p.facts.live[ref].Fields), service) {
			return true
		}
	}
	return false
}

// actor is who runs apron: the credentials, and whom the CI says it runs for.
func (s *session) actor() release.Actor {
	actor := release.Actor{ARN: s.id.ARN}
	get := func(name string) string { return s.a.fallback(name, "") }
	switch {
	case get("GITHUB_ACTIONS") == "true":
		actor.CI = get("GITHUB_ACTOR")
		if id := get("GITHUB_RUN_ID"); id != "" {
			actor.Run = get("GITHUB_SERVER_URL") + "/" + get("GITHUB_REPOSITORY") + "/actions/runs/" + id
		}
	case get("GITLAB_CI") == "true":
		actor.CI, actor.Run = get("GITLAB_USER_LOGIN"), get("CI_JOB_URL")
	}
	return actor
}

// commitOf is what is checked out where the manifest is, or nil.
func commitOf(dir string) *release.Commit {
	facts := gitFacts(dir)
	sha, ok := facts("sha")
	if !ok {
		return nil
	}
	branch, _ := facts("branch")
	dirty, _ := facts("dirty")
	return &release.Commit{SHA: sha, Branch: branch, Dirty: dirty != ""}
}

// secretsOf says what each secret variable refers to, and of which version that is.
func secretsOf(spec state.Spec, f facts) map[string]release.Secret {
	secrets := map[string]release.Secret{}
	for _, key := range slices.Sorted(maps.Keys(spec.Secrets)) {
		ref := spec.Secrets[key]
		s := release.Secret{Source: string(ref.Source), Name: ref.Name, Key: ref.Key}
		switch ref.Source {
		case state.FromEnv:
			s.Name = ssm.Address(spec.Service, key).String()
		case state.FromSSM:
			s.Version = f.parameters[ref.Name].Version
		case state.FromSecretsManager:
			s.Version = versionOf(ref, f.secrets[ref.Name])
		}
		secrets[key] = s
	}
	return secrets
}

// versionOf is the version of a secret that a reference means: one that it names, one that
// has a label, or the current one; empty where that is not known.
func versionOf(ref state.SecretRef, secret secretsmanager.Reference) string {
	switch {
	case ref.Version != "":
		return ref.Version
	case ref.Stage != "":
		return secret.Staged[ref.Stage]
	}
	return secret.Version
}

// unrecordedError says that no releases of a service are kept. The repository of an image
// that runs where it is is not apron's, and what a record would push there its lifecycle
// rules might count in place of an image.
type unrecordedError struct{ service string }

var _ error = (*unrecordedError)(nil)

func (e *unrecordedError) Error() string {
	return fmt.Sprintf("no releases of %s are recorded: with image.copy: false apron keeps nothing beside the image", e.service)
}

// Hint says what would have them recorded.
func (e *unrecordedError) Hint() string {
	return "without copy: false the image is copied into a repository that apron keeps, and with it the records"
}

// recorded is nil where a release of the run's service can be found.
func (s *session) recorded() error {
	for _, spec := range s.specs {
		if spec.Image.InPlace {
			return &unrecordedError{spec.Service}
		}
	}
	return nil
}

// recent reads the last releases of the run's services.
func (s *session) recent(ctx context.Context, w wiring) (map[string]release.Recent, []records.Damage, error) {
	var places []records.Place
	for _, spec := range s.specs {
		if !spec.Image.InPlace {
			places = append(places, records.PlaceOf(spec))
		}
	}
	found, damaged, err := w.records.Recent(ctx, places)
	recent := map[string]release.Recent{}
	for p, r := range found {
		recent[p.Service] = r
	}
	return recent, damaged, err
}

// bases is what releases have wanted of the resources that a plan is about.
func (s *session) bases(f facts, wanted map[string][]state.Resource) (map[state.Address]plan.Base, error) {
	var services []release.Known
	for _, spec := range s.specs {
		k := release.Known{Recent: f.recent[spec.Service]}
		for _, w := range wanted[spec.Service] {
			k.Addresses = append(k.Addresses, w.Address)
		}
		services = append(services, k)
	}
	return release.Bases(services...)
}

// unknown notes the services that change though no record says what they were.
func (s *session) unknown(p *plan.Plan, f facts) []state.Note {
	var notes []state.Note
	for _, spec := range s.specs {
		addr := serviceAddress(spec)
		changes := slices.ContainsFunc(p.Actions, func(a plan.Action) bool { return a.Target == addr && a.Op == plan.Update && !a.Second })
		if _, live := f.live[addr]; live && changes && f.recent[spec.Service].Success == nil {
			notes = append(notes, state.Note{Target: addr, Text: "no record tells of a release that succeeded, so that what has changed here and what there is not known"})
		}
	}
	return notes
}
