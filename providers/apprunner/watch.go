package apprunner

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/logs"
	"github.com/apron-deploy/apron/reconcile/apply"
)

// Who the lines of a rollout come from.
const (
	fromAppRunner   = "app runner"
	fromApplication = "application"
)

// maxLines is how many lines of the application a rollout shows. A new version that takes
// over the traffic may print without end.
const maxLines = 100

// watch tells of an operation while it goes on: how far it is and what to expect, and
// what App Runner and the application say about it as they say it.
type watch struct {
	p     *Provider
	arn   string
	tell  func(apply.Progress)
	mask  func(string) string // takes out the secrets that the action knows
	floor time.Duration       // the least time that the health checks take

	expect *apply.Expectation
	tail   *logs.Tail
	looked time.Time
	older  map[string]bool // streams of instances that were there before
	shown  int             // lines of the application
	silent bool            // the application's lines are not shown any more
	blind  bool            // the logs cannot be read
}

// at tells how far an operation is.
func (w *watch) at(op types.OperationSummary, listed []types.OperationSummary) {
	if w == nil || w.tell == nil {
		return
	}
	if w.expect == nil {
		w.expect = expect(op, listed, w.floor, !w.p.o.Rehearsal)
	}
	p := apply.Progress{Phase: phase(op)}
	if op.Status == types.OperationStatusInProgress {
		p.Expect = w.expect
	}
	w.tell(p)
}

// look shows the lines that have come in, every now and then, and once more in the end if
// there was time for it before. What cannot be read is left out: the operation is followed
// all the same.
func (w *watch) look(ctx context.Context, op types.OperationSummary) {
	now := time.Now()
	switch {
	case w == nil || w.tell == nil || w.blind:
		return
	case w.looked.IsZero():
		w.looked = now // the first look has to wait, too: most of the work is ahead
		return
	case w.tail == nil && ended(op.Status), !ended(op.Status) && now.Sub(w.looked) < w.p.o.Look:
		return
	}
	w.looked = now
	if w.tail == nil {
		w.open(ctx, op)
	}
	_, err := w.tail.Next(ctx, func(l logs.Line) error { w.line(ctx, l); return nil })
	w.blind = awsapi.Is(err, "AccessDeniedException")
}

func (w *watch) open(ctx context.Context, op types.OperationSummary) {
	name, id := serviceName(w.arn), w.arn[strings.LastIndexByte(w.arn, '/')+1:]
	since := aws.ToTime(op.StartedAt)
	own, application := logs.Group(name, id, logs.Service), logs.Group(name, id, logs.Application)
	w.older = w.p.older(ctx, application, since)
	w.tail = logs.NewReader(w.p.logs).Tail(logs.Query{Since: since, Sources: []logs.Source{
		{Name: fromAppRunner, Group: own, Prefix: "events"},
		{Name: fromAppRunner, Group: own, Prefix: logs.Deployment(aws.ToString(op.Id))},
		{Name: fromApplication, Group: application},
	}})
}

// line shows one line. The application's are shown once its secrets are known, so that
// they can be masked.
func (w *watch) line(ctx context.Context, l logs.Line) {
	if l.Source.Name == fromApplication {
		if w.silent || w.older[l.Stream] {
			return
		}
		if w.shown == 0 && w.p.o.Learn != nil {
			if err := w.p.o.Learn(ctx); err != nil {
				w.silent = true
				w.tell(apply.Progress{Source: "apron", Line: "the application's lines are not shown, because its secrets cannot be masked: " + awsapi.Message(err)})
				return
			}
		}
		w.shown++
		if w.shown > maxLines {
			w.silent = true
			w.tell(apply.Progress{Source: "apron", Line: "the application goes on: see `apron logs -f`"})
			return
		}
	}
	text := l.Text
	if w.mask != nil {
		text = w.mask(text)
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		w.tell(apply.Progress{Source: l.Source.Name, Line: strings.TrimPrefix(line, "[AppRunner] ")})
	}
}
