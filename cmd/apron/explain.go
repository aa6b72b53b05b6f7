package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/apron-deploy/apron/providers/image"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

// cacheOf is the directory for what is remembered of one manifest's directory.
func (a *app) cacheOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if a.cache == "" || err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(a.cache, hex.EncodeToString(sum[:8]))
}

// explainInputs says which inputs of each image changed since the image that runs. What
// those were is known to machines that have planned it, and from the release that has put
// it there.
func (s *session) explainInputs(ctx context.Context, w wiring, p planned) {
	for _, spec := range s.specs {
		if pin := s.pins[spec.Service]; pin != nil {
			s.a.say("%s: the image is %s", spec.Service, pin.Reference)
			continue
		}
		now := s.images[spec.Service]
		running := p.facts.live[serviceAddress(spec)].Value("image")
		_, tag, _ := strings.Cut(running, ":")
		switch {
		case tag == "":
			s.a.say("%s: no image runs that could be compared", spec.Service)
			continue
		case tag == now.Tag:
			s.a.say("%s: no input changed since %s, which runs", spec.Service, tag)
			continue
		}
		old, err := image.Recall(s.a.cacheOf(spec.Dir), tag)
		if err != nil {
			old, err = s.learned(ctx, w, spec, p.facts, tag, err)
		}
		if err != nil {
			s.a.say("%s: %v", spec.Service, err)
			continue
		}
		s.a.say("%s: inputs that changed since %s, which runs:", spec.Service, tag)
		for _, c := range image.Explain(old, now) {
			s.a.say("  %s %s", c.Op, c.Input)
		}
	}
}

// learned is what a release says that the image of a tag was made of, or else why nobody
// knows.
func (s *session) learned(ctx context.Context, w wiring, spec state.Spec, f facts, tag string, why error) (image.Identity, error) {
	recent := f.recent[spec.Service]
	all := recent.Attempts
	if recent.Success != nil {
		all = append([]release.Record{*recent.Success}, all...)
	}
	for _, r := range all {
		if r.Image.Tag != tag || r.Image.Inputs == "" {
			continue
		}
		text, err := w.registry.Blob(ctx, r.Image.Repository, r.Image.Inputs)
		if err != nil {
			return image.Identity{}, fmt.Errorf("release %d keeps what %s was made of, and that cannot be read: %w", r.Number, tag, interruptible(ctx, err))
		}
		return image.Learn(tag, text)
	}
	return image.Identity{}, why
}
