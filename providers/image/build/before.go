package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/apron-deploy/apron/providers/image/ignore"
)

// Before runs the hook of a request in the context's directory. Afterwards each output
// that the hook declares is there, or Before fails.
func Before(ctx context.Context, r Request) error {
	hook := r.Build.Before
	if hook == nil || len(hook.Run) == 0 {
		return nil
	}
	cmd := command(ctx, with(r.Environ, hook.Env), hook.Run[0], hook.Run[1:]...)
	cmd.Dir = r.Context.Dir
	if err := run(ctx, cmd, strings.Join(hook.Run, " "), nil, func(s string) { r.line("before", s) }); err != nil {
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return fmt.Errorf("image.build.before.run: %q is not installed, or not in PATH: %w", hook.Run[0], err)
		case errors.Is(err, exec.ErrDot):
			return fmt.Errorf("image.build.before.run: %q is found by a relative directory in PATH; write the command's path, or an absolute directory: %w", hook.Run[0], err)
		}
		return fmt.Errorf("image.build.before.run: %w", err)
	}
	for i, pattern := range hook.Outputs {
		ok, err := produced(r.Context.Dir, pattern)
		if err != nil {
			return fmt.Errorf("image.build.before.outputs[%d]: %w", i, err)
		}
		if !ok {
			return fmt.Errorf("image.build.before.outputs[%d]: the hook succeeded, but there is no %q in the context", i, pattern)
		}
	}
	return nil
}

// produced reports whether a file or directory matches pattern.
func produced(dir, pattern string) (bool, error) {
	clean := path.Clean(pattern)
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return false, fmt.Errorf("%q leads out of the context", pattern)
	}
	if !wildcard(clean) {
		_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(clean)))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	m, err := ignore.New([]string{clean})
	if err != nil {
		return false, err
	}
	found := false
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if m.Ignores(ignore.Dir{}, name) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}
