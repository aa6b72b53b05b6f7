package main

import (
	"context"
	"time"

	"github.com/apron-deploy/apron/providers/cloudtrail"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// absent is said of a change that no event tells of. CloudTrail takes five minutes on
// average, which nobody guarantees.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
const absent = "who changed it is not yet in CloudTrail, which takes some minutes, or was never logged there"

// blamed is a view that says what somebody else has changed.
type blamed interface {
	Touched() []string
	Blame(address string, b render.Blame)
}

// explainWho adds to a view who has changed what it shows. That nobody may ask CloudTrail
// is told once, and no error.
func (s *session) explainWho(ctx context.Context, v blamed, f facts) {
	trail := cloudtrail.New(s.cfg)
	for _, text := range v.Touched() {
		addr, err := state.ParseAddress(text)
		if err != nil {
			continue
		}
		if !cloudtrail.Knows(addr) {
			v.Blame(text, render.Blame{Note: "who changed it is not asked of CloudTrail"})
			continue
		}
		events, err := trail.Who(ctx, cloudtrail.Question{Address: addr, ID: f.live[addr].ID, Since: s.releasedAt(f)})
		if err != nil {
			s.a.warn("who changed what is live cannot be said: %v", interruptible(ctx, err))
			return
		}
		b := render.Blame{}
		for _, e := range events {
			b.Events = append(b.Events, render.Event{Call: e.Name, Who: e.Who, At: e.At, From: e.From})
		}
		if len(events) == 0 {
			b.Note = absent
		}
		v.Blame(text, b)
	}
}

// releasedAt is when the last release that succeeded had ended, which is the first of them
// where there are several; zero where one has none.
func (s *session) releasedAt(f facts) time.Time {
	var first time.Time
	for _, spec := range s.specs {
		success := f.recent[spec.Service].Success
		if success == nil {
			return time.Time{}
		}
		if at := success.StartedAt.Add(time.Duration(success.TookMS) * time.Millisecond); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
