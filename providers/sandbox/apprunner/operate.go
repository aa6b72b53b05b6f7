package apprunner

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// app is what runs of a service: at most one operation or revival, and the fleet that
// serves. Its record is in the document.
type app struct {
	s     *Service
	id    string
	name  string
	logs  journal
	front http.Handler          // measures, and passes on to an instance
	fleet atomic.Pointer[fleet] // nil while nothing serves

	turn    sync.Mutex // held by the operation or the revival that runs
	remains []*fleet   // retired, but the engine could not stop all of it; guarded by turn
	befalls Scenario   // what befalls the rollout that is under way; guarded by turn

	mu   sync.Mutex
	halt context.CancelFunc // ends a revival; guarded by mu
}

// takeUp starts what the last run of the emulator left: instances of running services,
// and operations that had not ended.
func (s *Service) takeUp() {
	type job struct {
		a      *app
		op     operation
		serves bool
	}
	var jobs []job
	var changes []func() // of domains and VPC ingress connections
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			j := job{a: s.app(r.ID, r.Name)}
			if op := r.current(); op != nil {
				j.op = *op
			}
			switch j.op.Type {
			case opUpdate, opDeploy, opPause, opDelete:
				j.serves = r.Live != nil
			case "":
				j.serves = r.Status == running
			}
			jobs = append(jobs, j)
			for _, d := range r.Domains {
				service, id := r.ID, d.ID
				changes = append(changes, func() { s.certify(service, id) })
			}
		}
		for _, i := range st.Ingresses {
			change := i.Change
			changes = append(changes, func() { s.settleIngress(change) })
		}
	})
	for _, follow := range changes {
		s.spawn(follow)
	}
	for _, j := range jobs {
		switch {
		case j.op.Id != "":
			s.spawn(func() {
				if j.serves && (j.op.Type == opUpdate || j.op.Type == opDeploy) {
					j.a.revive(s.ctx, 1)
				}
				j.a.operate(j.op)
			})
		case j.serves:
			j.a.keepReviving()
		}
	}
}

// change edits the service's record and saves it. A disk that refuses is as good as a
// kill: the operation stays open and the next start takes it up.
func (a *app) change(f func(st *state, r *record)) error {
	return a.s.doc.Update(func(st *state) error {
		r := st.service(a.id)
		if r == nil {
			return errors.New("the service is gone")
		}
		f(st, r)
		return nil
	})
}

// look returns the record's configuration and what is live.
func (a *app) look() (c config, live *version) {
	a.s.doc.View(func(st *state) {
		if r := st.service(a.id); r != nil {
			c, live = r.Config, r.Live
		}
	})
	return c, live
}

// operate carries out an operation to its end, or until the emulator closes.
func (a *app) operate(op operation) {
	a.stopReviving()
	a.turn.Lock()
	defer a.turn.Unlock()
	s, ctx := a.s, a.s.ctx
	if s.o.Clock.Sleep(ctx, s.waits.Accept) != nil {
		return
	}
	if a.mark(op, opInProgress) != nil {
		return
	}
	a.befalls = a.accident(op)
	pulled, err := a.carryOut(ctx, op)
	a.befalls = ""
	if free := s.o.Faults.freed(a.name); free != nil {
		select {
		case <-free:
		case <-ctx.Done():
		}
	}
	a.unstuck(ctx)
	if ctx.Err() != nil {
		return
	}
	a.end(ctx, op, pulled, err)
}

// carryOut does an operation's work, and tells whether it pulled an image.
func (a *app) carryOut(ctx context.Context, op operation) (pulled bool, err error) {
	config, live := a.look()
	switch op.Type {
	case opPause, opDelete:
		if err := a.s.o.Clock.Sleep(ctx, a.s.waits.Settle); err != nil {
			return false, err
		}
		return false, a.vacate(ctx)
	case opResume:
		if err := a.s.o.Clock.Sleep(ctx, a.s.waits.Settle); err != nil {
			return false, err
		}
		return false, a.roll(ctx, *live, a.logs.deployment(op))
	}
	log := a.logs.deployment(op)
	log("Deployment with ID : %s started. Triggering event : %s", bare(op.Id), triggers[op.Type])
	next := version{Config: config}
	if op.Type == opUpdate && live != nil && *live.Config.image().ImageIdentifier == *config.image().ImageIdentifier {
		// Only the configuration changes: App Runner's own copy is deployed again.
		next.Ref, next.Digest = live.Ref, live.Digest
	}
	err = a.roll(ctx, next, log)
	var failed *failure
	switch {
	case errors.As(err, &failed) && failed.reason != "":
		log("Deployment with ID : %s failed. Failure reason : %s", bare(op.Id), failed.reason)
	case err != nil && ctx.Err() == nil:
		log("Deployment with ID : %s failed.", bare(op.Id))
	}
	return next.Digest == "", err
}

// vacate retires the fleet that serves, and those that an earlier try could not.
func (a *app) vacate(ctx context.Context) error {
	if f := a.fleet.Swap(nil); f != nil {
		a.remains = append(a.remains, f)
	}
	for len(a.remains) > 0 {
		if err := a.remains[0].retire(ctx, a.s.waits.Request); err != nil {
			return err
		}
		a.remains = a.remains[1:]
	}
	return nil
}

