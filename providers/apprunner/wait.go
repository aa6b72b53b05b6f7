package apprunner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/providers/awsapi"
)

// OperationError says that an operation ended in another way than it should.
type OperationError struct {
	Service   string
	ARN       string // the service's
	ID        string // the operation's
	Type      types.OperationType
	Status    types.OperationStatus
	Cause     string   // the probable one; may be empty
	Fix       string   // may be empty
	Evidence  []string // log lines of the rollout
	Output    []string // the application's last lines
	StartedAt time.Time
	EndedAt   time.Time
}

var _ error = (*OperationError)(nil)

func (e *OperationError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %q: %s %s: %s", e.Service, cmp.Or(operationNames[e.Type], string(e.Type)), e.ID, cmp.Or(statusNames[e.Status], string(e.Status)))
	if e.Cause != "" {
		fmt.Fprintf(&b, "\n  probable cause: %s", e.Cause)
	}
	for _, l := range e.Evidence {
		fmt.Fprintf(&b, "\n  app runner | %s", l)
	}
	for _, l := range e.Output {
		fmt.Fprintf(&b, "\n  application | %s", l)
	}
	return b.String()
}

// Hint says what to do about the cause.
func (e *OperationError) Hint() string { return e.Fix }

// DeploymentFailed marks the error as a failed deployment, for the exit code.
func (e *OperationError) DeploymentFailed() bool { return true }

var operationNames = map[types.OperationType]string{
	types.OperationTypeCreateService:   "creation",
	types.OperationTypeUpdateService:   "update",
	types.OperationTypeStartDeployment: "deployment",
	types.OperationTypeResumeService:   "resumption",
	types.OperationTypePauseService:    "pausing",
	types.OperationTypeDeleteService:   "deletion",
}

var statusNames = map[types.OperationStatus]string{
	types.OperationStatusFailed:            "failed",
	types.OperationStatusRollbackSucceeded: "failed and was rolled back: the version before it still serves",
	types.OperationStatusRollbackFailed:    "failed, and rolling it back failed as well",
}

// TimeoutError says that an operation went on for longer than apron waits.
type TimeoutError struct {
	Service string
	ID      string // the operation's; empty when apron did not start it
	After   time.Duration
	// What AWS support asks for; each may be empty.
	ARN       string // the service's
	Type      types.OperationType
	StartedAt time.Time
	Request   string // the id of an answer that says that the service is busy
}

var _ error = (*TimeoutError)(nil)

func (e *TimeoutError) Error() string {
	op := "an operation"
	if e.ID != "" {
		op = "operation " + e.ID
	}
	text := fmt.Sprintf("service %q: %s is still under way after %s", e.Service, op, e.After.Round(time.Second))
	for _, fact := range [][2]string{{"service", e.ARN}, {"type", string(e.Type)}, {"started", stamp(e.StartedAt)}, {"request", e.Request}} {
		if fact[1] != "" {
			text += fmt.Sprintf("\n  %-10s %s", fact[0], fact[1])
		}
	}
	return text
}

// Hint says how to go on.
func (e *TimeoutError) Hint() string {
	return "it goes on in AWS without apron: follow it with `apron status --wait`, and apply again once it has ended; " +
		"an operation of more than an hour is stuck, and only AWS support can end it: give them these ids and times"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// DeadlineExceeded marks the error as a time-out, for the exit code.
func (e *TimeoutError) DeadlineExceeded() bool { return true }

// ended are the statuses in which nothing more happens. A status that AWS adds later
// counts as ended, and as a failure.
func ended(s types.OperationStatus) bool {
	switch s {
	case types.OperationStatusPending, types.OperationStatusInProgress, types.OperationStatusRollbackInProgress:
		return false
	}
	return true
}

// LeftError says that apron was interrupted, and that an operation goes on without it.
type LeftError struct {
	Service string
	ID      string // the operation's
	Type    types.OperationType
	Err     error // why
}

var _ error = (*LeftError)(nil)

func (e *LeftError) Error() string {
	return fmt.Sprintf("service %q: its %s %s goes on in AWS: %v", e.Service, cmp.Or(operationNames[e.Type], "operation"), e.ID, e.Err)
}

// Hint says how to follow it.
func (e *LeftError) Hint() string { return "follow it with `apron status --wait`" }

func (e *LeftError) Unwrap() error { return e.Err }

// wait follows one operation to its end and returns its summary. w, which may be nil,
// tells of it meanwhile. It returns a *[TimeoutError] when the operation outlasts the
// timeout, and a *[LeftError] when ctx ends first.
//
// A service that is RUNNING again says nothing: it also is after a rollback. Only the
// operation tells.
func (p *Provider) wait(ctx context.Context, arn, op string, w *watch) (types.OperationSummary, error) {
	start := time.Now()
	deadline := start.Add(p.o.Timeout)
	seen := false
	var trouble time.Time // since when App Runner does not answer
	var last types.OperationSummary
	for {
		summary, listed, err := p.find(ctx, arn, op)
		found := summary.Id != nil
		if errors.Is(err, errVanished) && !seen {
			err = nil // listed a moment after it is made
		}
		switch {
		case err == nil:
			trouble = time.Time{}
		case ctx.Err() != nil:
		case !passing(err) || !trouble.IsZero() && time.Since(trouble) > troubleWait:
			return types.OperationSummary{}, err
		case trouble.IsZero():
			trouble = time.Now()
		}
		seen = seen || found
		if found {
			last = summary
			w.at(summary, listed)
			w.look(ctx, summary)
			if ended(summary.Status) {
				return summary, nil
			}
		}
		if time.Now().After(deadline) {
			return summary, p.late(ctx, arn, op, last, time.Since(start))
		}
		if err := awsapi.Sleep(ctx, p.pause(time.Since(start))); err != nil {
			return summary, &LeftError{Service: serviceName(arn), ID: op, Type: last.Type, Err: err}
		}
	}
}

// late gathers what to tell of an operation that does not end. One that apron did not start
// is the newest, unless AWS is at work itself.
func (p *Provider) late(ctx context.Context, arn, op string, s types.OperationSummary, after time.Duration) *TimeoutError {
	if op == "" {
		if _, listed, err := p.find(ctx, arn, op); err == nil && len(listed) > 0 && !ended(listed[0].Status) {
			s = listed[0]
		}
	}
	e := &TimeoutError{Service: serviceName(arn), ID: cmp.Or(op, aws.ToString(s.Id)), After: after, ARN: arn, Type: s.Type, StartedAt: aws.ToTime(s.StartedAt)}
	if out, err := p.api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: &arn}); err == nil {
		e.Request, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	}
	return e
}

