package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

var errLost = errors.New("connection reset by peer")

// fake is an App Runner of one service that refuses what App Runner refuses, takes its
// time on the bubble's clock, and can fail, lose answers and be busy by itself. What it
// does not override panics: the sandbox's emulator tests the rest.
type fake struct {
	api

	mu    sync.Mutex
	s     *types.Service // nil before its creation
	tags  []types.Tag
	ops   []*fakeOp // newest first
	calls []string  // writes, refused ones too

	takes    time.Duration           // of an operation; 2 minutes by default
	ends     []types.OperationStatus // of the next operations; then SUCCEEDED
	says     map[string][]string     // service, application: lines that the next operations log
	events   map[string][]logtypes.FilteredLogEvent
	lose     map[string]int         // operation → answers that get lost
	deaf     bool                   // lost answers are not tried again, as the SDK does
	refuse   map[string]error       // operation → what it answers always
	noRole   int                    // attempts until roles can be assumed
	busy     time.Time              // maintenance until then
	slips    func(s *types.Service) // what is live after a success is not what was asked
	vanishes bool                   // a deleted service is unknown at once
}

type fakeOp struct {
	types.OperationSummary
	end  types.OperationStatus
	undo types.Service // what a rollback brings back
}

const fakeARN = "arn:aws:apprunner:us-east-1:123456789012:service/web/0123456789abcdef0123456789abcdef"

func newFake() *fake {
	return &fake{takes: 2 * time.Minute, says: map[string][]string{}, lose: map[string]int{}, refuse: map[string]error{},
		events: map[string][]logtypes.FilteredLogEvent{}}
}

func refused(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func provider(f *fake, o Options) *Provider {
	p := New(aws.Config{Region: "us-east-1"}, identity, o)
	p.api, p.logs = f, f
	return p
}

// write runs one write under the lock. When its answer gets lost, it runs again, as the
// SDK's second attempt would.
func write[T any](f *fake, name string, effect func() (T, error)) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var zero T
	for {
		f.calls = append(f.calls, name)
		if err := f.refuse[name]; err != nil {
			return zero, err
		}
		f.advance()
		out, err := effect()
		if f.lose[name] == 0 {
			return out, err
		}
		f.lose[name]--
		if f.deaf {
			return zero, errLost
		}
	}
}

// advance brings the current operation to where it is by now.
func (f *fake) advance() {
	if len(f.ops) == 0 || ended(f.ops[0].Status) {
		return
	}
	op, age := f.ops[0], time.Since(*f.ops[0].StartedAt)
	back := 90 * time.Second
	switch rolls := strings.HasPrefix(string(op.end), "ROLLBACK"); {
	case age < time.Second:
		op.Status = types.OperationStatusPending
	case age < f.takes:
		op.Status = types.OperationStatusInProgress
	case rolls && age < f.takes+back:
		op.Status = types.OperationStatusRollbackInProgress
	default:
		f.end(op)
	}
}

func (f *fake) end(op *fakeOp) {
	op.Status, op.EndedAt = op.end, aws.Time(time.Now())
	good := op.end == types.OperationStatusSucceeded
	f.s.Status = types.ServiceStatusRunning
	switch {
	case op.Type == types.OperationTypeDeleteService && good:
		f.s.Status = types.ServiceStatusDeleted
	case op.Type == types.OperationTypeDeleteService:
		f.s.Status = types.ServiceStatusDeleteFailed
	case op.Type == types.OperationTypePauseService && good:
		f.s.Status = types.ServiceStatusPaused
		if f.slips != nil {
			f.slips(f.s)
		}
	case op.Type == types.OperationTypeResumeService && !good:
		f.s.Status = types.ServiceStatusPaused
	case good:
		if f.slips != nil {
			f.slips(f.s)
		}
	case op.undo.Status == types.ServiceStatusRunning:
		*f.s = op.undo
	default:
		f.s.Status = types.ServiceStatusCreateFailed
	}
}

