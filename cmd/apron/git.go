package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// gitFacts tells the commit and the branch of the repository that a directory is in,
// read from its files: planning starts no process, and a machine may have no git. What
// is not known is not made up.
func gitFacts(dir string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		git, ok := gitDir(dir)
		if !ok {
			return "", false
		}
		head, err := os.ReadFile(filepath.Join(git, "HEAD"))
		if err != nil {
			return "", false
		}
		ref, symbolic := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: ")
		switch name {
		case "branch":
			branch, ok := strings.CutPrefix(ref, "refs/heads/")
			return branch, symbolic && ok
		case "sha":
			if !symbolic {
				return ref, ref != ""
			}
			return gitRef(git, ref)
		}
		return "", false
	}
}

// gitDir finds the repository's directory above dir. In a worktree .git is a file that
// names it.
func gitDir(dir string) (string, bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	for {
		path := filepath.Join(dir, ".git")
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return path, true
		}
		if err == nil {
			text, err := os.ReadFile(path)
			named, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
			if err != nil || !ok {
				return "", false
			}
			if !filepath.IsAbs(named) {
				named = filepath.Join(dir, named)
			}
			return named, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func gitRef(git, ref string) (string, bool) {
	dirs := []string{git}
	if common, err := os.ReadFile(filepath.Join(git, "commondir")); err == nil {
		dirs = append(dirs, filepath.Join(git, strings.TrimSpace(string(common))))
	}
	for _, d := range dirs {
		if sha, err := os.ReadFile(filepath.Join(d, filepath.FromSlash(ref))); err == nil {
			return strings.TrimSpace(string(sha)), true
		}
		packed, err := os.Open(filepath.Join(d, "packed-refs"))
		if err != nil {
			continue
		}
		defer packed.Close()
		for lines := bufio.NewScanner(packed); lines.Scan(); {
			if sha, name, ok := strings.Cut(lines.Text(), " "); ok && name == ref {
				return sha, true
			}
		}
	}
	return "", false
}
