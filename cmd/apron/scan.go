package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

// gate waits for ECR's scan of the image that a service is about to get, and refuses what
// the manifest does not want to run.
func (s *session) gate(ctx context.Context, service string, env apply.Env, waiting func(string)) error {
	var spec state.Spec
	for _, sp := range s.specs {
		if sp.Service == service {
			spec = sp
		}
	}
	g := spec.Image.Gate
	if g == nil {
		return nil
	}
	address := s.imageAddress(spec)
	out, ok := env.Lookup(address)
	if !ok {
		return fmt.Errorf("%s is not known, so that its scan cannot be judged", address)
	}
	o := ecr.GateOptions{FailOn: g.FailOn, Poll: s.poll(), Now: time.Now,
		Waiting: func(state string) { waiting("waiting for the scan of the image: " + state) }}
	for _, a := range g.Allow {
		o.Allow = append(o.Allow, ecr.Allowance{ID: a.ID, Until: a.Until})
	}
	digest := out.ID
	if pin := s.pins[service]; pin != nil && pin.Whole {
		digest = pin.Image // ECR scans images, not indexes; this is the one that runs
	}
	report, err := ecr.NewScans(s.cfg).Gate(ctx, spec.Image.Repository, digest, o)
	if report != nil && len(report.Findings) > 0 {
		s.a.scanTable(report)
	}
	if report != nil {
		for _, a := range report.Expired {
			s.a.warn("image.scan.allow: %s has ended on %s", a.ID, a.Until.Format(time.DateOnly))
		}
	}
	return err
}

// scanTable writes what a scan found.
func (a *app) scanTable(r *ecr.ScanReport) {
	_ = columns(a.err, r.Table()) // to stderr, as every remark
}