// pause is how long to wait before the next look at an operation that has gone on for some
// time: so that its end is known within a second and a tenth of what it took.
func (p *Provider) pause(elapsed time.Duration) time.Duration {
	return min(500*time.Millisecond+elapsed/10, p.o.Poll)
}

// troubleWait is how long App Runner may be out of reach while it is waited for: the
// operation goes on without us, and its end is still to be told.
const troubleWait = 3 * time.Minute

// passing reports whether an error may pass by itself: the network's, a rate, or one of
// AWS's own. The SDK has tried again already.
func passing(err error) bool {
	if errors.Is(err, errVanished) {
		return false
	}
	code := awsapi.Code(err)
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	return code == "" || throttled || slices.Contains([]string{"InternalServiceErrorException", "InternalFailure", "ServiceUnavailable"}, code)
}

// phase says in words how far an operation is.
func phase(o types.OperationSummary) string {
	if names, ok := ownPhases[o.Type]; ok && names[o.Status] != "" {
		return names[o.Status]
	}
	return phaseNames[o.Status]
}

// ownPhases are the words for operations that roll nothing out.
var ownPhases = map[types.OperationType]map[types.OperationStatus]string{
	types.OperationTypeDeleteService: {types.OperationStatusInProgress: "deleting", types.OperationStatusSucceeded: "deleted"},
	types.OperationTypePauseService:  {types.OperationStatusInProgress: "pausing", types.OperationStatusSucceeded: "paused"},
	types.OperationTypeResumeService: {types.OperationStatusInProgress: "resuming", types.OperationStatusSucceeded: "resumed"},
}

var phaseNames = map[types.OperationStatus]string{
	types.OperationStatusPending:            "waiting for App Runner to begin",
	types.OperationStatusInProgress:         "rolling out",
	types.OperationStatusRollbackInProgress: "failed; App Runner is rolling back",
	types.OperationStatusSucceeded:          "rolled out",
	types.OperationStatusFailed:             "failed",
	types.OperationStatusRollbackSucceeded:  "rolled back",
	types.OperationStatusRollbackFailed:     "failed to roll back",
}

// errVanished says that App Runner does not know a service, or no longer.
var errVanished = errors.New("the service is gone")

// Operation finds one operation of a service by its id.
func (p *Provider) Operation(ctx context.Context, arn, op string) (summary types.OperationSummary, found bool, err error) {
	summary, _, err = p.find(ctx, arn, op)
	return summary, summary.Id != nil, err
}

// find finds one operation by its id, and returns with it what it has listed of the
// others. The summary of one that is not there is zero.
func (p *Provider) find(ctx context.Context, arn, op string) (summary types.OperationSummary, listed []types.OperationSummary, err error) {
	pages := sdk.NewListOperationsPaginator(p.api, &sdk.ListOperationsInput{ServiceArn: &arn, MaxResults: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.Is(err, "ResourceNotFoundException") {
			return types.OperationSummary{}, nil, fmt.Errorf("service %q: %w", serviceName(arn), errVanished)
		}
		if err != nil {
			return types.OperationSummary{}, nil, fmt.Errorf("service %q: list operations: %w", serviceName(arn), awsapi.Explain(err))
		}
		listed = append(listed, page.OperationSummaryList...)
		for _, s := range page.OperationSummaryList {
			if aws.ToString(s.Id) == op {
				return s, listed, nil
			}
		}
	}
	return types.OperationSummary{}, listed, nil
}

// idle waits until no operation is under way: AWS itself starts some for maintenance.
func (p *Provider) idle(ctx context.Context, arn string, progress func(string)) (*types.Service, error) {
	deadline := time.Now().Add(p.o.Timeout)
	for {
		out, err := p.api.DescribeService(ctx, &sdk.DescribeServiceInput{ServiceArn: &arn})
		if err != nil {
			return nil, fmt.Errorf("service %q: describe: %w", serviceName(arn), awsapi.Explain(err))
		}
		if out.Service.Status != types.ServiceStatusOperationInProgress {
			return out.Service, nil
		}
		progress("waiting for the operation under way")
		if time.Now().After(deadline) {
			return nil, p.late(ctx, arn, "", types.OperationSummary{}, p.o.Timeout)
		}
		if err := awsapi.Sleep(ctx, p.o.Poll); err != nil {
			return nil, err
		}
	}
}

// Idle waits until no operation is under way on a service.
func (p *Provider) Idle(ctx context.Context, arn string, progress func(phase string)) error {
	var said string
	_, err := p.idle(ctx, arn, func(phase string) {
		if phase != said {
			said = phase
			progress(phase)
		}
	})
	return err
}
