package main

import (
	"context"
	"sync"

	"github.com/apron-deploy/apron/providers/image/source/git"
)

// gitFacts tells what a manifest may know of the repository that a directory is in, read
// from its files: planning starts no process, and a machine may have no git. What is not
// known is not made up.
//
//	git.sha      the commit that is checked out
//	git.branch   its branch, unless HEAD is detached
//	git.tag      its tag, the highest version if there are several, with -dirty behind it
//	             if the work tree is; unknown without a tag
//	git.dirty    "true", or empty for a clean tree
//
// Dirty is what git describe --dirty calls so: files that git does not track count for
// nothing. [git.Repository.Dirty] says what else is not seen. A tree of which that cannot
// be known has neither of the last two: a version must not be called clean by mistake.
func gitFacts(dir string) func(string) (string, bool) {
	find := sync.OnceValues(func() (*git.Repository, error) { return git.Find(dir) })
	dirty := sync.OnceValues(func() (bool, error) {
		r, err := find()
		if err != nil {
			return false, err
		}
		return r.Dirty(context.Background()) // reads files, which nobody can interrupt
	})
	return func(name string) (string, bool) {
		r, err := find()
		if err != nil {
			return "", false
		}
		branch, commit := r.Head()
		switch name {
		case "branch":
			return branch, branch != ""
		case "sha":
			return commit, commit != ""
		case "tag":
			tags, err := r.Tags(commit)
			if commit == "" || err != nil || len(tags) == 0 {
				return "", false
			}
			changed, err := dirty()
			if changed {
				return tags[0] + "-dirty", true
			}
			return tags[0], err == nil
		case "dirty":
			changed, err := dirty()
			if changed {
				return "true", true
			}
			return "", err == nil
		}
		return "", false
	}
}
