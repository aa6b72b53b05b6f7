package image

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

// Build makes the image of a resource of [Desired] on this machine, with everything that
// a deployment checks, and pushes nothing. Its layers are read from where the builder has
// left them, under ctx, and from a directory that done removes.
func (p *Provider) Build(ctx context.Context, r state.Resource, report func(apply.Progress)) (img build.Image, done func(), err error) {
	d, ok := r.Detail.(Detail)
	if !ok {
		return nil, nil, fmt.Errorf("%s: is not an image that is built", r.Address)
	}
	spool, err := os.MkdirTemp(p.o.Temp, "apron-image-")
	if err != nil {
		return nil, nil, p.space(err)
	}
	if img, err = p.build(ctx, d, spool, report); err != nil {
		return nil, nil, p.space(errors.Join(err, os.RemoveAll(spool)))
	}
	return img, func() {
		// Of temporary files, which the system cleans up, too, and of what only saves time.
		_ = errors.Join(img.Close(), os.RemoveAll(spool), p.o.Known.Save())
	}, nil
}
