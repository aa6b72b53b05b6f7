package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/apron-deploy/apron/reconcile/approval"
	"github.com/apron-deploy/apron/reconcile/pattern"
	"github.com/apron-deploy/apron/reconcile/render"
)

// byPull is what --approved without a fingerprint stands for.
const byPull = "pull-request"

var fingerprintText = pattern.Lazy(`^apron-[0-9a-f]{32}$`)

// mergeCommit is the commit that this run is for, and the branch that it came to.
func (a *app) mergeCommit() (repository, commit, branch string, err error) {
	repository, commit = a.fallback("GITHUB_REPOSITORY", ""), a.fallback("GITHUB_SHA", "")
	branch, pushed := strings.CutPrefix(a.fallback("GITHUB_REF", ""), "refs/heads/")
	if !repositoryName().MatchString(repository) || commit == "" || !pushed {
		return "", "", "", &commentError{"--approved", "this run is for no commit", "run it in GitHub Actions on push, which sets GITHUB_REPOSITORY, GITHUB_REF and GITHUB_SHA, or give the fingerprint of a plan: --approved=apron-…"}
	}
	return repository, commit, branch, nil
}

// canAsk finds what --approved alone needs before anything is planned.
func (a *app) canAsk() error {
	if _, _, _, err := a.mergeCommit(); err != nil {
		return err
	}
	_, err := a.hub()
	return err
}

// evidence is what GitHub knows of a plan's approval.
type evidence struct {
	thread  // of the pull request, if there is the one
	request approval.Request
	told    []*told // by the request's comments; nil for what cannot be read
}

// checkPull refuses a plan that the merged pull request does not agree to: it shows what
// differs, and the plan of now in the comment. A plan of nothing needs nobody's approval.
func (s *session) checkPull(ctx context.Context, ok *approved, p planned) error {
	if p.plan.Empty() {
		return nil
	}
	hide, err := s.hiding()
	if err != nil {
		return err
	}
	e, err := s.evidence(ctx)
	if err == nil {
		err = s.judge(e, p, hide, !ok.noReview)
	}
	if refused, is := errors.AsType[*approval.RefusedError](err); is {
		return s.disagree(ctx, e, p, hide, refused)
	}
	return interruptible(ctx, err)
}

// evidence finds the pull request by the commit that it was merged as. Its error is an
// [approval.RefusedError] where that is not one.
func (s *session) evidence(ctx context.Context) (evidence, error) {
	var e evidence
	repository, commit, branch, err := s.a.mergeCommit()
	if err != nil {
		return e, err
	}
	if e.hub, err = s.a.hub(); err != nil {
		return e, err
	}
	numbers, err := e.hub.Merged(ctx, repository, commit, branch)
	if err != nil {
		return e, err
	}
	if len(numbers) != 1 {
		return e, notOne(commit, branch, numbers)
	}
	e.repository, e.number = repository, numbers[0]
	pull, err := e.hub.Pull(ctx, repository, e.number)
	if err != nil {
		return e, err
	}
	e.request = approval.Request{Author: pull.Author, Head: pull.Head, MergedAt: pull.MergedAt}
	for _, r := range pull.Reviews {
		e.request.Reviews = append(e.request.Reviews, approval.Review{Author: r.Author, Person: r.Person, MayPush: r.MayPush, Verdict: approval.Verdict(r.State), Commit: r.Commit, At: r.At})
	}
	if e.comments, err = e.hub.Comments(ctx, repository, e.number); err != nil {
		return e, err
	}
	for _, c := range e.comments {
		if t, found := s.a.marked(c.Body); found {
			e.told = append(e.told, t)
			e.request.Comments = append(e.request.Comments, approval.Comment{Own: c.Own, Kept: c.Kept, Whole: t != nil && len(t.Failed) == 0 && t.sound() && s.a.intact(*t, c.Body, e.room()), At: c.At})
		}
	}
	return e, nil
}

