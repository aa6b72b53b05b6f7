package main

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/apron-deploy/apron/providers/image"
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
// those were is known to machines that have planned it; AWS keeps only their hash.
func (s *session) explainInputs(p planned) {
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
			s.a.say("%s: %v", spec.Service, err)
			continue
		}
		s.a.say("%s: inputs that changed since %s, which runs:", spec.Service, tag)
		for _, c := range image.Explain(old, now) {
			s.a.say("  %s %s", c.Op, c.Input)
		}
	}
}
