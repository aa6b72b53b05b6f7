package git

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// Name is what everybody calls the repository: the host and path of its remote, such as
// github.com/owner/name, the same for every protocol. That remote is origin, or else the
// only one. Name is empty where there is none, and where the URL is not one that others
// know the repository by: a path, or a host that only this machine's configuration knows.
// Nothing but host and path is ever in it: no user, no password, no token.
func (r *Repository) Name() string {
	remotes, ok := r.remotes()
	if !ok {
		return ""
	}
	if at, ok := remotes["origin"]; ok {
		return nameOf(at)
	}
	for _, at := range remotes {
		if len(remotes) == 1 {
			return nameOf(at)
		}
	}
	return ""
}

var remoteSection = pattern.Lazy(`^\[\s*([A-Za-z0-9.-]+)(?:\s+"([^"\\]*)")?\s*\]`)

// remotes are the first URLs of all remotes, by name. What git reads by more rules than
// these, such as a value that goes on in the next line, makes them unknown.
// https://git-scm.com/docs/git-config#_syntax
func (r *Repository) remotes() (map[string]string, bool) {
	text, err := os.ReadFile(filepath.Join(r.common, "config"))
	if err != nil {
		return nil, false
	}
	remotes, section := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			m := remoteSection().FindStringSubmatch(line)
			if m == nil {
				return nil, false
			}
			if section = ""; strings.EqualFold(m[1], "remote") {
				section = m[2]
			}
			line = strings.TrimSpace(line[len(m[0]):])
		}
		key, value, _ := strings.Cut(line, "=")
		if section == "" || !strings.EqualFold(strings.TrimSpace(key), "url") {
			continue
		}
		value = strings.TrimSpace(value)
		if strings.ContainsAny(value, "\"\\#;") {
			return nil, false
		}
		if _, again := remotes[section]; !again {
			remotes[section] = value
		}
	}
	return remotes, true
}

var (
	hostName    = pattern.Lazy(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$`)
	pathSegment = pattern.Lazy(`^[A-Za-z0-9_.+-]+$`)
	protocols   = []string{"https", "http", "ssh", "git", "git+ssh", "ssh+git", "git+https"}
)

// nameOf is what a URL of git's comes down to, or nothing. What may hold a token is not
// taken apart: a URL that is in any way unusual has no name.
// https://git-scm.com/docs/git-fetch#_git_urls
func nameOf(remote string) string {
	var host, path string
	if strings.Contains(remote, "://") {
		u, err := url.Parse(remote)
		if err != nil || !slices.Contains(protocols, strings.ToLower(u.Scheme)) || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return ""
		}
		host, path = u.Hostname(), strings.TrimPrefix(u.Path, "/")
	} else { // user@host:path
		var ok bool
		if host, path, ok = strings.Cut(remote, ":"); !ok {
			return ""
		}
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = host[at+1:]
		}
		path = strings.TrimPrefix(path, "/")
	}
	host = strings.ToLower(host)
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git")
	if !hostName().MatchString(host) || len(host)+len(path) > 200 {
		return ""
	}
	for segment := range strings.SplitSeq(path, "/") {
		if !pathSegment().MatchString(segment) || segment == "." || segment == ".." {
			return ""
		}
	}
	return host + "/" + path
}

// Spared reports whether the index has a file of which somebody told git not to look at
// the disk, as a sparse checkout does: that it is not there says nothing. The path is from
// the top of the work tree. It is not known where the index cannot be read, and where it
// has a whole directory in the file's place.
func (r *Repository) Spared(path string) (spared, known bool) {
	known = true
	err := r.Index(func(e Entry, _ int) {
		if e.Mode == Directory && strings.HasPrefix(path, strings.TrimSuffix(e.Path, "/")+"/") {
			known = false
		}
		spared = spared || e.Path == path && e.Unwatched
	})
	known = known && (err == nil || os.IsNotExist(err)) // there is none before the first git add
	return spared && known, known
}
