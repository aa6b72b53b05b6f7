package apprunner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/providers/sandbox/store"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// errClosed ends what runs when the emulator closes. Operations that it interrupts are
// taken up again by the next start.
var errClosed = errors.New("the sandbox is closing")

// Images resolves an image identifier (repository with a tag or a digest) to the
// linux/amd64 image and its digest. ecr.ErrNoPlatform tells that the image exists, but
// not for linux/amd64; any other error counts as an image that does not exist.
type Images interface {
	Image(identifier string) (img v1.Image, digest string, err error)
}

// Roles tells whether a service may assume a role and what the role may do.
type Roles interface {
	Assume(roleARN, principal string) error
	Allowed(roleARN, action, resource string) bool
}

// Secrets reads what RuntimeEnvironmentSecrets refer to: the name or ARN of an SSM
// parameter, or a Secrets Manager ARN with an optional :key:stage:version.
type Secrets interface {
	Value(ref string) (string, error)
}

// Logs takes one line for a CloudWatch Logs stream, which it creates on first use.
type Logs interface {
	Put(group, stream string, at time.Time, message string)
}

// Options say what the emulator stands on. All above Resolver are required.
type Options struct {
	Dir     string // where apprunner.json and the copies of images live
	Account string
	Region  string
	Clock   *clock.Clock
	// Endpoint tells where the sandbox listens, as host:port or a URL. Services' URLs
	// take its port.
	Endpoint func() string
	Images   Images
	Roles    Roles
	Secrets  Secrets
	Logs     Logs
	Engine   runner.Engine

	// Services is how many there may be, a quota that AWS raises on request; default 30.
	Services int

	// Resolver validates custom domains; without one they stay pending.
	Resolver Resolver

	// Metrics takes what is measured; default nothing is. See [Service.Measure].
	Metrics func(Measurement)

	Waits  *Waits  // default [Rehearsal]
	Faults *Faults // default none
}

// Service emulates App Runner for one account and Region.
type Service struct {
	o      Options
	waits  Waits
	doc    *store.Doc[state]
	copies *copies
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // operations and revivals

	mu     sync.Mutex
	closed bool            // no new work; guarded by mu
	apps   map[string]*app // by service id; guarded by mu

	rehearsals map[string]Scenario // by service name, "" is for all; guarded by mu
	rehearsed  chan struct{}       // closed when they change; guarded by mu
	meddled    map[string]bool     // service ids that somebody has changed; guarded by mu
}

// New loads what Options.Dir holds, starts the instances of running services again and
// takes up the operations that were under way. It does not wait for either.
func New(o Options) (*Service, error) {
	s := &Service{o: o, waits: Rehearsal(), apps: map[string]*app{},
		rehearsals: map[string]Scenario{}, rehearsed: make(chan struct{}), meddled: map[string]bool{}}
	if s.o.Faults == nil {
		s.o.Faults = &Faults{}
	}
	if o.Waits != nil {
		s.waits = *o.Waits
	}
	dir, err := store.Open(o.Dir)
	if err == nil {
		s.doc, err = store.Load[state](dir, "apprunner")
	}
	if err == nil {
		s.copies, err = openCopies(dir)
	}
	if err == nil {
		err = s.doc.Update(func(st *state) error { s.seed(st); s.seedObservability(st); s.purge(st); return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("app runner: %w", err)
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.takeUp()
	if o.Metrics != nil {
		s.spawn(s.sample)
	}
	return s, nil
}

// Engine is what runs the instances. It belongs to the caller.
func (s *Service) Engine() runner.Engine { return s.o.Engine }

// Close stops all instances: SIGTERM now, SIGKILL when ctx ends or their grace is over.
// What was under way stays so on disk.
func (s *Service) Close(ctx context.Context) error {
	s.cancel(errClosed)
	s.mu.Lock()
	s.closed = true
	apps := slices.Collect(maps.Values(s.apps))
	s.mu.Unlock()
	s.work.Wait()
	var g errgroup.Group
	for _, a := range apps {
		if f := a.fleet.Swap(nil); f != nil {
			g.Go(func() error { return f.retire(ctx, 0) })
		}
	}
	return g.Wait()
}

// spawn runs f unless the emulator is closed. Close waits for it.
func (s *Service) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(f)
	}
}

// app returns what runs of a service.
func (s *Service) app(id, name string) *app {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[id]
	if a == nil {
		a = &app{s: s, id: id, name: name, logs: journal{s: s, group: "/aws/apprunner/" + name + "/" + id}}
		a.front = a.measured(a.newProxy())
		s.apps[id] = a
	}
	return a
}

// API is App Runner's wire surface.
// https://docs.aws.amazon.com/apprunner/latest/api/API_Operations.html
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "AppRunner",
		Version:     "1.0",
		SigningName: "apprunner",
		MessageKey:  "Message",
		Operations: map[string]wire.Operation{
			"CreateService":                           wire.Handle(s.createService),
			"UpdateService":                           wire.Handle(s.updateService),
			"DescribeService":                         wire.Handle(s.describeService),
			"DeleteService":                           wire.Handle(s.deleteService),
			"ListServices":                            wire.Handle(s.listServices),
			"StartDeployment":                         wire.Handle(s.startDeployment),
			"PauseService":                            wire.Handle(s.pauseService),
			"ResumeService":                           wire.Handle(s.resumeService),
			"ListOperations":                          wire.Handle(s.listOperations),
			"CreateAutoScalingConfiguration":          wire.Handle(s.createScaling),
			"DescribeAutoScalingConfiguration":        wire.Handle(s.describeScaling),
			"DeleteAutoScalingConfiguration":          wire.Handle(s.deleteScaling),
			"ListAutoScalingConfigurations":           wire.Handle(s.listScaling),
			"UpdateDefaultAutoScalingConfiguration":   wire.Handle(s.updateDefaultScaling),
			"ListServicesForAutoScalingConfiguration": wire.Handle(s.listServicesForScaling),
			"CreateVpcConnector":                      wire.Handle(s.createConnector),
			"DescribeVpcConnector":                    wire.Handle(s.describeConnector),
			"DeleteVpcConnector":                      wire.Handle(s.deleteConnector),
			"ListVpcConnectors":                       wire.Handle(s.listConnectors),
			"CreateObservabilityConfiguration":        wire.Handle(s.createObservability),
			"DescribeObservabilityConfiguration":      wire.Handle(s.describeObservabilityConfiguration),
			"DeleteObservabilityConfiguration":        wire.Handle(s.deleteObservability),
			"ListObservabilityConfigurations":         wire.Handle(s.listObservability),
			"CreateVpcIngressConnection":              wire.Handle(s.createIngress),
			"DescribeVpcIngressConnection":            wire.Handle(s.describeIngressConnection),
			"UpdateVpcIngressConnection":              wire.Handle(s.updateIngress),
			"DeleteVpcIngressConnection":              wire.Handle(s.deleteIngress),
			"ListVpcIngressConnections":               wire.Handle(s.listIngresses),
			"CreateConnection":                        wire.Handle(s.createConnection),
			"DeleteConnection":                        wire.Handle(s.deleteConnection),
			"ListConnections":                         wire.Handle(s.listConnections),
			"AssociateCustomDomain":                   wire.Handle(s.associateDomain),
			"DescribeCustomDomains":                   wire.Handle(s.describeDomains),
			"DisassociateCustomDomain":                wire.Handle(s.disassociateDomain),
			"TagResource":                             wire.Handle(s.tagResource),
			"UntagResource":                           wire.Handle(s.untagResource),
			"ListTagsForResource":                     wire.Handle(s.listTags),
		},
	}
}
