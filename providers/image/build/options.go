package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apron-deploy/apron/reconcile/state"
)

// secretPrefix starts the names of the variables that hand secrets to an engine.
const secretPrefix = "APRON_SECRET_"

// SecretError says why a build secret cannot be given to the build.
type SecretError struct {
	ID  string
	Why string
	Fix string
	Err error // may be nil
}

var _ error = (*SecretError)(nil)

func (e *SecretError) Error() string {
	return "image.build.secrets." + e.ID + ": " + e.Why + "; nothing was built"
}

// Hint says how to get past it.
func (e *SecretError) Hint() string { return e.Fix }

func (e *SecretError) Unwrap() error { return e.Err }

// secrets returns the flags that name the build's secrets, and the variables that hold
// their values: a command line can be read by everybody, an environment only by its owner.
func (e *engine) secrets(r Request) (flags []string, env map[string]string, err error) {
	env = map[string]string{}
	for i, id := range sortedKeys(r.Build.Secrets) {
		s := r.Build.Secrets[id]
		if e.kit == legacy {
			return nil, nil, &SecretError{ID: id, Why: "docker's legacy builder knows no build secrets", Fix: "install docker's buildx plugin, or use podman or buildah"}
		}
		if s.Env != "" {
			if !s.Set {
				return nil, nil, &SecretError{ID: id, Why: s.Env + " is not set", Fix: "set it in the environment or in a file .env beside the manifest"}
			}
			name := secretPrefix + strconv.Itoa(i)
			env[name] = s.Value.Reveal()
			flags = append(flags, "--secret", "id="+id+",env="+name)
			continue
		}
		file := r.path(s.File)
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil, nil, &SecretError{ID: id, Why: fmt.Sprintf("there is no file %s", s.File), Fix: "the path is relative to the build context, " + r.Context.Dir, Err: err}
		case err == nil && !info.Mode().IsRegular():
			return nil, nil, &SecretError{ID: id, Why: fmt.Sprintf("%s is not a file", s.File)}
		case err != nil:
			return nil, nil, &SecretError{ID: id, Why: err.Error(), Err: err}
		case strings.ContainsAny(file, ",\""):
			return nil, nil, &SecretError{ID: id, Why: fmt.Sprintf("the path %s has a comma or a quote, which the engines take for their own", file), Fix: "move it"}
		}
		flags = append(flags, "--secret", "id="+id+",src="+file)
	}
	return flags, env, nil
}

// path is where a name relative to the context leads.
func (r Request) path(name string) string {
	if name = filepath.FromSlash(name); filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.Context.Dir, name)
}

// cache returns the flags for the caches that the engine knows, and tells of the others:
// a build without its cache is only slower.
func (e *engine) cache(r Request) []string {
	c := r.Build.Cache
	if c == nil || r.NoCache {
		return nil
	}
	var flags []string
	add := func(flag, key string, all []string, to bool) {
		for _, text := range all {
			kind, where, _ := strings.Cut(text, ":")
			if !slices.Contains(e.caches, kind) || to && e.kit != buildx && e.kit != none {
				r.line(e.called, fmt.Sprintf("image.build.cache.%s: %s does not know %q and builds without it", key, e.describe(), text))
				continue
			}
			if lacks := withoutActions(); kind == "gha" && lacks != "" { // buildx would leave it out and say nothing
				r.line(e.called, fmt.Sprintf("image.build.cache.%s: gha needs %s, which GitHub gives to actions and not to commands: an action such as crazy-max/ghaction-github-runtime before this step passes it on; built without it", key, lacks))
				continue
			}
			switch e.kit {
			case none: // podman and buildah choose tags of their own
				flags = append(flags, flag, state.Untagged(where))
				continue
			case legacy, buildkit:
				flags = append(flags, flag, where)
				continue
			}
			option := "type=" + kind
			switch {
			case kind == "registry":
				option += ",ref=" + where
			case kind == "local" && to:
				option += ",dest=" + r.path(where)
			case kind == "local":
				option += ",src=" + r.path(where)
			case where != "":
				option += ",scope=" + where
			}
			if to {
				option += ",mode=max"
			}
			flags = append(flags, flag, option)
		}
	}
	add("--cache-from", "from", c.From, false)
	add("--cache-to", "to", c.To, true)
	return flags
}

// describe names the engine where it matters which docker it is.
func (e *engine) describe() string {
	if e.name == "docker" && e.kit != buildx {
		return "docker without buildx"
	}
	return e.called
}

// actionsCache are the variables by which buildx reaches the cache of GitHub Actions. They
// are withheld from everything else.
// https://docs.docker.com/build/cache/backends/gha/
var actionsCache = []string{"ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_CACHE_SERVICE_V2"}

// withoutActions names a variable without which that cache cannot be reached, or "".
func withoutActions() string {
	switch {
	case os.Getenv("ACTIONS_RUNTIME_TOKEN") == "":
		return "ACTIONS_RUNTIME_TOKEN"
	case os.Getenv("ACTIONS_RESULTS_URL") == "" && os.Getenv("ACTIONS_CACHE_URL") == "":
		return "ACTIONS_RESULTS_URL"
	}
	return ""
}

// actions returns those variables if the build caches there.
func (e *engine) actions(r Request) map[string]string {
	c := r.Build.Cache
	if c == nil || e.kit != buildx || !slices.ContainsFunc(slices.Concat(c.From, c.To), func(text string) bool {
		return text == "gha" || strings.HasPrefix(text, "gha:")
	}) {
		return nil
	}
	env := map[string]string{}
	for _, name := range actionsCache {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	return env
}
