package image

import (
	"context"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Build makes the image of a resource of [Desired] on this machine, with everything that
// a deployment checks, and pushes nothing. Its layers are read from a directory that
// done removes.
func (p *Provider) Build(ctx context.Context, r state.Resource, report func(apply.Progress)) (img v1.Image, done func(), err error) {
	d, ok := r.Detail.(Detail)
	if !ok {
		return nil, nil, fmt.Errorf("%s: is not an image that is built", r.Address)
	}
	spool, err := os.MkdirTemp(p.o.Temp, "apron-image-")
	if err != nil {
		return nil, nil, p.space(err)
	}
	done = func() { _ = os.RemoveAll(spool) } // of temporary files: the system cleans up, too
	if img, err = p.build(ctx, d, spool, report); err != nil {
		done()
		return nil, nil, p.space(err)
	}
	return img, done, nil
}
