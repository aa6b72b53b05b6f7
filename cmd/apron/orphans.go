package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	taggingsdk "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/image/source/git"
	"github.com/apron-deploy/apron/providers/tagging"
	"github.com/apron-deploy/apron/reconcile/orphan"
	"github.com/apron-deploy/apron/reconcile/render"
)

// placeOf finds the repository that a file is in, and the file's place there. There is none
// outside of a repository that others know by a name.
func placeOf(file string) (*git.Repository, orphan.Place, bool) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, orphan.Place{}, false
	}
	repo, err := git.Find(filepath.Dir(abs))
	if err != nil {
		return nil, orphan.Place{}, false
	}
	rel, err := filepath.Rel(repo.Root, abs)
	name := repo.Name()
	return repo, orphan.Place{Repository: name, File: filepath.ToSlash(rel)}, err == nil && name != ""
}

// originOf is the tag that says where a manifest is, or nothing.
func (a *app) originOf(file string) string {
	_, at, ok := placeOf(file)
	if !ok {
		return ""
	}
	return orphan.Origin{Repository: at.Repository, File: at.File, Environment: a.environment}.String()
}

// orphanTime is how long the question for orphans may take: where nobody answers, as in a
// network that lets nothing through to that API, a plan does not wait for it.
const orphanTime = 15 * time.Second

// askForOrphans starts to look for services that this repository made and no manifest claims
// any more. What it returns waits for the answer, and is called once what is live has been
// observed. Where no manifest is in a repository with a name, nothing is asked.
func (s *session) askForOrphans(ctx context.Context) func(wiring) render.Leftovers {
	repos := map[string]*git.Repository{}
	for _, file := range s.set.Files {
		if repo, at, ok := placeOf(file); ok {
			repos[at.Repository] = repo
		}
	}
	if len(repos) == 0 {
		return func(wiring) render.Leftovers { return render.Leftovers{} }
	}
	ctx, cancel := context.WithTimeoutCause(ctx, orphanTime, fmt.Errorf("no answer within %s", orphanTime))
	var services []orphan.Service
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer cancel()
		if services, err = tagging.New(taggingsdk.NewFromConfig(s.cfg)).Services(ctx); err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	return func(w wiring) render.Leftovers {
		<-answered
		if err != nil {
			return render.Leftovers{Unchecked: unchecked(err)}
		}
		return render.NewLeftovers(s.orphans(services, w.apprunner.Listed(), repos))
	}
}

// unchecked says why nobody answered, and what to do. AWS's own text of an error numbers the
// request, which two plans do not share.
func unchecked(err error) string {
	text := err.Error()
	if code := awsapi.Code(err); code != "" {
		text = code + ": " + awsapi.Message(err)
	}
	if e, ok := errors.AsType[*awsapi.Error](err); ok && e.Fix != "" {
		text += " (" + e.Fix + ")"
	}
	return text
}

// orphans decides which of the tagged services are orphans. Only those that App Runner lists
// are there: the index of tags may be behind.
func (s *session) orphans(services []orphan.Service, listed map[string]string, repos map[string]*git.Repository) []orphan.Orphan {
	var there []orphan.Service
	for _, service := range services {
		if url, ok := listed[service.ID]; ok {
			service.URL = url
			there = append(there, service)
		}
	}
	c := orphan.Checkout{Files: map[orphan.Place]orphan.File{}, Planned: map[string]bool{}}
	for _, name := range s.set.Services {
		c.Planned[name] = true
	}
	for _, at := range orphan.Places(there) {
		if repo := repos[at.Repository]; repo != nil {
			c.Files[at] = look(repo, at.File)
		}
	}
	return orphan.Find(there, c)
}

// maxNames is the longest file that is read for the names in it.
const maxNames = 1 << 20

// look says whether a work tree has a file, and which names are in it. Who wrote the path
// may be anybody: nothing outside of the work tree is opened.
func look(repo *git.Repository, file string) orphan.File {
	root, err := os.OpenRoot(repo.Root)
	if err != nil {
		return orphan.File{}
	}
	defer root.Close()
	name := filepath.FromSlash(file)
	_, err = root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if spared, known := repo.Spared(file); !known || spared {
			return orphan.File{}
		}
		return orphan.File{Presence: orphan.Gone}
	}
	info, err2 := root.Stat(name)
	if err != nil || err2 != nil || !info.Mode().IsRegular() || info.Size() > maxNames {
		return orphan.File{}
	}
	there := orphan.File{Presence: orphan.There}
	f, err := root.Open(name)
	if err != nil {
		return there
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxNames))
	if err != nil {
		return there
	}
	if names, ok := manifest.NamesIn(data); ok {
		there.Read, there.Services, there.Environments, there.Open = true, names.Services, names.Environments, names.Open
	}
	return there
}
