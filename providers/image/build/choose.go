package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Names lists what [Choose] understands, beside "buildx:INSTANCE".
func Names() []string {
	return []string{"auto", "docker", "buildx", "podman", "buildah", "builtin"}
}

// CheckName returns an error unless [Choose] understands name.
func CheckName(name string) error {
	if instance, ok := strings.CutPrefix(name, "buildx:"); name == "" || ok && instance != "" && !strings.HasPrefix(instance, "-") || slices.Contains(Names(), name) {
		return nil
	}
	return fmt.Errorf("builder %q is none of %s, buildx:INSTANCE", name, strings.Join(Names(), ", "))
}

// Choose returns the builder called name, or, with auto or none, the one that the
// manifest names. Where that is auto too, it is docker if a daemon answers; else the
// built-in builder if it can carry out the Dockerfile; else podman or buildah. A docker
// that has nothing but its legacy builder, which knows less than today's Dockerfiles ask
// of it, comes after the built-in one. What the built-in builder turns out to lack only
// while it builds is built by what would come next.
func Choose(ctx context.Context, name string, r Request) (Builder, error) {
	if name == "" || name == "auto" {
		name = cmp.Or(r.Build.Builder, "auto")
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	kind, instance, _ := strings.Cut(name, ":")
	switch kind {
	case "builtin":
		return Builtin{}, Builtin{}.Check(r)
	case "docker", "buildx":
		e, err := findDocker(ctx, r.Environ, kind, instance)
		return found(e, name, err)
	case "podman", "buildah":
		e, err := findOther(ctx, r.Environ, name)
		return found(e, name, err)
	}
	docker, err := findDocker(ctx, r.Environ, "docker", "")
	if err == nil && docker.kit != legacy {
		return docker, nil
	}
	builtin := Builtin{}.Check(r)
	if builtin == nil {
		return preferred{docker: docker, err: err}, nil
	}
	if !lacks(builtin) {
		return nil, builtin // no engine understands it either
	}
	e, why := remaining(ctx, r, docker, err)
	if e == nil {
		return nil, &NoBuilderError{Unsupported: builtin, Engines: why}
	}
	return e, nil
}

// remaining returns the engine that comes after the built-in builder: docker with its legacy
// builder, unless err says why there is none; else podman or buildah; or why there is none.
func remaining(ctx context.Context, r Request, docker *engine, err error) (*engine, []error) {
	if err == nil {
		if _, _, err = docker.secrets(r); err == nil {
			return docker, nil
		}
	}
	why := []error{err}
	for _, name := range []string{"podman", "buildah"} {
		e, err := findOther(ctx, r.Environ, name)
		if err == nil {
			return e, nil
		}
		why = append(why, err)
	}
	return nil, why
}

// preferred is the built-in builder where nobody has asked for it. Some of what it lacks is
// known neither from the Dockerfile nor before a hook has run: what a base image brings, what
// a variable stands for, which file is an archive.
type preferred struct {
	Builtin
	docker *engine // with its legacy builder
	err    error   // why there is none
}

var _ Builder = preferred{}

// Build carries out the Dockerfile, or has an engine do so. The built-in builder finds out
// what it lacks before it has made any layer.
func (p preferred) Build(ctx context.Context, r Request) (Image, error) {
	img, err := p.Builtin.Build(ctx, r)
	if err == nil || !lacks(err) {
		return img, err
	}
	e, _ := remaining(ctx, r, p.docker, p.err)
	if e == nil {
		return nil, err
	}
	r.line(p.Name(), fmt.Sprintf("%v: %s builds it instead", err, e.Name()))
	return e.Build(ctx, r)
}

// lacking is an error about something that the built-in builder cannot do, and finds only
// while it builds.
type lacking struct{ error }

func (l lacking) Unwrap() error { return l.error }

// lacks reports whether an engine may do what the built-in builder could not.
func lacks(err error) bool {
	_, before := errors.AsType[*UnsupportedError](err)
	_, during := errors.AsType[lacking](err)
	return before || during
}

func found(e *engine, name string, err error) (Builder, error) {
	if err != nil {
		return nil, fmt.Errorf("builder %s cannot be used: %w", name, err)
	}
	return e, nil
}

// NoBuilderError says that no builder can carry out a Dockerfile on this machine.
type NoBuilderError struct {
	Unsupported error   // what the built-in builder lacks
	Engines     []error // why no engine can be used
}

var _ error = (*NoBuilderError)(nil)

func (e *NoBuilderError) Error() string {
	text := e.Unsupported.Error()
	for _, err := range e.Engines {
		text += "\n  " + first(err)
	}
	return text
}

// Hint says what to install.
func (e *NoBuilderError) Hint() string {
	return "install and start docker (or podman, buildah), or move the step into image.build.before"
}

func (e *NoBuilderError) Unwrap() []error { return append([]error{e.Unsupported}, e.Engines...) }

// first is the essence of a command's failure: its cause, or the last line it printed.
func first(err error) string {
	c, ok := errors.AsType[*CommandError](err)
	switch {
	case ok && c.Cause != "":
		return c.Name + ": " + c.Cause
	case ok && len(c.Tail) > 0:
		return c.Name + ": " + c.Tail[len(c.Tail)-1]
	}
	return err.Error()
}
