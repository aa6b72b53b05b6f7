package apprunner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Scenario is an accident that can be rehearsed.
type Scenario string

// The scenarios. Each shows what App Runner shows when it happens.
const (
	HealthFails       Scenario = "health-fails"
	RolledBack        Scenario = "rolled-back"
	CreateFails       Scenario = "create-fails"
	Slow              Scenario = "slow"
	Stuck             Scenario = "stuck"
	Maintenance       Scenario = "maintenance"
	RoleNotReady      Scenario = "role-not-ready"
	SomeoneChangedCPU Scenario = "someone-changed-cpu"
	CertPending       Scenario = "cert-pending"
	Throttled         Scenario = "throttled"
)

// ScenarioTag is the tag of a service that rehearses a scenario from its creation on,
// whatever else is rehearsed.
const ScenarioTag = "apron-sandbox"

// Scenarios lists them with what happens, in the order in which people should read them.
func Scenarios() [][2]string {
	return [][2]string{
		{string(HealthFails), "new instances run, and their health checks fail: updates and deployments roll back, a creation fails"},
		{string(RolledBack), "updates and deployments fail before the health check, and roll back"},
		{string(CreateFails), "creations fail before the health check: CREATE_FAILED"},
		{string(Slow), "a rollout takes four minutes more"},
		{string(Stuck), "operations do not end until the scenario does"},
		{string(Maintenance), "running services are in OPERATION_IN_PROGRESS without an operation, and serve on"},
		{string(RoleNotReady), "roles cannot be assumed three times, as for seconds after they were made"},
		{string(SomeoneChangedCPU), "somebody else changes the CPU and memory of a service that runs, once"},
		{string(CertPending), "certificates of custom domains stay pending, whatever is in DNS"},
		{string(Throttled), "every other call to App Runner is refused for its rate"},
	}
}

// Rehearse makes a scenario happen to a service, or to all with "". The empty scenario
// ends it.
func (s *Service) Rehearse(name Scenario, service string) error {
	if name != "" && !slices.ContainsFunc(Scenarios(), func(one [2]string) bool { return one[0] == string(name) }) {
		return fmt.Errorf("%q is not a scenario", name)
	}
	s.mu.Lock()
	if name == "" && service == "" {
		clear(s.rehearsals)
	} else if name == "" {
		delete(s.rehearsals, service)
	} else {
		s.rehearsals[service] = name
	}
	close(s.rehearsed)
	s.rehearsed = make(chan struct{})
	s.mu.Unlock()
	if name == RoleNotReady {
		s.o.Faults.RoleNotReady(notReadyTimes)
	}
	if name == SomeoneChangedCPU {
		var arns []string
		s.doc.View(func(st *state) {
			for _, r := range st.Services {
				if r.Status == running && (service == "" || r.Name == service) {
					arns = append(arns, r.ARN)
				}
			}
		})
		for _, arn := range arns {
			s.spawn(func() { s.meddle(s.ctx, arn) })
		}
	}
	return nil
}

// notReadyTimes is how often a role that is not ready cannot be assumed.
const notReadyTimes = 3

// rehearses is the scenario of a service with those tags, and tells when it may change.
func (s *Service) rehearses(service string, tags map[string]string) (Scenario, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case tags[ScenarioTag] != "":
		return Scenario(tags[ScenarioTag]), s.rehearsed
	case s.rehearsals[service] != "":
		return s.rehearsals[service], s.rehearsed
	}
	return s.rehearsals[""], s.rehearsed
}

// scenario is that of a service that exists.
func (s *Service) scenario(r *record) Scenario {
	now, _ := s.rehearses(r.Name, r.Tags)
	return now
}

// Throttled reports whether a service, or all of them, rehearse the refusal of calls: App
// Runner's rates are those of an account.
func (s *Service) Throttled() (yes bool) {
	s.doc.View(func(st *state) {
		all, _ := s.rehearses("", nil)
		yes = all == Throttled || slices.ContainsFunc(st.Services, func(r *record) bool { return r.Status != deleted && s.scenario(r) == Throttled })
	})
	return yes
}

// accident is what befalls a rollout, "" if nothing does.
func (a *app) accident(op operation) (now Scenario) {
	a.s.doc.View(func(st *state) {
		if r := st.service(a.id); r != nil {
			now = a.s.scenario(r)
		}
	})
	update := op.Type == opUpdate || op.Type == opDeploy
	switch {
	case now == HealthFails && (update || op.Type == opCreate), now == Slow, now == RolledBack && update, now == CreateFails && op.Type == opCreate:
		return now
	}
	return ""
}

// mishap carries out the accident that comes before a rollout's health check.
func (a *app) mishap(ctx context.Context, log line) error {
	switch a.befalls {
	case Slow:
		return a.s.o.Clock.Sleep(ctx, 4*time.Minute)
	case RolledBack, CreateFails:
		log("Failed to deploy your application image.")
		return &failure{err: errors.New("a scenario of the sandbox")}
	}
	return nil
}

// unstuck blocks while the service rehearses an operation that does not end.
func (a *app) unstuck(ctx context.Context) {
	for ctx.Err() == nil {
		var now Scenario
		var changes <-chan struct{}
		a.s.doc.View(func(st *state) {
			if r := st.service(a.id); r != nil {
				now, changes = a.s.rehearses(r.Name, r.Tags)
			}
		})
		if now != Stuck {
			return
		}
		select {
		case <-changes:
		case <-ctx.Done():
		}
	}
}

// tampered changes the CPU of a service that rehearses that, after its first rollout.
func (a *app) tampered(r record) {
	a.s.mu.Lock()
	again := a.s.meddled[a.id]
	a.s.meddled[a.id] = true
	a.s.mu.Unlock()
	if !again {
		a.s.spawn(func() { a.s.meddle(a.s.ctx, r.ARN) })
	}
}

// meddle is somebody else who updates a service: to one vCPU and 2 GB, or from there to two
// and 4 GB. An operation that is under way has its say first.
func (s *Service) meddle(ctx context.Context, arn string) {
	cpu, memory := "1024", "2048"
	s.doc.View(func(st *state) {
		if r, err := s.find(st, arn); err == nil && *r.Config.InstanceConfiguration.Cpu == cpu {
			cpu, memory = "2048", "4096"
		}
	})
	var in updateInput
	in.ServiceArn, in.InstanceConfiguration = &arn, &instanceShape{Cpu: &cpu, Memory: &memory}
	for {
		_, err := s.updateService(ctx, in)
		var busy *wire.Error
		if !errors.As(err, &busy) || busy.Code != invalidState || !strings.Contains(busy.Message, inProgress) {
			return
		}
		if s.o.Clock.Sleep(ctx, s.waits.Settle) != nil {
			return
		}
	}
}

// delayRoles begins the rehearsal of roles that are not ready for a service that is created
// with the tag; once for a name.
func (s *Service) delayRoles(name string, all []tagShape) {
	tags := map[string]string{}
	put(tags, all)
	if Scenario(tags[ScenarioTag]) != RoleNotReady {
		return
	}
	s.mu.Lock()
	again := s.meddled["role "+name]
	s.meddled["role "+name] = true
	s.mu.Unlock()
	if !again {
		s.o.Faults.RoleNotReady(notReadyTimes)
	}
}
