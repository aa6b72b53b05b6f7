package build

import (
	"context"
	"fmt"
	"io"
	"maps"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/providers/image/store"
	"github.com/apron-deploy/apron/reconcile/pattern"
)

// take opens what the engine has built, where it lies: its store, or the archive file that
// it wrote. Layers are read, and compressed, only when somebody needs them so; those with a
// SOURCE_DATE_EPOCH at once, because they are to become others.
//
// What differs from build to build is not in the configuration: the time of the build, the
// container that it ran in. Files keep their times, because programs look at them, Python's
// compiled modules for one; with a SOURCE_DATE_EPOCH none is later than that.
func (e *engine) take(ctx context.Context, r Request, id, file string, when epoch) (Image, error) {
	img, err := e.open(ctx, r, id, file)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		img.Close()
		return nil, fmt.Errorf("read what %s built: %w", e.name, err)
	}
	config = normal(config, when.time(), r.Build.Labels)
	if when.set {
		defer img.Close()
		packed, err := repack(ctx, img, config, r.Spool, when.time())
		if err != nil {
			return nil, err
		}
		return readied(packed)
	}
	out, err := img.WithConfig(config)
	if err != nil {
		img.Close()
		return nil, err
	}
	return out, nil
}

// open opens what the engine has built, as the engine has it.
func (e *engine) open(ctx context.Context, r Request, id, file string) (*store.Image, error) {
	o := store.Options{Known: r.Known, Platform: r.Build.Platform, Temp: r.Spool, Packing: func(diff v1.Hash, plain int64) {
		r.line(e.called, "compressing layer "+diff.String()+sized(plain))
	}}
	if e.exports {
		img, err := store.Open(file, o)
		if err != nil {
			return nil, fmt.Errorf("read what %s saved: %w", e.name, err)
		}
		return img, nil
	}
	env := e.environ(r)
	o.Daemon = store.DockerSocket(func(name string) string { return lookup(env, name) })
	return store.FromEngine(ctx, e.name, func(ctx context.Context, out io.Writer, args ...string) error {
		asked := e.name + " " + args[0]
		if args[0] == "image" {
			asked += " " + args[1]
		}
		return explain(run(ctx, command(ctx, env, e.name, args...), asked, out, nil), e.name, &r)
	}, id, o)
}

func sized(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %.1f MB", float64(n)/1e6)
}

// normal returns a configuration without what differs from build to build.
func normal(c *v1.ConfigFile, when time.Time, labels map[string]string) *v1.ConfigFile {
	c = c.DeepCopy()
	c.Created = v1.Time{Time: when}
	for i := range c.History {
		h := &c.History[i]
		h.Created = c.Created
		if scratchpad().MatchString(h.Comment) {
			h.Comment = ""
		}
	}
	c.Container, c.Config.Hostname, c.Config.Image = "", "", ""
	label(&c.Config, labels)
	return c
}

// scratchpad is how podman and buildah name the image that a step began with, by an id
// that is another one in every build.
var scratchpad = pattern.Lazy(`^FROM [0-9a-f]{12}$`)

// label sets the labels of a build, which win over those of the Dockerfile.
func label(c *v1.Config, labels map[string]string) {
	if len(labels) > 0 && c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, labels)
}
