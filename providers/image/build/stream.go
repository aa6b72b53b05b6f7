package build

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// buildStream sends the context as an archive. The legacy builder knows one name for the
// ignore file, and itself removes the Dockerfile if that says so.
func (e *engine) buildStream(ctx context.Context, r Request, env, args []string, line func(string)) error {
	name, err := filepath.Rel(r.Context.Dir, r.Context.Dockerfile)
	if err != nil || !filepath.IsLocal(name) {
		name = outsider
	}
	name = filepath.ToSlash(name)
	files, err := r.Context.Files(ctx)
	if err != nil {
		return err
	}
	tree, err := contextTree(r.Context, files)
	if err != nil {
		return err
	}
	changes := map[string]*node{}
	flatten(tree, "/", changes)
	if _, ok := changes["/"+name]; !ok {
		changes["/"+name] = textFile(string(r.Context.Text))
	}
	rules := slices.Clone(r.Context.Rules)
	_, shown := changes["/.dockerignore"]
	if !shown {
		rules = append(rules, ".dockerignore")
	}
	if name == outsider {
		rules = append(rules, outsider)
	}
	if !shown || name == outsider {
		changes["/.dockerignore"] = textFile(strings.Join(rules, "\n") + "\n")
	}
	in, out := io.Pipe()
	cmd := command(ctx, env, e.name, append(args, "-f", name, "-")...)
	cmd.Stdin = in
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := archive(gctx, out, changes, time.Unix(0, 0))
		out.CloseWithError(err)
		if errors.Is(err, io.ErrClosedPipe) {
			return nil // docker stopped reading; its own error says why
		}
		return err
	})
	group.Go(func() error {
		defer in.Close()
		return run(gctx, cmd, e.name+" build", nil, line)
	})
	return group.Wait()
}

// outsider is what a Dockerfile from outside the context is called within it.
const outsider = ".apron.Dockerfile"

// flatten lists a tree by path.
func flatten(n *node, at string, into map[string]*node) {
	for name, kid := range n.kids {
		to := at + name
		into[to] = kid
		if kid.kind == tar.TypeDir {
			flatten(kid, to+"/", into)
		}
	}
}
