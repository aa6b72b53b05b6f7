package apprunner

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/state"
)

// span is how long something takes: in the middle, and up to where it is normal.
type span struct{ usual, longest time.Duration }

// rules are what the operations take as a rule. AWS promises none of it: its own example
// of a creation took 203 seconds, a network interface for a VPC takes two to five minutes
// more the first time, and of pausing and its like nothing is said.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ListOperations.html
// https://docs.aws.amazon.com/apprunner/latest/dg/network-vpc.html
var rules = map[types.OperationType]span{
	types.OperationTypeCreateService:   {3 * time.Minute, 8 * time.Minute},
	types.OperationTypeUpdateService:   {3 * time.Minute, 8 * time.Minute},
	types.OperationTypeStartDeployment: {3 * time.Minute, 8 * time.Minute},
	types.OperationTypePauseService:    {2 * time.Minute, 5 * time.Minute},
	types.OperationTypeResumeService:   {2 * time.Minute, 5 * time.Minute},
	types.OperationTypeDeleteService:   {2 * time.Minute, 5 * time.Minute},
}

// past is how many operations of a kind an expectation rests on at most.
const past = 5

// Expect says how long an operation of a service will take as a rule, from those before it;
// nil when there is nothing to go by. A sandbox is a rehearsal: what AWS takes as a rule
// does not hold there.
func Expect(op types.OperationSummary, before []types.OperationSummary, service state.Observed, rehearsal bool) *apply.Expectation {
	floor := time.Duration(0)
	if !rehearsal {
		floor = healthFloor(service.Resource)
	}
	return expect(op, before, floor, !rehearsal)
}

// expect says how long an operation will take, from those of its kind that succeeded
// before, else from the rule. No rollout ends before its health checks can have passed,
// which is floor. It returns nil where there is nothing to go by.
func expect(op types.OperationSummary, before []types.OperationSummary, floor time.Duration, ruled bool) *apply.Expectation {
	var took []time.Duration
	for _, o := range before {
		if o.Type == op.Type && o.Status == types.OperationStatusSucceeded && o.StartedAt != nil && o.EndedAt != nil && len(took) < past &&
			aws.ToString(o.Id) != aws.ToString(op.Id) {
			took = append(took, o.EndedAt.Sub(*o.StartedAt))
		}
	}
	e := &apply.Expectation{Since: aws.ToTime(op.StartedAt)}
	name := operationNames[op.Type]
	rule, known := rules[op.Type]
	switch n := len(took); {
	case n > 0:
		slices.Sort(took)
		e.Usual, e.Longest = took[n/2], max(2*took[n-1], took[n-1]+time.Minute)
		e.Basis = fmt.Sprintf("as the last %d of this kind took", n)
		if n == 1 {
			e.Basis = "as the last " + name + " took"
		}
	case ruled && known:
		e.Usual, e.Longest, e.Basis = rule.usual, rule.longest, "as a rule"
	default:
		return nil
	}
	if RollsOut(op.Type) || op.Type == types.OperationTypeResumeService {
		if e.Usual < floor {
			e.Usual, e.Basis = floor, "the least that its health checks take"
		}
		e.Longest = max(e.Longest, 2*floor)
	}
	if RollsOut(op.Type) {
		// As users saw it: https://github.com/aws/apprunner-roadmap/issues/46
		e.Over = "a failing health check takes App Runner 18 to 20 minutes"
	}
	return e
}

// healthFloor is the least time in which a new instance can pass its health checks: the
// interval times how many must pass. A resource that does not say has App Runner's
// defaults, 5 seconds and once.
// https://docs.aws.amazon.com/apprunner/latest/api/API_HealthCheckConfiguration.html
func healthFloor(fields ...state.Resource) time.Duration {
	value := func(path string) string {
		for _, r := range fields {
			if v := r.Value(path); v != "" {
				return v
			}
		}
		return ""
	}
	interval, healthy := 5*time.Second, 1
	if d, err := time.ParseDuration(value("health.interval")); err == nil {
		interval = d
	}
	if n, err := strconv.Atoi(value("health.healthy")); err == nil {
		healthy = n
	}
	return interval * time.Duration(healthy)
}
