package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/cloudtrail"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// absent is said of a change that no event tells of.
const absent = "who changed it is not yet in CloudTrail, which takes some minutes, or was never logged there"

// late is said of the events there are: a later change may be missing.
func late(now time.Time) string {
	return "calls since " + now.Add(-cloudtrail.Late).UTC().Format("2006-01-02 15:04 UTC") + " may be missing, which CloudTrail shows up to 15 minutes late"
}

// blamed is a view that says what somebody else has changed.
type blamed interface {
	Touched() []string
	Blame(address string, b render.Blame)
}

// explainWho adds to a view who has changed what it shows, and returns that, by address. That
// nobody may ask CloudTrail is told once, and no error.
func (s *session) explainWho(ctx context.Context, v blamed, f facts) map[string]render.Blame {
	who := map[string]render.Blame{}
	say := func(address string, b render.Blame) {
		who[address] = b
		v.Blame(address, b)
	}
	trail := cloudtrail.New(s.cfg)
	for _, text := range v.Touched() {
		addr, err := state.ParseAddress(text)
		if err != nil {
			continue
		}
		if !cloudtrail.Knows(addr) {
			say(text, render.Blame{Note: "who changed it is not asked of CloudTrail"})
			continue
		}
		events, err := trail.Who(ctx, cloudtrail.Question{Address: addr, ID: f.live[addr].ID, Since: s.releasedAt(text, f)})
		if err != nil {
			s.a.warn("who changed what is live cannot be said: %v", interruptible(ctx, err))
			return who
		}
		b := render.Blame{}
		for _, e := range events {
			apron := strings.Contains(e.Agent, "app/"+userAgent)
			if apron && s.within(f, e.At) {
				continue
			}
			b.Events = append(b.Events, render.Event{Call: e.Name, Who: e.Who, At: e.At, From: e.From, Apron: apron})
		}
		if b.Note = late(time.Now()); len(b.Events) == 0 {
			b.Note = absent
		}
		say(text, b)
	}
	return who
}

// endOf is when a release had ended.
func endOf(r release.Record) time.Time {
	return r.StartedAt.Add(time.Duration(r.TookMS) * time.Millisecond)
}

// releasedAt is when the last release that succeeded and wanted a resource had ended. Of one
// that none wanted it is the first of the last releases; zero where a service has none.
func (s *session) releasedAt(address string, f facts) time.Time {
	var last, first time.Time
	none := false
	for _, spec := range s.specs {
		success := f.recent[spec.Service].Success
		if success == nil {
			none = true
			continue
		}
		at := endOf(*success)
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) && slices.ContainsFunc(success.Resources, func(r release.Resource) bool { return r.Address == address }) {
			last = at
		}
	}
	switch {
	case !last.IsZero():
		return last
	case none:
		return time.Time{}
	}
	return first
}

// within reports whether one of the last releases was under way at a time. CloudTrail knows
// it to the second, and so do records when they began.
func (s *session) within(f facts, at time.Time) bool {
	during := func(r release.Record) bool {
		return !at.Before(r.StartedAt.Truncate(time.Second)) && !at.After(endOf(r).Add(time.Second))
	}
	return slices.ContainsFunc(s.specs, func(spec state.Spec) bool {
		r := f.recent[spec.Service]
		return r.Success != nil && during(*r.Success) || slices.ContainsFunc(r.Attempts, during)
	})
}
