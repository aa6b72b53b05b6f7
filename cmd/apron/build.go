package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/render"
)

// builderFlags are those of every command that builds.
type builderFlags struct {
	builder string
	noCache bool
}

func (o *builderFlags) registerBuilder(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.builder, "builder", a.fallback("APRON_BUILDER", "auto"),
		"what builds the image: "+strings.Join(build.Names(), ", ")+"; also APRON_BUILDER")
	cmd.Flags().BoolVar(&o.noCache, "no-cache", false, "have the builder reuse nothing of earlier builds")
}

// check refuses a builder that is none.
func (o *builderFlags) check() error {
	if o.builder == "" {
		return nil
	}
	return build.CheckName(o.builder)
}

func (a *app) buildCommand() *cobra.Command {
	var o builderFlags
	var output string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the image on this machine, and push nothing",
		Long: "build makes the image as apply would, under the tag that names its inputs, and says\n" +
			"what came out. It needs no account.",
		Example: "  apron build --output image.tar && docker load --input image.tar",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runBuild(cmd.Context(), o, output)
		},
	}
	o.registerBuilder(a, cmd)
	a.registerOnly(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write the image to, as docker save does")
	return cmd
}

// single returns the only service of the manifests.
func (a *app) single() (*manifest.Set, *manifest.Document, error) {
	set, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	if len(set.Documents) != 1 {
		return nil, nil, &usageError{err: fmt.Errorf("the manifests hold %d services, and this is about one: name it with --only", len(set.Documents)), command: "apron"}
	}
	return set, &set.Documents[0], nil
}

// builtImage is an image on this machine.
type builtImage struct {
	FormatVersion string `json:"format_version"`
	Tag           string `json:"tag"`
	Digest        string `json:"digest"` // of the image's manifest as it would be pushed
	Output        string `json:"output,omitempty"`
}

func (a *app) runBuild(ctx context.Context, o builderFlags, output string) error {
	set, d, err := a.single()
	if err != nil {
		return err
	}
	if d.Spec.Image.Build == nil {
		return &usageError{err: errors.New("the manifest builds no image"), command: "apron build"}
	}
	img, tag, done, err := a.build(ctx, set, d, o)
	if err != nil {
		return err
	}
	defer done()
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	b := builtImage{render.FormatVersion, tag, digest.String(), output}
	if output != "" {
		plain, err := img.Archived()
		if err != nil {
			return err
		}
		if err := save(output, d.Spec.Image.Repository+":"+tag, plain); err != nil {
			return err
		}
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(b)
	}
	_, err = fmt.Fprintf(a.out, "%s:%s\n%s\n", d.Spec.Image.Repository, b.Tag, b.Digest)
	return err
}

// build makes the image of a service on this machine and tells of its progress.
func (a *app) build(ctx context.Context, set *manifest.Set, d *manifest.Document, o builderFlags) (img build.Image, tag string, done func(), err error) {
	id, err := image.Identify(ctx, d.Spec.Dir, *d.Spec.Image.Build, image.Options{Exclude: set.EnvFiles, Cache: a.cacheOf(d.Spec.Dir)})
	if err != nil {
		return nil, "", nil, placed(d, err)
	}
	r := image.Desired(d.Spec, id)
	action := plan.Action{ID: plan.ID("build " + r.Address.String()), Op: plan.Create, Target: r.Address}
	stream := render.Events(a.err, a.events())
	stream.Observe(apply.Event{Action: action, Status: apply.Started})
	p := image.NewProvider(nil, a.imageOptions(set, o, withhold(d.Spec)))
	img, done, err = p.Build(ctx, r, func(s apply.Progress) {
		s.Action = action.ID
		stream.Progress(s)
	})
	return img, id.Tag, done, errors.Join(interruptible(ctx, err), stream.Close())
}

// save writes an image as an archive that docker load takes, whole or not at all.
func save(path, tag string, img v1.Image) error {
	ref, err := name.NewTag("apron.local/" + tag)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".apron-*.tar")
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	defer os.Remove(f.Name()) // there is none once it has its name
	if err := errors.Join(tarball.Write(ref, img, f), f.Close()); err != nil {
		return fmt.Errorf("--output %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
