package build

import (
	"context"
	"errors"
	"fmt"
)

// Names lists what [Choose] understands.
func Names() []string { return []string{"auto", "docker", "podman", "buildah", "builtin"} }

// Choose returns the builder called name. With auto, or none, that is docker if a daemon
// answers; else the built-in builder if it can carry out the Dockerfile; else podman or
// buildah.
func Choose(ctx context.Context, name string, r Request) (Builder, error) {
	switch name {
	case "builtin":
		return Builtin{}, Builtin{}.Check(r)
	case "docker":
		e, err := findDocker(ctx, r.Environ)
		return found(e, name, err)
	case "podman", "buildah":
		e, err := findOther(ctx, r.Environ, name)
		return found(e, name, err)
	case "", "auto":
	default:
		return nil, fmt.Errorf("builder %q is none of %q", name, Names())
	}
	e, err := findDocker(ctx, r.Environ)
	if err == nil {
		return e, nil
	}
	why := []error{err}
	builtin := Builtin{}.Check(r)
	if builtin == nil {
		return Builtin{}, nil
	}
	if _, ok := errors.AsType[*UnsupportedError](builtin); !ok {
		return nil, builtin // no engine understands it either
	}
	for _, name := range []string{"podman", "buildah"} {
		e, err := findOther(ctx, r.Environ, name)
		if err == nil {
			return e, nil
		}
		why = append(why, err)
	}
	return nil, &NoBuilderError{Unsupported: builtin, Engines: why}
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

// first is the essence of a command's failure: the last line that it printed.
func first(err error) string {
	if c, ok := errors.AsType[*CommandError](err); ok && len(c.Tail) > 0 {
		return c.Name + ": " + c.Tail[len(c.Tail)-1]
	}
	return err.Error()
}
