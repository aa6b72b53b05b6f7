package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/render"
)

// noted looks up a variable for a manifest and remembers what it was.
func (a *app) noted(name string) (string, bool) {
	v, ok := a.lookup(name)
	if ok {
		if a.read == nil {
			a.read = map[string]string{}
		}
		a.read[name] = v
	}
	return v, ok
}

// commentError says that there is no pull request to comment on.
type commentError struct{ why, fix string }

func (e *commentError) Error() string { return "--comment: " + e.why }
func (e *commentError) Hint() string  { return e.fix }

// pullRef is what Actions calls the commit of a pull request's run.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request
var pullRef = regexp.MustCompile(`^refs/pull/([1-9][0-9]{0,8})/(merge|head)$`)

// pullRequest is the one that this run is for.
func (a *app) pullRequest() (repository string, number int, err error) {
	repository = a.fallback("GITHUB_REPOSITORY", "")
	m := pullRef.FindStringSubmatch(a.fallback("GITHUB_REF", ""))
	if m == nil || !regexp.MustCompile(`^[\w.-]+/[\w.-]+$`).MatchString(repository) {
		return "", 0, &commentError{"this run is for no pull request", "run it in GitHub Actions on pull_request, which sets GITHUB_REPOSITORY and GITHUB_REF=refs/pull/N/merge"}
	}
	number, err = strconv.Atoi(m[1])
	return repository, number, err
}

// comment shows a plan on the pull request. Where the token may not, as that of a fork,
// the summary of the job gets it instead and the command goes on.
func (s *session) comment(ctx context.Context, p planned) error {
	repository, number, err := s.a.pullRequest()
	if err != nil {
		return err
	}
	hub, err := github.New(s.a.lookup)
	if err != nil {
		return err
	}
	s.a.out.Hide(hub.Token())
	s.a.err.Hide(hub.Token())
	foreign, err := s.foreign()
	if err != nil {
		return err
	}
	body := s.commentOn(p, foreign, nil)
	comments, err := hub.Comments(ctx, repository, number)
	if err == nil {
		var id int64
		var before *approval.Fingerprint
		for _, c := range comments {
			if f, found := s.marked(c.Body); found && c.Own {
				id, before = c.ID, f
				break
			}
		}
		body = s.commentOn(p, foreign, before)
		var url string
		if url, err = hub.Put(ctx, repository, number, id, body); err == nil {
			s.a.say("The plan is shown in %s", url)
			return nil
		}
	}
	if !github.Forbidden(err) {
		return err
	}
	s.a.say("apron: warning: the plan is not shown on the pull request: %v", err)
	return s.a.summarize(body)
}

// summarize appends to the summary of the job.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func (a *app) summarize(markdown string) error {
	name := a.fallback("GITHUB_STEP_SUMMARY", "")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("summary of the job: %w", err)
	}
	_, err = f.WriteString(markdown + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("summary of the job: %w", err)
	}
	return nil
}

// foreign is what the manifests took from the environment, by name, unless they hold the
// same text themselves.
func (s *session) foreign() (map[string]string, error) {
	var written bytes.Buffer
	for _, spec := range s.specs {
		data, err := os.ReadFile(spec.File)
		if err != nil {
			return nil, fmt.Errorf("read the manifest again: %w", err)
		}
		written.Write(data)
	}
	foreign := map[string]string{}
	for name, v := range s.a.read {
		if !strings.Contains(written.String(), v) {
			foreign[name] = v
		}
	}
	return foreign, nil
}

// marker begins the comment of these manifests and this environment.
func (s *session) marker() string {
	h := sha256.New()
	for _, f := range append([]string{s.a.environment}, s.header(nil).Manifests...) {
		fmt.Fprintf(h, "%d:%s", len(f), filepath.ToSlash(f))
	}
	return "<!-- apron:plan " + hex.EncodeToString(h.Sum(nil))[:32] + " "
}

// commentOn writes the comment.
func (s *session) commentOn(p planned, foreign map[string]string, before *approval.Fingerprint) string {
	now, hide := s.fingerprint(p), render.Names(foreign)
	full := now.String()
	now.Account, now.Region = hide(now.Account), hide(now.Region)
	for i := range now.Steps {
		now.Steps[i].ID, now.Steps[i].Target = hide(now.Steps[i].ID), hide(now.Steps[i].Target)
	}
	c := render.Comment{Short: s.marker() + "cut -->", Fingerprint: full, Max: github.MaxComment}
	c.Marker = s.marker() + encodeFingerprint(now) + " -->"
	if before != nil {
		c.Since = &render.Since{}
		c.Since.Added, c.Since.Changed, c.Since.Gone = now.Since(*before)
	}
	return s.a.out.Redact(c.Body(s.view(p).Named(hide)))
}

// encodeFingerprint writes it in letters that end no comment of HTML.
func encodeFingerprint(f approval.Fingerprint) string {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err) // it is texts and numbers
	}
	return base64.RawStdEncoding.EncodeToString(data)
}

// marked reports whether a comment is the one of these manifests, and the fingerprint that
// it had; nil where it had none that can be read. Only the very start counts: what a plan
// shows of foreign text comes later.
func (s *session) marked(body string) (*approval.Fingerprint, bool) {
	rest, ok := strings.CutPrefix(body, s.marker())
	if !ok {
		return nil, false
	}
	text, _, _ := strings.Cut(rest, " -->")
	data, err := base64.RawStdEncoding.DecodeString(text)
	var f approval.Fingerprint
	if err != nil || json.Unmarshal(data, &f) != nil {
		return nil, true
	}
	return &f, true
}
