package build

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Builtin builds Dockerfiles that execute nothing.
type Builtin struct {
	// Pull gets a base image; nil pulls from its registry with the credentials that
	// docker login has stored.
	Pull func(ctx context.Context, ref string, platform v1.Platform) (v1.Image, error)
}

var _ Builder = Builtin{}

// Name returns "builtin".
func (Builtin) Name() string { return "builtin" }

// Check returns an error that says why the built-in builder cannot carry out r: an
// *[UnsupportedError], or an *[ParseError].
func (Builtin) Check(r Request) error {
	d, err := parse(r.Context.Shown(), r.Context.Text, r.Build)
	if err != nil {
		return err
	}
	return d.unsupported()
}

// Build carries out the Dockerfile.
func (b Builtin) Build(ctx context.Context, r Request) (Image, error) {
	d, err := parse(r.Context.Shown(), r.Context.Text, r.Build)
	if err != nil {
		return nil, err
	}
	if err := d.unsupported(); err != nil {
		return nil, err
	}
	w := &work{d: d, r: r, pull: b.Pull, done: map[int]*image{}, images: map[string]*image{}, used: map[string]bool{}}
	for _, other := range []func(context.Context, string, v1.Platform) (v1.Image, error){r.Pull, pull} {
		if w.pull == nil {
			w.pull = other
		}
	}
	when, err := epochOf(r.Build)
	if err != nil {
		return nil, err
	}
	w.when = when.seconds
	for _, i := range d.needed() {
		if w.done[i], err = w.stage(ctx, i); err != nil {
			return nil, err
		}
	}
	w.reportUnused()
	img, err := w.finish(ctx, w.done[d.target])
	if err != nil {
		return nil, err
	}
	return readied(img)
}

// pull reads a base image from its registry, lazily.
func pull(ctx context.Context, ref string, platform v1.Platform) (v1.Image, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	return remote.Image(r, remote.WithContext(ctx), remote.WithPlatform(platform),
		remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// work is one build under way.
type work struct {
	d       *dockerfile
	r       Request
	pull    func(context.Context, string, v1.Platform) (v1.Image, error)
	when    int64 // seconds since 1970, of everything in the image
	context *node // nil until it is needed
	done    map[int]*image
	images  map[string]*image // pulled, by reference and platform
	used    map[string]bool   // build arguments that were declared
}

// image is a stage's state: what a later one can start from or copy from.
type image struct {
	config  v1.ConfigFile
	vars    map[string]string // ENV and ARG, for expansion
	history []v1.History
	below   []v1.Layer         // of the base image
	above   []map[string]*node // one for each instruction that changed files
	root    *node              // nil until it is needed
	oci     bool               // media types are OCI's, as the base image's are
}

// clone returns a state that a further stage may change.
func (i *image) clone() *image {
	c := *i
	c.config = *i.config.DeepCopy()
	c.vars = map[string]string{}
	for k, v := range i.vars {
		c.vars[k] = v
	}
	c.history = append([]v1.History(nil), i.history...)
	c.above = append([]map[string]*node(nil), i.above...)
	if i.root != nil {
		c.root = i.root.clone()
	}
	return &c
}

// tree returns the file system, reading the layers of a base image at the first call.
func (i *image) tree(spool string) (*node, error) {
	if i.root == nil {
		root, err := load(i.below, spool)
		if err != nil {
			return nil, fmt.Errorf("read the base image: %w", err)
		}
		i.root = root
	}
	return i.root, nil
}

// defaultPath is what BuildKit gives a stage whose base image has no PATH, and the image that
// comes of it, whether anything refers to it or not.
// https://github.com/moby/buildkit/blob/v0.34.2/frontend/dockerfile/dockerfile2llb/convert.go
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// begin makes the state of an image that of a stage that starts from it.
func (i *image) begin() *image {
	config := &i.config.Config
	if _, ok := variables(config.Env)["PATH"]; !ok && i.config.OS != "windows" {
		config.Env = append(config.Env, defaultPath)
	}
	i.vars = variables(config.Env)
	return i
}

// scratch is the empty image, as BuildKit has it.
func (w *work) scratch() *image {
	return &image{
		root: newDir(0o755),
		config: v1.ConfigFile{
			OS: w.d.os.OS, Architecture: w.d.os.Architecture, Variant: w.d.os.Variant,
			RootFS: v1.RootFS{Type: "layers"},
			Config: v1.Config{WorkingDir: "/"},
		},
	}
}

// base pulls ref, once.
func (w *work) base(ctx context.Context, ref, platform string) (*image, error) {
	os := w.d.os
	if platform != "" {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return nil, err
		}
		os = *p
	}
	key := ref + " " + os.String()
	if img, ok := w.images[key]; ok {
		return img, nil
	}
	w.r.line("builtin", "FROM "+ref)
	img, err := w.pull(ctx, ref, os)
	if err != nil {
		return nil, fmt.Errorf("base image %s: %w", ref, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("base image %s: %w", ref, err)
	}
	if config.OS != os.OS || config.Architecture != os.Architecture {
		return nil, fmt.Errorf("base image %s is for %s/%s, not for %s", ref, config.OS, config.Architecture, os.String())
	}
	if len(config.Config.OnBuild) > 0 {
		return nil, lacking{fmt.Errorf("base image %s has ONBUILD instructions, which need docker, podman or buildah", ref)}
	}
	media, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	i := &image{config: *config.DeepCopy(), history: config.History, oci: media == types.OCIManifestSchema1}
	if i.below, err = layersOf(img, w.r.Spool); err != nil {
		return nil, fmt.Errorf("base image %s: %w", ref, err)
	}
	w.images[key] = i
	return i, nil
}

// finish writes the layers, several at once, and puts the image together.
func (w *work) finish(ctx context.Context, i *image) (v1.Image, error) {
	media, manifest, configType := types.DockerLayer, types.DockerManifestSchema2, types.DockerConfigJSON
	if i.oci {
		media, manifest, configType = types.OCILayer, types.OCIManifestSchema1, types.OCIConfigJSON
	}
	when := time.Unix(w.when, 0).UTC()
	layers := make([]v1.Layer, len(i.above))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for n, changes := range i.above {
		group.Go(func() error {
			l, err := compress(w.r.Spool, media, func(out io.Writer) error { return archive(gctx, out, changes, when) })
			layers[n] = l
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("write a layer: %w", err)
	}
	layers = append(append([]v1.Layer(nil), i.below...), layers...)
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, manifest), configType)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	config := i.config.DeepCopy()
	config.Created = v1.Time{Time: when}
	config.History = i.history
	config.RootFS = v1.RootFS{Type: "layers"}
	for _, l := range layers {
		diff, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diff)
	}
	label(&config.Config, w.r.Build.Labels)
	return mutate.ConfigFile(img, config)
}

// reportUnused tells of build arguments that no ARG declares, as docker does.
func (w *work) reportUnused() {
	for _, k := range sortedKeys(w.d.args) {
		if _, global := w.d.global[k]; !global && !w.used[k] && k != "SOURCE_DATE_EPOCH" {
			w.r.line("builtin", fmt.Sprintf("build argument %s is not declared by any ARG that the build reaches", k))
		}
	}
}
