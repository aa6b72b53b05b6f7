package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/reconcile/render"
)

// driftLabel is what issues about drift are listed by.
const driftLabel = "apron-drift"

// canOpenIssues finds what --issue needs before anything is read.
func (a *app) canOpenIssues() error {
	if !repositoryName().MatchString(a.fallback("GITHUB_REPOSITORY", "")) {
		return &commentError{"--issue", "there is no repository", "run it in GitHub Actions, or set GITHUB_REPOSITORY=owner/name"}
	}
	_, err := a.hub()
	return err
}

// issueMarker begins the issue of a service in an environment.
func (a *app) issueMarker(service string) string {
	h := sha256.New()
	for _, text := range []string{a.environment, service} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return "<!-- apron:drift " + hex.EncodeToString(h.Sum(nil))[:32] + " -->"
}

// issues keeps one issue for each service: opened when it drifts, edited when that changes,
// closed when nothing differs any more, and opened again. That GitHub refuses to tell of drift
// is an error: a workflow that takes drift for a success must not hide that nobody knows. Where
// nothing differs, it is a warning.
func (s *session) issues(ctx context.Context, v *render.Drift) error {
	hide, err := s.hiding()
	if err != nil {
		return err
	}
	hub, err := s.a.hub()
	if err != nil {
		return err
	}
	repository := s.a.fallback("GITHUB_REPOSITORY", "")
	all, err := hub.Issues(ctx, repository, driftLabel)
	if err != nil {
		return s.untold(v, fmt.Errorf("the issue is not kept: %w", interruptible(ctx, err)))
	}
	var errs *multierror.Error
	for _, spec := range s.specs {
		one := v.Of(spec.Service)
		if err := s.issue(ctx, hub, repository, all, spec.Service, one, hide); err != nil {
			err = fmt.Errorf("the issue of %s is not kept: %w", spec.Service, interruptible(ctx, err))
			errs = multierror.Append(errs, s.untold(one, err))
		}
	}
	return errs.ErrorOrNil()
}

// untold is err where somebody should have heard of drift, and else a warning.
func (s *session) untold(v *render.Drift, err error) error {
	if v.Drifted {
		return err
	}
	s.a.warn("%v", err)
	return nil
}

func (s *session) issue(ctx context.Context, hub *github.Client, repository string, all []github.Issue, service string, v *render.Drift, hide func(string) string) error {
	marker := s.a.issueMarker(service)
	var found *github.Issue
	for i := range all {
		if all[i].Own && strings.HasPrefix(all[i].Body, marker) {
			found = &all[i]
			break
		}
	}
	body := s.a.out.Redact(v.Named(hide).Issue(marker, github.MaxComment))
	switch {
	case !v.Drifted && (found == nil || !found.Open):
		return nil
	case !v.Drifted:
		if err := hub.CloseIssue(ctx, repository, found.Number, "Nothing differs any more."); err != nil {
			return err
		}
		s.a.say("Closed %s: nothing differs any more", found.URL)
	case found == nil:
		title := "Drift: " + service
		if s.a.environment != "" {
			title += " (" + s.a.environment + ")"
		}
		url, err := hub.OpenIssue(ctx, repository, s.a.out.Redact(hide(title)), body, driftLabel)
		if err != nil {
			return err
		}
		s.a.say("Opened %s", url)
	case found.Open && sameText(found.Body, body):
		s.a.say("%s says so already", found.URL)
	default:
		if err := hub.EditIssue(ctx, repository, found.Number, body); err != nil {
			return err
		}
		s.a.say("Brought %s up to date", found.URL)
	}
	return nil
}

// sameText compares what was sent with what came back: browsers send their own line ends.
func sameText(a, b string) bool {
	return strings.TrimSpace(strings.ReplaceAll(a, "\r\n", "\n")) == strings.TrimSpace(b)
}