// begin starts an operation on what the service was before.
func (f *fake) begin(kind types.OperationType, before types.Service) *string {
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", len(f.ops)+1)
	op := &fakeOp{end: types.OperationStatusSucceeded, undo: before, OperationSummary: types.OperationSummary{
		Id: &id, Type: kind, Status: types.OperationStatusPending, StartedAt: aws.Time(time.Now()), TargetArn: aws.String(fakeARN)}}
	if len(f.ends) > 0 {
		op.end, f.ends = f.ends[0], f.ends[1:]
	}
	f.ops = append([]*fakeOp{op}, f.ops...)
	f.s.Status = types.ServiceStatusOperationInProgress
	for group, lines := range f.says {
		stream := "instance/" + id
		if group == "service" {
			stream = "deployment/" + strings.ReplaceAll(id, "-", "")
		}
		for i, l := range lines {
			f.events[group] = append(f.events[group], logtypes.FilteredLogEvent{LogStreamName: &stream, Message: aws.String(l),
				EventId: aws.String(fmt.Sprintf("%s %d", id, i)), Timestamp: aws.Int64(time.Now().UnixMilli() + int64(i))})
		}
	}
	return &id
}

func (f *fake) status() types.ServiceStatus {
	if time.Now().Before(f.busy) {
		return types.ServiceStatusOperationInProgress
	}
	return f.s.Status
}

func (f *fake) allow(verb string, statuses ...types.ServiceStatus) error {
	if f.s == nil || f.vanishes && f.s.Status == types.ServiceStatusDeleted {
		return refused("ResourceNotFoundException", "Service not found.")
	}
	if !slices.Contains(statuses, f.status()) {
		return refused("InvalidStateException", "Service cannot be %s in the current state: %s.", verb, f.status())
	}
	return nil
}

func (f *fake) assume(c *types.SourceConfiguration) error {
	if f.noRole > 0 {
		f.noRole--
		return refused("InvalidRequestException", "Error in assuming access role %s", *c.AuthenticationConfiguration.AccessRoleArn)
	}
	return nil
}

func (f *fake) CreateService(_ context.Context, in *sdk.CreateServiceInput, _ ...func(*sdk.Options)) (*sdk.CreateServiceOutput, error) {
	return write(f, "CreateService", func() (*sdk.CreateServiceOutput, error) {
		if f.s != nil && f.s.Status != types.ServiceStatusDeleted {
			return nil, refused("InvalidRequestException", "Service with the provided name already exists: %s.", *in.ServiceName)
		}
		if err := f.assume(in.SourceConfiguration); err != nil {
			return nil, err
		}
		f.s = &types.Service{ServiceName: in.ServiceName, ServiceArn: aws.String(fakeARN), ServiceUrl: aws.String("x.us-east-1.awsapprunner.com"),
			ServiceId: aws.String(fakeARN[strings.LastIndexByte(fakeARN, '/')+1:])}
		f.tags = in.Tags
		f.set(in.SourceConfiguration, in.InstanceConfiguration, in.HealthCheckConfiguration, in.AutoScalingConfigurationArn)
		return &sdk.CreateServiceOutput{OperationId: f.begin(types.OperationTypeCreateService, *f.s), Service: f.s}, nil
	})
}

func (f *fake) set(source *types.SourceConfiguration, instance *types.InstanceConfiguration, health *types.HealthCheckConfiguration, scaling *string) {
	f.s.SourceConfiguration, f.s.InstanceConfiguration = source, instance
	if health != nil {
		f.s.HealthCheckConfiguration = health
	}
	if scaling != nil {
		name := strings.Split(*scaling, "/")[1]
		f.s.AutoScalingConfigurationSummary = &types.AutoScalingConfigurationSummary{AutoScalingConfigurationArn: scaling, AutoScalingConfigurationName: &name}
	}
}

func (f *fake) UpdateService(_ context.Context, in *sdk.UpdateServiceInput, _ ...func(*sdk.Options)) (*sdk.UpdateServiceOutput, error) {
	return write(f, "UpdateService", func() (*sdk.UpdateServiceOutput, error) {
		if err := f.allow("updated", types.ServiceStatusRunning, types.ServiceStatusCreateFailed); err != nil {
			return nil, err
		}
		if err := f.assume(in.SourceConfiguration); err != nil {
			return nil, err
		}
		before := *f.s
		f.set(in.SourceConfiguration, in.InstanceConfiguration, in.HealthCheckConfiguration, in.AutoScalingConfigurationArn)
		return &sdk.UpdateServiceOutput{OperationId: f.begin(types.OperationTypeUpdateService, before), Service: f.s}, nil
	})
}

