package render

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// hinted is an error with a way out.
type hinted struct{ text, hint string }

func (e hinted) Error() string { return e.text }
func (e hinted) Hint() string  { return e.hint }

func result(op plan.Op, addr string, status apply.Status, took time.Duration) apply.Result {
	return apply.Result{Action: plan.Action{ID: plan.ID(string(op) + " " + addr), Op: op, Target: address(addr)}, Status: status, Took: took}
}

func completed() *apply.Report {
	web := result(plan.Create, "apprunner/service/web", apply.Done, 3*time.Minute+5*time.Second)
	web.Outcome = state.Outcome{ID: "arn:aws:apprunner:us-east-1:123456789012:service/web/1", URL: "https://new.awsapprunner.com"}
	again := result(plan.Update, "apprunner/service/web", apply.Done, 2*time.Second)
	again.Action.Second = true
	return &apply.Report{Results: []apply.Result{
		result(plan.Create, "ecr/repository/web", apply.Done, 420*time.Millisecond),
		result(plan.Update, "iam/role/web", apply.Done, 12*time.Second),
		web,
		result(plan.Delete, "iam/role/old", apply.Done, 65*time.Minute),
		again,
	}}
}

func broken() (*apply.Report, error) {
	r := completed()
	cause := fmt.Errorf("rolled back: %w", hinted{"the health check /health answered 500\nlast log lines:\n\tpanic: no database", "look at the application's log"})
	r.Results[2].Status, r.Results[2].Err, r.Results[2].Outcome = apply.Failed, cause, state.Outcome{}
	tag := result(plan.Create, "ecr/tag/web:latest", apply.Skipped, 0)
	tag.Because = r.Results[2].Action.ID
	r.Results = append(r.Results[:4], tag)
	return r, multierror.Append(nil, fmt.Errorf("%s: %w", r.Results[2].Action.ID, cause))
}

func interrupted() (*apply.Report, error) {
	r := &apply.Report{Results: []apply.Result{
		result(plan.Create, "ecr/repository/web", apply.Done, time.Second),
		result(plan.Create, "apprunner/service/web", apply.Skipped, 0),
	}}
	r.Results[1].Err = context.Canceled
	return r, multierror.Append(nil, fmt.Errorf("interrupted before 1 action was done: %w", context.Canceled))
}

func TestReport_isReadByPeopleAndMachines(t *testing.T) {
	h := header()
	everyFormat(t, "complete", NewReport(completed(), nil, h))
	r, err := broken()
	everyFormat(t, "failed", NewReport(r, err, h))
	r, err = interrupted()
	everyFormat(t, "interrupted", NewReport(r, err, Header{}))
}

func TestReport_tellsHowEachOfSeveralServicesFared(t *testing.T) {
	h := header()
	h.Services = []Service{{Name: "web", URL: "https://web.example.com", Result: "failed", Version: "v1.2.0"},
		{Name: "a-longer-name", URL: "https://api.example.com", Result: "unchanged"}, {Name: "new", Result: "skipped", Version: "v|1"}}
	r, err := broken()
	everyFormat(t, "several", NewReport(r, err, h))
}

func TestResultOf_theWorstCounts(t *testing.T) {
	for want, statuses := range map[string][]apply.Status{
		"unchanged": nil,
		"done":      {apply.Done, apply.Done},
		"skipped":   {apply.Done, apply.Skipped, apply.Done},
		"failed":    {apply.Done, apply.Failed, apply.Skipped},
	} {
		var results []apply.Result
		for _, s := range statuses {
			results = append(results, apply.Result{Status: s})
		}
		require.Equal(t, want, ResultOf(results))
	}
}

func TestReport_failsForWhatFollowsTheRun(t *testing.T) {
	v := NewReport(completed(), errors.New("verify: /health answers 503"), Header{})
	require.Contains(t, written(t, v, Options{}), "Apply failed: 5 done, 0 failed, 0 skipped.")
	require.Contains(t, written(t, v, Options{Format: Markdown}), "- **Error**: `verify: /health answers 503`")
}

func TestReport_namesTheFirstOfSeveralFailures(t *testing.T) {
	r := completed()
	for i := range 3 {
		r.Results[i].Status = apply.Failed
	}
	require.Contains(t, written(t, NewReport(r, nil, Header{}), Options{}),
		"Apply failed: create ecr/repository/web and 2 more; 2 done, 3 failed, 0 skipped.")
}

func TestReport_listsTheURLsThatRemain(t *testing.T) {
	h := Header{Services: []Service{{Name: "web", URL: "https://old"}, {Name: "api", URL: "https://api"}, {Name: "new"}}}
	r := &apply.Report{Results: []apply.Result{
		result(plan.Delete, "apprunner/service/api", apply.Done, 0),
		result(plan.Delete, "ecr/repository/web", apply.Done, 0),
		result(plan.Update, "apprunner/service/web", apply.Done, 0),
		result(plan.Create, "apprunner/service/other", apply.Done, 0),
		result(plan.Create, "apprunner/service/new", apply.Failed, 0),
	}}
	r.Results[2].Outcome.URL, r.Results[3].Outcome.URL, r.Results[4].Outcome.URL = "https://web", "https://other", "https://new"
	require.Equal(t, []Service{{Name: "web", URL: "https://web"}, {Name: "other", URL: "https://other"}}, NewReport(r, nil, h).urls())
	require.Equal(t, "https://old", h.Services[0].URL, "the caller's header stays")
}

func TestTook_isForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0s", 420 * time.Millisecond: "0.4s", 9949 * time.Millisecond: "9.9s", 9960 * time.Millisecond: "10s",
		59*time.Second + 600*time.Millisecond: "1m00s", 185 * time.Second: "3m05s", 62 * time.Minute: "1h02m",
	} {
		require.Equal(t, want, took(d))
	}
}