// mark moves an operation to a status that is not its last.
func (a *app) mark(op operation, status string) error {
	return a.change(func(_ *state, r *record) {
		o := r.operation(op.Id)
		o.Status, o.UpdatedAt = status, a.s.now()
	})
}

// end closes an operation and moves the service to where it leads: the table of the
// package's documentation.
func (a *app) end(ctx context.Context, op operation, pulled bool, err error) {
	target, live := a.look()
	result, status := opSucceeded, running
	switch op.Type {
	case opPause:
		status = paused
	case opDelete:
		status = deleted
	}
	if err != nil {
		result = opFailed
		switch op.Type {
		case opCreate, opUpdate, opDeploy:
			if status = createFailed; live != nil {
				result, status = opRolledBack, running
			}
		case opResume:
			status = paused
		case opDelete:
			status = deleteFailed
		case opPause:
			status = running
		}
	}
	if result == opRolledBack {
		if a.s.o.Faults.blames(a.name) {
			a.logs.deployment(op)(invalidAccessRole)
		}
		if a.mark(op, opRollingBack) != nil || a.s.o.Clock.Sleep(ctx, a.s.waits.Rollback) != nil {
			return
		}
	}
	meddle := false
	var ended record
	saved := a.change(func(_ *state, r *record) {
		now, o := a.s.now(), r.operation(op.Id)
		o.Status, o.UpdatedAt, o.EndedAt = result, now, now
		r.Status, r.UpdatedAt = status, now
		switch {
		case result == opRolledBack:
			r.Config = live.Config
		case status == deleted:
			r.DeletedAt = now
		}
		meddle, ended = result == opSucceeded && status == running && a.s.scenario(r) == SomeoneChangedCPU, *r
		a.report(op, pulled, err, target, status) // who sees the end sees what was said of it
	})
	if saved != nil {
		return
	}
	if meddle {
		a.tampered(ended)
	}
	a.s.tidy()
	if status == running && a.fleet.Load() == nil {
		a.keepReviving()
	}
}

// report writes the events that close an operation.
func (a *app) report(op operation, pulled bool, err error, target config, status string) {
	word, details := words[op.Type], ""
	switch {
	case err != nil && (op.Type == opCreate || op.Type == opUpdate || op.Type == opDeploy):
		a.logs.event("%s failed. For details, see service logs.", word)
	case err != nil:
		a.logs.event("%s failed.", word)
	default:
		if op.Type == opUpdate {
			details = " New application and configuration is deployed."
			if !pulled {
				details = " New configuration is deployed."
			}
		}
		if op.Type == opCreate && *target.SourceConfiguration.AutoDeploymentsEnabled {
			a.logs.event("Successfully created pipeline for automatic deployments.")
		}
		a.logs.event("%s completed successfully.%s", word, details)
	}
	if status != deleted {
		a.logs.event("Service status is set to %s.", status)
	}
}

// revive starts the live version of a service that has no fleet, at most tries times;
// 0 is without end.
func (a *app) revive(ctx context.Context, tries int) {
	for try := 1; ; try++ {
		_, live := a.look()
		if live == nil {
			return
		}
		if err := a.roll(ctx, *live, func(string, ...any) {}); err == nil || ctx.Err() != nil || try == tries {
			return
		}
		if a.s.o.Clock.Sleep(ctx, backoff(a.s.waits.Restart, try)) != nil {
			return
		}
	}
}

// keepReviving revives in the background until it works or an operation takes over.
func (a *app) keepReviving() {
	ctx, cancel := context.WithCancel(a.s.ctx)
	a.mu.Lock()
	a.halt = cancel
	a.mu.Unlock()
	a.s.spawn(func() {
		defer cancel()
		a.turn.Lock()
		defer a.turn.Unlock()
		if ctx.Err() == nil {
			a.revive(ctx, 0)
		}
	})
}

func (a *app) stopReviving() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halt != nil {
		a.halt()
	}
}

// backoff doubles a wait with each failure, up to 64 times.
func backoff(wait time.Duration, failures int) time.Duration {
	return wait << min(max(failures-1, 0), 6)
}

// ImagePushed tells of a tag that was pushed to a repository of this account and
// Region. It starts a deployment of each running service that follows the tag; busy
// ones miss it, as nothing is queued.
// https://docs.aws.amazon.com/apprunner/latest/dg/manage-deploy.html
func (s *Service) ImagePushed(repo, tag string) {
	var arns []string
	s.doc.View(func(st *state) {
		for _, r := range st.Services {
			parts := repository().FindStringSubmatch(*r.Config.image().ImageIdentifier)
			if parts == nil || !*r.Config.SourceConfiguration.AutoDeploymentsEnabled || s.status(r) != running {
				continue
			}
			follows := parts[4]
			if follows == "" && parts[5] == "" {
				follows = "latest"
			}
			if parts[1] == s.o.Account && parts[2] == s.o.Region && parts[3] == repo && follows == tag && tag != "" {
				arns = append(arns, r.ARN)
			}
		}
	})
	for _, arn := range arns {
		// A service that has become busy in between misses the push.
		_, _ = s.startDeployment(s.ctx, arnInput{ServiceArn: new(arn)})
	}
}
