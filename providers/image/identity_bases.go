package image

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/source"
	"github.com/apron-deploy/apron/reconcile/state"
)

// addBases makes the digests of base images a part of the identity. One that cannot be
// looked up is an error: with another name for each state of the network, a service would
// be rolled out for nothing, and back again.
func (id *Identity) addBases(ctx context.Context, c *source.Context, b state.Build, o origin.Options) error {
	refs, err := build.Bases(c.Shown(), c.Text, b)
	if err != nil {
		return &source.Error{Key: "image.build.pull", Why: fmt.Sprintf("the base images are not known: %v", err), Fix: "mend that line, which must not depend on a syntax line, or leave pull out"}
	}
	digests := make([]string, len(refs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, ref := range refs {
		g.Go(func() (err error) {
			digests[i], err = origin.Digest(ctx, ref, o)
			var wrong *origin.Error
			if errors.As(err, &wrong) {
				return &source.Error{Key: "image.build.pull", Why: fmt.Sprintf("base image %q: %s", ref, wrong.Why), Fix: wrong.Fix}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, ref := range refs {
		id.add("base "+ref, text(digests[i]))
	}
	return nil
}
