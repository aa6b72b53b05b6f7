package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// engine is a builder that is a program of its own.
type engine struct {
	name   string // the program
	called string // what the user calls it
	kit    kit
	flags  []string // of build, that only this one knows
	pull   string   // the flag of build that has it look for newer base images
	caches []string // kinds of caches that it knows
	// instance is buildx's, empty for its current one; exports says that it writes
	// archives itself, because it has no images as the daemon has.
	instance string
	exports  bool
}

// kit is what carries out docker's build.
type kit uint8

const (
	none     kit = iota // podman and buildah need none
	legacy              // takes the context on standard input, and knows no secrets
	buildkit            // in the client, before version 23
	buildx              // the plugin
)

var _ Builder = (*engine)(nil)

func (e *engine) Name() string { return e.called }

// Build runs the engine.
func (e *engine) Build(ctx context.Context, r Request) (Image, error) {
	for _, k := range slices.Sorted(maps.Keys(r.Build.Args)) {
		if steers(k) {
			return nil, fmt.Errorf("build argument %q would change %s itself, as values travel in its environment; give it another name", k, e.name)
		}
	}
	when, err := epochOf(r.Build)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(r.Spool, "engine-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "image.tar")
	id, err := e.build(ctx, r, dir, file)
	if err != nil {
		return nil, explain(err, e.name, &r)
	}
	return e.take(ctx, r, id, file, when)
}

// steers reports whether an environment variable of that name changes what an engine or
// its libraries do.
func steers(name string) bool {
	switch name {
	case "", "PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "BUILDKIT_HOST", "BUILDKIT_PROGRESS":
		return true
	}
	return strings.ContainsAny(name, "= ") || slices.ContainsFunc([]string{"DOCKER_", "BUILDX_", "BUILDAH_", "CONTAINERS_", "CONTAINER_", "STORAGE_", "LD_", secretPrefix},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// build returns the image's id, or has it written to file.
func (e *engine) build(ctx context.Context, r Request, dir, file string) (string, error) {
	b := r.Build
	iid := filepath.Join(dir, "iid")
	args := []string{"build"}
	if e.kit == buildx {
		args = []string{"buildx", "build"} // plain build is not buildx's in every client
	}
	args = append(args, e.flags...)
	switch {
	case e.exports:
		args = append(args, "--output", "type=docker,dest="+file)
	case e.kit == buildx:
		args = append(args, "--load", "--iidfile", iid)
	default:
		args = append(args, "--iidfile", iid)
	}
	if e.instance != "" {
		args = append(args, "--builder", e.instance)
	}
	args = append(args, "--platform", cmp.Or(b.Platform, "linux/amd64"), "-t", r.Name)
	if b.Target != "" {
		args = append(args, "--target", b.Target)
	}
	if r.NoCache {
		args = append(args, "--no-cache")
	}
	if b.Pull {
		args = append(args, e.pull)
	}
	for _, k := range slices.Sorted(maps.Keys(b.Args)) {
		args = append(args, "--build-arg", k) // the value is in the environment: others can read command lines
	}
	flags, values, err := e.secrets(r)
	if err != nil {
		return "", err
	}
	args = append(args, flags...)
	args = append(args, e.cache(r)...)
	env := e.environ(r)
	for _, more := range []map[string]string{b.Args, values, e.actions(r)} {
		env = with(env, more)
	}
	switch e.kit {
	case legacy:
		env = with(env, map[string]string{"DOCKER_BUILDKIT": "0"})
	case buildkit, buildx:
		env = with(env, map[string]string{"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"})
	}
	line := func(s string) { r.line(e.called, s) }
	if e.kit == legacy {
		err = e.buildStream(ctx, r, env, args, line)
	} else {
		if args, err = e.local(ctx, r, dir, args); err != nil {
			return "", err
		}
		err = run(ctx, command(ctx, env, e.name, args...), e.name+" build", nil, line)
	}
	if err != nil || e.exports {
		return "", err
	}
	id, err := os.ReadFile(iid)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s build succeeded and left no image", e.name)
	}
	return strings.TrimSpace(string(id)), err
}

// environ is the environment of the engine. SOURCE_DATE_EPOCH is an argument or nothing:
// what is not hashed must not be in the image.
func (e *engine) environ(r Request) []string {
	env := without(r.Environ, "SOURCE_DATE_EPOCH")
	if dir := lookup(env, "DOCKER_CONFIG"); dir != "" && e.name == "buildah" {
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
			return without(env, "DOCKER_CONFIG") // it fails without the file, though nothing is to be logged in to
		}
	}
	return env
}

// local adds the context's directory, and the Dockerfile and the ignore rules as files
// of our own: what is hashed is then what is built, and no env file or .git gets in.
func (e *engine) local(ctx context.Context, r Request, dir string, args []string) ([]string, error) {
	file := filepath.Join(dir, "Dockerfile")
	rules := file + ".dockerignore"
	if err := os.WriteFile(file, r.Context.Text, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(rules, []byte(strings.Join(r.Context.Rules, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	if e.name != "docker" {
		args = append(args, "--ignorefile", rules)
	}
	at, err := contextDir(ctx, r.Context, dir)
	if err != nil {
		return nil, err
	}
	return append(args, "-f", file, at), nil
}
