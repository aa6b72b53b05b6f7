package image

import (
	"context"
	"errors"
	"os"

	"github.com/apron-deploy/apron/providers/image/build"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
)

// made is an image that was built and checked, or found in the registry.
type made struct {
	digest      string // in the registry; there is nothing else then
	to          push.Destination
	credentials push.Credentials
	img         build.Image
	spool       string
}

// close removes what was kept on this machine. It may be called again.
func (m *made) close() {
	if m.img != nil {
		// Of temporary files, which the system cleans up, too.
		_ = errors.Join(m.img.Close(), os.RemoveAll(m.spool))
		m.img = nil
	}
}

// Prepares is true of images that are built.
func (p *Provider) Prepares(a plan.Action) bool {
	_, builds := a.Want.Detail.(Detail)
	return a.Op == plan.Create && builds
}

// Prepare builds an image and checks it, unless its tag is in the registry by then.
func (p *Provider) Prepare(ctx context.Context, a plan.Action, env apply.Env) (discard func(), err error) {
	report, d := reporter(a, env), a.Want.Detail.(Detail)
	m, err := p.make(ctx, d, report)
	if err != nil {
		return nil, p.place(d, p.space(err))
	}
	phase := "built and checked"
	if m.digest != "" {
		phase = "is in the registry"
	}
	report(apply.Progress{Phase: phase})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[a.ID] = m
	return func() {
		if m := p.take(a.ID); m != nil {
			m.close()
		}
	}, nil
}

// take returns what was prepared for an action, or nil. Whoever takes it closes it.
func (p *Provider) take(id plan.ID) *made {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.made[id]
	delete(p.made, id)
	return m
}

// make builds what the plan saw, unless it is there.
func (p *Provider) make(ctx context.Context, d Detail, report func(apply.Progress)) (*made, error) {
	to, credentials, digest, err := p.look(ctx, d.Repository, d.Identity.Tag, report)
	if err != nil || digest != "" {
		return &made{digest: digest}, err
	}
	m, err := p.built(ctx, d, report)
	if err != nil {
		return nil, err
	}
	m.to, m.credentials = to, credentials
	return m, nil
}

// built builds what the plan saw.
func (p *Provider) built(ctx context.Context, d Detail, report func(apply.Progress)) (*made, error) {
	spool, err := os.MkdirTemp(p.o.Temp, "apron-image-")
	if err != nil {
		return nil, err
	}
	m := &made{spool: spool}
	defer func() {
		if m.img == nil { // also when the build panicked
			os.RemoveAll(spool)
		}
	}()
	if m.img, err = p.build(ctx, d, spool, report); err != nil {
		return nil, err
	}
	return m, nil
}
