package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/reconcile/release"
)

// writeBack makes the manifest say what a release was that is back now: every key of it,
// or none, where one cannot be written. back is the session of the release.
func (s *session) writeBack(ctx context.Context, back *session, target release.Record) error {
	now, then := &s.set.Documents[0], &back.set.Documents[0]
	set := s.set // as it is read once it is written
	edits, err := manifest.Restore(now, then)
	switch {
	case err != nil:
	case len(edits) == 0:
		s.a.say("%s says so already.", now.Spec.File)
	default:
		err = s.write(now, edits, func(written *manifest.Set) error {
			set = written
			return s.restored(written, now, then)
		})
	}
	if err != nil {
		return fmt.Errorf("release %d is back, and %s does not say so: %w", target.Number, now.Spec.File, err)
	}
	return s.tellSources(ctx, set, target)
}

// restored refuses a text that would still say something else than the release.
func (s *session) restored(written *manifest.Set, now, then *manifest.Document) error {
	var errs *multierror.Error
	for i := range written.Documents {
		d := &written.Documents[i]
		if d.Spec.Service != then.Spec.Service {
			continue
		}
		edits, err := manifest.Restore(d, then)
		errs = multierror.Append(errs, err)
		for _, e := range edits {
			errs = multierror.Append(errs, s.unsaid(now, e.Path, "rollback --write"))
		}
	}
	return errs.ErrorOrNil()
}

// tellSources warns where what is checked out makes another image than the release has: the
// manifest cannot say that, and the next plan does.
func (s *session) tellSources(ctx context.Context, set *manifest.Set, target release.Record) error {
	for i := range set.Documents {
		d := &set.Documents[i]
		if d.Spec.Service != target.Service {
			continue
		}
		one, wrong := s.only(d.Spec), make([]error, 1)
		one.set = &manifest.Set{Documents: set.Documents[i : i+1], EnvFiles: set.EnvFiles}
		one.identify(ctx, wrong)
		differs := "is not of the sources that are here"
		switch {
		case d.Spec.Image.From != "":
			differs = "is not what image.from names today"
		case target.Commit != nil:
			differs += ", but of those of commit " + target.Commit.SHA
		}
		switch {
		case ctx.Err() != nil:
			return interruptible(ctx, ctx.Err())
		case wrong[0] != nil:
			s.a.warn("whether the next plan has the same image is not known: %v", wrong[0])
		case one.images[target.Service].Tag != target.Image.Tag:
			s.a.warn("the next plan has another image: %s:%s %s", target.Image.Repository, target.Image.Tag, differs)
		}
	}
	return nil
}
