package apprunner

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/state"
)

// A rollout that failed gets one probable cause. An operation itself carries no text, so
// that the cause comes from what is around it, in this order:
//
//	the application's log    what it says of itself counts more than what is seen from outside
//	App Runner's log         the first line that tells of a failure; those after it are
//	                         consequences, some of them false
//	roles, secrets, image    looked at again, where App Runner only says that it failed
//
// cause_start.go knows why containers end, cause_health.go why health checks fail, and
// cause_pull.go what keeps a container from being started at all.

// How much of the logs an error shows.
const (
	evidenceLines = 8
	outputLines   = 15
)

// evidence is all that is known of a rollout that failed.
type evidence struct {
	service []logLine // App Runner's log of the operation
	output  []logLine // of the instances that the operation started
	absent  bool      // the application has no log at all: no container of it ever started
	silent  bool      // it has one, and nothing of this operation is in it
	want    state.Resource
	checks  []state.Check
	place   func(path string) string // FILE:LINE of a key of the manifest, or ""
	lookup  func() []state.Check     // what fills checks, once
	looked  bool
}

// logLine is one event of a log.
type logLine struct {
	at   time.Time
	text string
}

// finding is a probable cause, and what to do about it.
type finding struct{ cause, fix string }

// explain gathers what is known of an operation that failed. What cannot be read is left
// out: the failure is reported all the same. want is what the operation was to make of the
// service, as far as the caller knows.
// https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cwl.html
func (p *Provider) explain(ctx context.Context, arn string, op types.OperationSummary, want state.Resource) error {
	e := &OperationError{Service: serviceName(arn), ARN: arn, ID: aws.ToString(op.Id), Type: op.Type, Status: op.Status,
		StartedAt: aws.ToTime(op.StartedAt), EndedAt: aws.ToTime(op.EndedAt)}
	ev := p.gather(ctx, arn, op)
	ev.want = want
	ev.place = func(path string) string {
		if p.o.Place == nil {
			return ""
		}
		return p.o.Place(e.Service, path)
	}
	ev.lookup = func() []state.Check {
		if p.o.Recheck == nil {
			return nil
		}
		return p.o.Recheck(ctx, e.Service)
	}
	found := ev.find()
	e.Cause, e.Fix = found.cause, found.fix
	e.Evidence = failures(ev.service)
	for _, l := range ev.output[max(0, len(ev.output)-outputLines):] {
		e.Output = append(e.Output, l.text)
	}
	return e
}

// find names the probable cause.
func (e *evidence) find() finding {
	for _, look := range []func() (finding, bool){e.spoken, e.ended, e.unhealthy, e.unpulled, e.anything} {
		if f, ok := look(); ok {
			return f
		}
	}
	const try = "check the image's entrypoint and architecture: apron run starts it on this machine"
	switch {
	case e.absent:
		return finding{"the container never started", try}
	case e.silent:
		return finding{"the new version's container never started, or ended without a word", try}
	}
	return finding{"", "the logs say nothing that apron knows; all of them: apron logs, or the App Runner console"}
}

// anything is whatever is broken, where the logs do not say what to look for.
func (e *evidence) anything() (finding, bool) { return e.broken() }

// broken is what was found when the rollout's needs were looked at again.
func (e *evidence) broken(paths ...string) (finding, bool) {
	if !e.looked {
		e.looked = true
		e.checks = e.lookup()
	}
	for _, c := range e.checks {
		about := func(path string) bool { return c.Path == path || strings.HasPrefix(c.Path, path+".") }
		if c.Verdict == state.Broken && (len(paths) == 0 || slices.ContainsFunc(paths, about)) {
			return finding{c.Text, e.at(c.Fix, c.Path)}, true
		}
	}
	return finding{}, false
}

// exposed is what the image says of ports, where that is another than the manifest's. It
// proves nothing by itself.
func (e *evidence) exposed() (finding, bool) {
	e.broken("port") // looks, if nobody has
	for _, c := range e.checks {
		if c.Path == "port" && c.Verdict == state.Unchecked && c.Fix != "" {
			return finding{c.Text, e.at(c.Fix, "port", "service")}, true
		}
	}
	return finding{}, false
}

// at adds to a piece of advice where the manifest has the first of some keys, or would.
func (e *evidence) at(fix string, paths ...string) string {
	for _, path := range paths {
		if place := e.place(path); place != "" {
			return fix + " (" + place + ")"
		}
	}
	return fix
}

// failures are the lines of a deployment that tell of a failure, the first ones first:
// those after it are consequences.
func failures(service []logLine) []string {
	var lines []string
	for _, l := range service {
		low := strings.ToLower(l.text)
		if strings.Contains(low, "fail") || strings.Contains(low, "exit code") || strings.Contains(low, "stopped") {
			lines = append(lines, strings.TrimPrefix(l.text, "[AppRunner] "))
		}
	}
	return lines[:min(len(lines), evidenceLines)]
}
