package image

import (
	"context"
	"fmt"

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
	m, err := p.built(ctx, d, report)
	if err != nil {
		return nil, nil, p.place(d, p.space(err))
	}
	return m.img, func() {
		m.close()
		_ = p.o.Known.Save() // which only saves time
	}, nil
}
