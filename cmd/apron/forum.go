package main

import (
	"context"
	"errors"

	"github.com/apron-deploy/apron/providers/github"
	"github.com/apron-deploy/apron/providers/gitlab"
	"github.com/apron-deploy/apron/reconcile/render/joblog"
)

// forum is where a plan is shown: a pull request of GitHub, or a merge request of GitLab.
type forum interface {
	remarks(ctx context.Context) ([]remark, error)
	// put edits a remark, or makes it where id is 0, and says where it is.
	put(ctx context.Context, id int64, text string) (url string, err error)
	// room is how many characters a remark may have.
	room() int
}

// remark is what somebody has said there.
type remark struct {
	id        int64
	url, body string
	own       bool // by the user whose token this run has
	kept      bool // nobody else is known to have edited it
}

// canComment finds out whether this run is for anything that can be commented on.
func (a *app) canComment() error {
	if a.ci != joblog.GitLab {
		_, _, err := a.pullRequest()
		return err
	}
	if _, err := gitlab.New(a.lookup); errors.Is(err, gitlab.ErrNone) {
		return &commentError{"--comment", err.Error(), "run it in a merge request pipeline, which sets CI_PROJECT_ID and CI_MERGE_REQUEST_IID: rules: [{if: $CI_PIPELINE_SOURCE == \"merge_request_event\"}]"}
	}
	return nil
}

// forum is the one that this run is for.
func (a *app) forum() (forum, error) {
	if a.ci == joblog.GitLab {
		lab, err := gitlab.New(a.lookup)
		if err != nil {
			return nil, err
		}
		a.out.Hide(lab.Token())
		a.err.Hide(lab.Token())
		return mergeRequest{lab}, nil
	}
	repository, number, err := a.pullRequest()
	if err != nil {
		return nil, err
	}
	hub, err := a.hub()
	if err != nil {
		return nil, err
	}
	return &thread{hub: hub, repository: repository, number: number}, nil
}

// mayNot reports whether err says that the token of a run may not comment: that of a pull
// request from a fork may not, and the pipelines of forks have none.
func mayNot(err error) bool { return github.Forbidden(err) || gitlab.Forbidden(err) }

// thread is a pull request, and the comments on it once they are read.
type thread struct {
	hub        *github.Client
	repository string
	number     int
	comments   []github.Comment
}

var _ forum = (*thread)(nil)

func (t *thread) remarks(ctx context.Context) (all []remark, err error) {
	if t.comments == nil {
		t.comments, err = t.hub.Comments(ctx, t.repository, t.number)
	}
	for _, c := range t.comments {
		all = append(all, remark{c.ID, c.URL, c.Body, c.Own, c.Kept})
	}
	return all, err
}

func (t *thread) put(ctx context.Context, id int64, text string) (string, error) {
	return t.hub.Put(ctx, t.repository, t.number, id, text)
}

func (t *thread) room() int { return github.MaxComment }

// mergeRequest is a merge request. GitLab does not say who edited a note: its text tells
// whether it is still what its marker says.
type mergeRequest struct{ *gitlab.Client }

var _ forum = mergeRequest{}

func (m mergeRequest) remarks(ctx context.Context) (all []remark, err error) {
	notes, err := m.Notes(ctx)
	for _, n := range notes {
		all = append(all, remark{n.ID, n.URL, n.Body, n.Own, true})
	}
	return all, err
}

func (m mergeRequest) put(ctx context.Context, id int64, text string) (string, error) {
	return m.Put(ctx, id, text)
}

func (m mergeRequest) room() int { return gitlab.MaxNote }