func (f *fake) StartDeployment(context.Context, *sdk.StartDeploymentInput, ...func(*sdk.Options)) (*sdk.StartDeploymentOutput, error) {
	return write(f, "StartDeployment", func() (*sdk.StartDeploymentOutput, error) {
		if f.status() != types.ServiceStatusRunning {
			return nil, refused("InvalidRequestException", "Can't start a deployment on the specified service, because it isn't in RUNNING state.")
		}
		return &sdk.StartDeploymentOutput{OperationId: f.begin(types.OperationTypeStartDeployment, *f.s)}, nil
	})
}

func (f *fake) ResumeService(context.Context, *sdk.ResumeServiceInput, ...func(*sdk.Options)) (*sdk.ResumeServiceOutput, error) {
	return write(f, "ResumeService", func() (*sdk.ResumeServiceOutput, error) {
		if err := f.allow("resumed", types.ServiceStatusPaused); err != nil {
			return nil, err
		}
		return &sdk.ResumeServiceOutput{OperationId: f.begin(types.OperationTypeResumeService, *f.s), Service: f.s}, nil
	})
}

func (f *fake) PauseService(context.Context, *sdk.PauseServiceInput, ...func(*sdk.Options)) (*sdk.PauseServiceOutput, error) {
	return write(f, "PauseService", func() (*sdk.PauseServiceOutput, error) {
		if err := f.allow("paused", types.ServiceStatusRunning, types.ServiceStatusPaused); err != nil {
			return nil, err
		}
		if f.s.Status == types.ServiceStatusPaused { // nothing to do, and no operation
			return &sdk.PauseServiceOutput{Service: f.s}, nil
		}
		return &sdk.PauseServiceOutput{OperationId: f.begin(types.OperationTypePauseService, *f.s), Service: f.s}, nil
	})
}

func (f *fake) DeleteService(context.Context, *sdk.DeleteServiceInput, ...func(*sdk.Options)) (*sdk.DeleteServiceOutput, error) {
	return write(f, "DeleteService", func() (*sdk.DeleteServiceOutput, error) {
		if err := f.allow("deleted", types.ServiceStatusRunning, types.ServiceStatusPaused, types.ServiceStatusCreateFailed, types.ServiceStatusDeleteFailed); err != nil {
			return nil, err
		}
		return &sdk.DeleteServiceOutput{OperationId: f.begin(types.OperationTypeDeleteService, *f.s), Service: f.s}, nil
	})
}

func (f *fake) TagResource(_ context.Context, in *sdk.TagResourceInput, _ ...func(*sdk.Options)) (*sdk.TagResourceOutput, error) {
	return write(f, "TagResource", func() (*sdk.TagResourceOutput, error) {
		for _, t := range in.Tags {
			f.tags = append(slices.DeleteFunc(f.tags, func(old types.Tag) bool { return *old.Key == *t.Key }), t)
		}
		return &sdk.TagResourceOutput{}, nil
	})
}

// read runs one read under the lock. A service that nobody knows is not found.
func read[T any](f *fake, name string, known bool, effect func() T) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var zero T
	if err := f.refuse[name]; err != nil {
		return zero, err
	}
	if f.s != nil {
		f.advance()
	}
	if known && (f.s == nil || f.vanishes && f.s.Status == types.ServiceStatusDeleted) {
		return zero, refused("ResourceNotFoundException", "Service not found.")
	}
	return effect(), nil
}

func (f *fake) DescribeService(context.Context, *sdk.DescribeServiceInput, ...func(*sdk.Options)) (*sdk.DescribeServiceOutput, error) {
	return read(f, "DescribeService", true, func() *sdk.DescribeServiceOutput {
		s := *f.s
		s.Status = f.status()
		return &sdk.DescribeServiceOutput{Service: &s}
	})
}

func (f *fake) ListTagsForResource(context.Context, *sdk.ListTagsForResourceInput, ...func(*sdk.Options)) (*sdk.ListTagsForResourceOutput, error) {
	return read(f, "ListTagsForResource", true, func() *sdk.ListTagsForResourceOutput {
		return &sdk.ListTagsForResourceOutput{Tags: slices.Clone(f.tags)}
	})
}

func (f *fake) ListServices(context.Context, *sdk.ListServicesInput, ...func(*sdk.Options)) (*sdk.ListServicesOutput, error) {
	return read(f, "ListServices", false, func() *sdk.ListServicesOutput {
		out := &sdk.ListServicesOutput{}
		if f.s != nil {
			out.ServiceSummaryList = []types.ServiceSummary{{ServiceName: f.s.ServiceName, ServiceArn: f.s.ServiceArn, Status: f.status()}}
		}
		return out
	})
}

