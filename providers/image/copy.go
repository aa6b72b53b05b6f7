package image

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

// CopyDetail is what is needed to copy an image that exists already.
type CopyDetail struct {
	Repository string
	Pin        *origin.Pin
	Options    origin.Options
	Like       []string // tags of the repository whose images probably have layers in common
}

// Copied returns the image that a manifest asks for by image.from, as pin says what that
// stands for now. It is pure. What is remembered nowhere of an archive's layers is learned as
// for [Desired].
func Copied(spec state.Spec, pin *origin.Pin, o origin.Options, like ...string) state.Resource {
	repository := cmp.Or(spec.Image.Repository, spec.Service)
	fields := []state.Field{
		{Path: "repository", Value: state.Address{Target: "ecr", Kind: "repository", Name: repository}.String(), Ref: true, Order: true},
		// The tag covers these, and ECR does not tell them: shown, never compared. It has
		// twelve digits of the digest, which whoever makes images can have two of agree in: an
		// approval is for all of them.
		{Path: "from", Value: pin.Reference, Provenance: true, Source: pin.Digest},
		{Path: "platform", Value: platformsOf(pin), Provenance: true},
	}
	if pin.Manifest != "" {
		fields = append(fields, state.Field{Path: "digest", Value: pin.Manifest, Provenance: true})
	}
	return state.Resource{Address: Address(repository, pin.Tag()), Fields: state.Sort(fields), Detail: CopyDetail{repository, pin, o, slices.Concat(like, spec.Image.Tags)}}
}

// platformsOf is what of a source is copied.
func platformsOf(pin *origin.Pin) string {
	if pin.Whole {
		return "all, with " + pin.Platform
	}
	return pin.Platform
}

// copy brings what was pinned into the registry, unless its tag is there by then.
func (p *Provider) copy(ctx context.Context, d CopyDetail, report func(apply.Progress)) (state.Outcome, error) {
	to, credentials, digest, err := p.look(ctx, d.Repository, d.Pin.Tag(), report)
	if err != nil || digest != "" {
		return state.Outcome{ID: digest}, err
	}
	from := d.Options
	from.Known, from.Temp = p.o.Known, p.o.Temp
	s, err := origin.Open(ctx, d.Pin, from)
	if err != nil {
		return state.Outcome{}, err
	}
	defer s.Close()
	o := p.o.Push
	o.FirstWins, o.Like = true, d.Like
	moving := follow(&o, "copying "+d.Pin.From, report)
	report(apply.Progress{Phase: moving.phase})
	if digest, _, err = origin.Copy(ctx, s, to, credentials, o); err != nil {
		return state.Outcome{}, err
	}
	moving.end()
	return state.Outcome{ID: digest}, nil
}

// look logs in to the registry and asks whether it has the tag: then its digest is
// returned.
func (p *Provider) look(ctx context.Context, repository, tag string, report func(apply.Progress)) (push.Destination, push.Credentials, string, error) {
	endpoint, user, pass, err := p.registry.Registry(ctx)
	if err != nil {
		return push.Destination{}, nil, "", fmt.Errorf("log in to the registry: %w; nothing was pushed", err)
	}
	to := push.Destination{Endpoint: endpoint, Repository: repository, Tag: tag}
	report(apply.Progress{Phase: "looking for the image"})
	digest, err := push.Lookup(ctx, to, p.credentials(user, pass), p.o.Push)
	return to, p.credentials(user, pass), digest, err // each takes the token that there is first
}
