package main

import (
	"context"
	"strconv"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/render"
)

// commentError says that a run is not one that a flag is for.
type commentError struct{ flag, why, fix string }

func (e *commentError) Error() string { return e.flag + ": " + e.why }
func (e *commentError) Hint() string  { return e.fix }

// pullRef is what Actions calls the commit of a pull request's run.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request
var (
	pullRef        = pattern.Lazy(`^refs/pull/([1-9][0-9]{0,8})/(merge|head)$`)
	repositoryName = pattern.Lazy(`^[\w.-]+/[\w.-]+$`)
)

// pullRequest is the one that this run is for.
func (a *app) pullRequest() (repository string, number int, err error) {
	repository = a.fallback("GITHUB_REPOSITORY", "")
	m := pullRef().FindStringSubmatch(a.fallback("GITHUB_REF", ""))
	if m == nil || !repositoryName().MatchString(repository) {
		return "", 0, &commentError{"--comment", "this run is for no pull request", "run it in GitHub Actions on pull_request, which sets GITHUB_REPOSITORY and GITHUB_REF=refs/pull/N/merge"}
	}
	number, err = strconv.Atoi(m[1])
	return repository, number, err
}

// hub is the GitHub that the environment has a token for.
func (a *app) hub() (*github.Client, error) {
	hub, err := github.New(a.lookup)
	if err != nil {
		return nil, err
	}
	a.out.Hide(hub.Token())
	a.err.Hide(hub.Token())
	return hub, nil
}

// comment shows a plan on the pull request or merge request and in the summary of the step.
// Where the token may not comment, as that of a fork, the command goes on without.
func (s *session) comment(ctx context.Context, p planned) error {
	hide, err := s.hiding()
	if err != nil {
		return err
	}
	f, err := s.a.forum()
	if err == nil {
		err = s.tellOn(ctx, f, p, hide)
	}
	switch {
	case mayNot(err):
		s.a.warn("the plan is not shown in a comment: %v", err)
	case err != nil:
		return err
	}
	text, err := s.a.compose(s.tell(p, hide, nil), github.MaxComment)
	if err != nil {
		return err
	}
	return s.a.summarizeText(text)
}

// summarizePlan shows a plan in the summary of the step, which whoever may read the
// repository can read.
func (s *session) summarizePlan(p planned) error {
	hide, err := s.hiding()
	if err != nil {
		return err
	}
	return s.a.summarize(s.public(p, hide))
}

// tellOn shows a plan in the one comment there is for it. A comment that says the same
// already is left alone: whoever approves has seen it since it was last edited.
func (s *session) tellOn(ctx context.Context, f forum, p planned, hide func(string) string) error {
	remarks, err := f.remarks(ctx)
	if err != nil {
		return err
	}
	var id int64
	var before *told
	tell := func(since *told) told {
		t := s.tell(p, hide, since)
		if before != nil && !p.asked { // what nobody has looked for again stays
			t.Plan.Leftovers = before.Plan.Leftovers
		}
		if before != nil && p.who == nil {
			t.Plan.Remember(before.Plan)
		}
		return t
	}
	for _, r := range remarks {
		if was, found := s.a.marked(r.body); found && r.own {
			id, before = r.id, was
			if now := tell(nil); r.kept && was != nil && was.same(now) && s.a.intact(*was, r.body, f.room()) {
				s.a.say("The plan is shown in %s, as before", r.url)
				return nil
			}
			break
		}
	}
	text, err := s.a.compose(tell(before), f.room())
	if err != nil {
		return err
	}
	url, err := f.put(ctx, id, text)
	if err != nil {
		return err
	}
	s.a.say("The plan is shown in %s", url)
	return nil
}

// unplanned passes on why there is no plan, and has the comment that shows an older one say so:
// where there is none, nothing is out of date. The run ends with err, whatever becomes of that.
func (a *app) unplanned(ctx context.Context, comment bool, err error) error {
	if !comment || ctx.Err() != nil {
		return err
	}
	if failed := a.tellUnplanned(ctx, err); failed != nil {
		a.warn("that there is no plan is not said in a comment: %v", interruptible(ctx, failed))
	}
	return err
}

func (a *app) tellUnplanned(ctx context.Context, why error) error {
	hide, err := a.hiding(a.set, a.set.Files)
	if err != nil {
		return err
	}
	f, err := a.forum()
	if err != nil {
		return err
	}
	remarks, err := f.remarks(ctx)
	if err != nil {
		return err
	}
	for _, r := range remarks {
		was, found := a.marked(r.body)
		if !found || !r.own {
			continue
		}
		now := told{}
		if was != nil {
			now = *was
		}
		now.Failed = render.Problems(why, hide)
		if r.kept && was != nil && was.same(now) && a.intact(*was, r.body, f.room()) {
			a.say("The comment %s says so already", r.url)
			return nil
		}
		text, err := a.compose(now, f.room())
		if err != nil {
			return err
		}
		url, err := f.put(ctx, r.id, text)
		if err == nil {
			a.say("The comment %s says that there is no plan", url)
		}
		return err
	}
	return nil
}