// ListOperations shows one operation a page.
func (f *fake) ListOperations(_ context.Context, in *sdk.ListOperationsInput, _ ...func(*sdk.Options)) (*sdk.ListOperationsOutput, error) {
	return read(f, "ListOperations", true, func() *sdk.ListOperationsOutput {
		at, _ := strconv.Atoi(aws.ToString(in.NextToken))
		out := &sdk.ListOperationsOutput{}
		if at < len(f.ops) {
			out.OperationSummaryList = []types.OperationSummary{f.ops[at].OperationSummary}
		}
		if at+1 < len(f.ops) {
			out.NextToken = aws.String(strconv.Itoa(at + 1))
		}
		return out
	})
}

// DescribeLogStreams knows the streams of the events that there are.
func (f *fake) DescribeLogStreams(_ context.Context, in *cloudwatchlogs.DescribeLogStreamsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	group := strings.TrimPrefix(*in.LogGroupName, "/aws/apprunner/web/"+*f.s.ServiceId+"/")
	out := &cloudwatchlogs.DescribeLogStreamsOutput{}
	seen := map[string]bool{}
	for _, e := range f.events[group] {
		if name := *e.LogStreamName; !seen[name] {
			seen[name] = true
			out.LogStreams = append(out.LogStreams, logtypes.LogStream{LogStreamName: &name, CreationTime: e.Timestamp})
		}
	}
	return out, nil
}

// FilterLogEvents shows two events a page, and knows no group without any.
func (f *fake) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	prefix := "/aws/apprunner/web/" + *f.s.ServiceId + "/"
	group, ok := strings.CutPrefix(*in.LogGroupName, prefix)
	events := f.events[group]
	if !ok || len(events) == 0 {
		return nil, refused("ResourceNotFoundException", "The specified log group does not exist.")
	}
	events = slices.DeleteFunc(slices.Clone(events), func(e logtypes.FilteredLogEvent) bool {
		return *e.Timestamp < *in.StartTime || !strings.HasPrefix(*e.LogStreamName, aws.ToString(in.LogStreamNamePrefix))
	})
	at, _ := strconv.Atoi(aws.ToString(in.NextToken))
	out := &cloudwatchlogs.FilterLogEventsOutput{Events: events[at:min(at+2, len(events))]}
	if at+2 < len(events) {
		out.NextToken = aws.String(strconv.Itoa(at + 2))
	}
	return out, nil
}

// known is what a run knows of the resources that a service needs.
func known(addrs ...state.Address) func(state.Address) (state.Outcome, bool) {
	return func(a state.Address) (state.Outcome, bool) {
		if a.Kind == kindScaling {
			return state.Outcome{ID: "arn:aws:apprunner:us-east-1:123456789012:autoscalingconfiguration/" + a.Name + "/1/0123"}, true
		}
		if slices.Contains(addrs, a) {
			return state.Outcome{ID: fakeARN}, true
		}
		return state.Outcome{}, false
	}
}

// converge observes, plans and applies once, and returns the error of the first action
// that fails.
func converge(ctx context.Context, t *testing.T, p *Provider, want state.Resource, o plan.Options) error {
	t.Helper()
	pl, live := planned(ctx, t, p, want, o)
	for _, a := range pl.Actions {
		var addrs []state.Address
		for addr := range live {
			addrs = append(addrs, addr)
		}
		if _, err := p.Execute(ctx, a, apply.Env{Lookup: known(addrs...)}); err != nil {
			return err
		}
	}
	return nil
}

func planned(ctx context.Context, t *testing.T, p *Provider, want state.Resource, o plan.Options) (*plan.Plan, state.Live) {
	t.Helper()
	live := state.Live{}
	arns, err := p.list(ctx, map[string]bool{want.Address.Name: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, arn := range arns {
		got, err := p.describe(ctx, arn, p.hiddenVariables(nil))
		if err != nil {
			t.Fatal(err)
		}
		live[got.Address] = *got
	}
	pl, err := plan.Build(state.Desired{want.Address: want}, live, o)
	if err != nil {
		t.Fatal(err)
	}
	return pl, live
}

// mute is a CloudWatch Logs that answers nothing but an error.
type mute struct{ err error }

func (m mute) DescribeLogStreams(context.Context, *cloudwatchlogs.DescribeLogStreamsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error) {
	return nil, m.err
}

func (m mute) FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	return nil, m.err
}
