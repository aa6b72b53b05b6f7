package build

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// engine is a builder that is a program of its own.
type engine struct {
	name  string
	flags []string // of build, that only this one knows
	// buildx says that docker's build is BuildKit's; false for the legacy builder,
	// which takes the context on standard input.
	buildx bool
	modern string // value of DOCKER_BUILDKIT; empty for the others
}

var _ Builder = (*engine)(nil)

func (e *engine) Name() string { return e.name }

// Build runs the engine and takes the image from it through a temporary archive.
func (e *engine) Build(ctx context.Context, r Request) (v1.Image, error) {
	for _, k := range slices.Sorted(maps.Keys(r.Build.Args)) {
		if k == "PATH" || k == "HOME" || strings.HasPrefix(k, "DOCKER_") || strings.ContainsAny(k, "= ") || k == "" {
			return nil, fmt.Errorf("build argument %q would change %s itself, as values travel in its environment; give it another name", k, e.name)
		}
	}
	dir, err := os.MkdirTemp(r.Spool, "engine-")
	if err != nil {
		return nil, err
	}
	id, err := e.build(ctx, r, dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "image.tar")
	if err := e.save(ctx, r, id, file); err != nil {
		return nil, err
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, fmt.Errorf("read what %s saved: %w", e.name, err)
	}
	return repack(ctx, img, r.Spool)
}

// build returns the image's id.
func (e *engine) build(ctx context.Context, r Request, dir string) (string, error) {
	b := r.Build
	iid := filepath.Join(dir, "iid")
	args := append([]string{"build"}, e.flags...)
	args = append(args, "--platform", cmp.Or(b.Platform, "linux/amd64"), "-t", r.Name, "--iidfile", iid)
	if b.Target != "" {
		args = append(args, "--target", b.Target)
	}
	for _, k := range slices.Sorted(maps.Keys(b.Args)) {
		args = append(args, "--build-arg", k) // the value is in the environment: others can read command lines
	}
	for _, k := range slices.Sorted(maps.Keys(b.Labels)) {
		args = append(args, "--label", k+"="+b.Labels[k])
	}
	env := with(r.Environ, b.Args)
	if e.modern != "" {
		env = with(env, map[string]string{"DOCKER_BUILDKIT": e.modern, "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"})
	}
	line := func(s string) { r.line(e.name, s) }
	var err error
	if e.name == "docker" && !e.buildx {
		err = e.buildStream(ctx, r, env, args, line)
	} else {
		if args, err = e.local(r, dir, args); err != nil {
			return "", err
		}
		err = run(ctx, command(ctx, env, e.name, args...), e.name+" build", nil, line)
	}
	if err != nil {
		return "", err
	}
	id, err := os.ReadFile(iid)
	return strings.TrimSpace(string(id)), err
}

// local adds the context's directory, and the Dockerfile and the ignore rules as files
// of our own: what is hashed is then what is built, and no env file or .git gets in.
func (e *engine) local(r Request, dir string, args []string) ([]string, error) {
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
	return append(args, "-f", file, r.Context.Dir), nil
}

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

// save writes the image as an archive in docker's format.
func (e *engine) save(ctx context.Context, r Request, id, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	args := []string{"save", id}
	switch e.name {
	case "podman":
		args = []string{"save", "--format", "docker-archive", "-o", file, id}
	case "buildah":
		args = []string{"push", "-q", id, "docker-archive:" + file}
		if err := os.Remove(file); err != nil { // it refuses to write into a file
			return err
		}
	}
	if err := run(ctx, command(ctx, r.Environ, e.name, args...), e.name+" "+args[0], f, nil); err != nil {
		return err
	}
	return f.Close()
}

// repack compresses the layers of a saved image, several at once: an archive of docker
// holds them plain, and a push would compress them one by one, twice.
func repack(ctx context.Context, saved v1.Image, spool string) (v1.Image, error) {
	layers, err := saved.Layers()
	if err != nil {
		return nil, err
	}
	config, err := saved.ConfigFile()
	if err != nil {
		return nil, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	packed := make([]v1.Layer, len(layers))
	for i, l := range layers {
		group.Go(func() error {
			out, err := compress(spool, types.DockerLayer, func(w io.Writer) error {
				r, err := l.Uncompressed()
				if err != nil {
					return err
				}
				defer r.Close()
				_, err = io.Copy(w, reader{gctx, r})
				return err
			})
			packed[i] = out
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("compress the layers: %w", err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.DockerManifestSchema2), types.DockerConfigJSON)
	if img, err = mutate.AppendLayers(img, packed...); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, config)
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}

// findDocker returns the docker builder if a daemon answers, or says why there is none.
func findDocker(ctx context.Context, env []string) (*engine, error) {
	client, err := ask(ctx, env, "docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
	if err != nil {
		return nil, err
	}
	e := &engine{name: "docker", modern: "0"}
	help, err := ask(ctx, env, "docker", "buildx", "build", "--help")
	switch major, _, _ := strings.Cut(client, "."); {
	case err == nil && strings.Contains(help, "--iidfile"):
		e.buildx, e.modern, e.flags = true, "1", []string{"--load"}
		if strings.Contains(help, "--provenance") {
			e.flags = append(e.flags, "--provenance=false")
		}
		if strings.Contains(help, "--sbom") {
			e.flags = append(e.flags, "--sbom=false")
		}
	default: // clients before 23 have BuildKit built in, later ones the legacy builder only
		if n, err := strconv.Atoi(major); err == nil && n < 23 {
			e.buildx, e.modern = true, "1"
		}
	}
	return e, nil
}

// findOther returns podman or buildah if it is installed and works.
func findOther(ctx context.Context, env []string, name string) (*engine, error) {
	if _, err := ask(ctx, env, name, "info"); err != nil {
		return nil, err
	}
	e := &engine{name: name, flags: []string{"--format", "docker"}}
	if help, err := ask(ctx, env, name, "build", "--help"); err == nil && strings.Contains(help, "--identity-label") {
		e.flags = append(e.flags, "--identity-label=false")
	}
	return e, nil
}

// patience is how long a program may take to say whether it works.
const patience = 10 * time.Second

func ask(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s did not answer within %s", name, patience))
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, command(ctx, env, name, args...), name, &out, nil)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return out.String(), err
}