// notOne says that a commit is not that of one merged pull request.
func notOne(commit, branch string, numbers []int) error {
	if len(numbers) == 0 {
		return &approval.RefusedError{Why: "no pull request was merged into " + branch + " as " + commit,
			Fix: "run this on push to the branch that pull requests are merged into, once they are: what gets there otherwise has nobody's approval"}
	}
	var names []string
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("#%d", n))
	}
	return &approval.RefusedError{Why: fmt.Sprintf("%d pull requests were merged as %s: %s; no comment shows the plan of them all", len(numbers), commit, strings.Join(names, ", ")),
		Fix: "merge them one by one"}
}

// judge compares a plan with the evidence. Its error is an [approval.RefusedError] where
// nobody has agreed to it.
func (s *session) judge(e evidence, p planned, hide func(string) string, reviews bool) error {
	shown, err := e.request.Shown()
	if err != nil {
		return err
	}
	t := e.told[shown]
	agreed := t.Fingerprint.Unnamed(hide, p.plan, s.id.Account, s.agreedIn(), p.desired, p.facts.live)
	err = approval.Check(agreed, p.plan, s.id.Account, s.agreedIn(), p.desired, p.facts.live)
	if different, is := errors.AsType[*approval.DifferentError](err); is {
		ids := slices.Concat(different.New, different.Changed, different.Missing)
		for i := range ids {
			ids[i] = hide(ids[i])
		}
		return &approval.RefusedError{Why: different.Error(), Fix: "look at the difference, and have the plan approved as the comment shows it now", Actions: ids}
	}
	if unlike := s.tell(p, hide, nil).Plan.Unlike(t.Plan); len(unlike) > 0 {
		return &approval.RefusedError{Why: "the comment shows in other words what would be done: " + strings.Join(unlike, ", "),
			Fix: "look at the difference, and have the plan approved as the comment shows it now", Actions: unlike}
	}
	return e.request.Agreed(e.request.Comments[shown].At, reviews)
}

// disagree shows why a plan is not carried out, here and on the pull request, and how it
// could be.
func (s *session) disagree(ctx context.Context, e evidence, p planned, hide func(string) string, refused *approval.RefusedError) error {
	if err := s.explainRefusal(e, p, hide, refused); err != nil {
		return err
	}
	fingerprint := s.approvable(p)
	if err := s.a.output("fingerprint", fingerprint); err != nil {
		return err
	}
	if e.number != 0 {
		if err := s.tellOn(ctx, &e.thread, p, hide); err != nil {
			s.a.warn("the plan of now is not shown on the pull request: %v", interruptible(ctx, err))
		}
	}
	why := refused.Why
	if e.number != 0 {
		why = fmt.Sprintf("%s#%d: %s", e.repository, e.number, why)
	}
	fix := refused.Fix
	if fingerprint != "" {
		fix += "; or, in a job whose environment has required reviewers: apron apply" + s.sameFlags() + " --approved=" + fingerprint
	}
	return &unapprovedError{why: why + "; nothing was changed", fix: fix}
}

// explainRefusal shows what differs, or else the plan that nobody has agreed to.
func (s *session) explainRefusal(e evidence, p planned, hide func(string) string, refused *approval.RefusedError) error {
	shown, err := e.request.Shown()
	if err != nil || len(refused.Actions) == 0 {
		return s.a.write(s.view(p))
	}
	d := render.NewDifference(e.told[shown].Plan, s.tell(p, hide, nil).Plan, refused.Actions)
	return render.Write(s.a.err, d, render.Options{Color: s.a.colorErr})
}

// unlikeFlags are those that another run of the same plan is not given: what stands for the
// approval itself, and how the run is shown.
var unlikeFlags = []string{"approved", "no-review", "yes", "format", "json", "no-color", "debug"}

// sameFlags are the flags of this run that another one needs, so that it plans and does the
// same.
func (s *session) sameFlags() string {
	var b strings.Builder
	s.a.flags.Visit(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			switch {
			case slices.Contains(unlikeFlags, f.Name):
			case f.NoOptDefVal == v:
				b.WriteString(" " + name)
			case f.NoOptDefVal != "":
				b.WriteString(" " + name + "=" + shellWord(v))
			default:
				b.WriteString(" " + name + " " + shellWord(v))
			}
		}
	})
	return b.String()
}

// shellWord quotes a word for a shell, if it must be.
func shellWord(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var plainWord = pattern.Lazy(`^[\w./:=@%+,-]+$`)
