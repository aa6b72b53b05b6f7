package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/hashicorp/go-multierror"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/lock"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// TestServices_oneThatFailsStopsNoOther has a directory in which something else is wrong
// with each service but one.
func TestServices_oneThatFailsStopsNoOther(t *testing.T) {
	t.Parallel()
	service := func(name, more string) string {
		return "version: 1\nservice: " + name + "\nregion: us-east-1\nimage: {repository: shop, build: {context: app}}\n" + more
	}
	c := newCheckout(t, service("shop", "health: {path: /health}\n"), built.tiny)
	c.write("typo.yaml", service("typo", "port: many\nmemory: lots\n"))
	c.write("needy.yaml", service("needy", "env: {URL: \"${services.typo.url}\"}\n"))
	c.write("wide.yaml", service("wide", "permissions: [\"s3:* *\"]\n"))
	c.write("taken.yaml", service("taken", ""))
	c.write("sick.yaml", service("sick", "verify: [{path: /, status: 418}]\n"))
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	w.manifest = "."
	info := w.Info()
	client := ssmsdk.New(ssmsdk.Options{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")})
	other := lock.New(client, lock.Holder{Verb: "apply", Owner: "arn:aws:iam::123456789012:user/ana", Host: "elsewhere", PID: 7}, time.Hour, lock.Options{})
	require.NoError(t, other.Acquire(t.Context(), "taken"))

	code, out := w.run(t.Context(), "plan", "--detailed-exitcode")
	require.Equal(t, exitPolicy, code, out)
	for _, want := range []string{
		`SERVICE  TARGET     CHANGES  RESULT\n`, `shop     apprunner  \+\d+ +changes\n`, `taken    apprunner  \+\d+ +changes\n`,
		`typo     -          - +refused\n`, `wide     -          - +refused\n`, `needy    -          - +skipped\n`,
		`typo.yaml:5:7: port: `, `typo.yaml:6:9: memory: `, `grants every action or every resource`,
		`service "needy" is skipped: env.URL refers to the URL of service "typo", which is left out and not live`,
		`3 services are left out: typo, needy and wide\.`,
	} {
		require.Regexp(t, want, out)
	}

	code, out = w.run(t.Context(), "apply", "--yes")
	require.Equal(t, exitFailed, code, out)
	for _, want := range []string{`shop     done       -        http://shop\.localhost`, `sick     failed`, `taken    locked`, `typo     refused`, `wide     refused`, `needy    skipped`,
		`service "taken" is locked by arn:aws:iam::123456789012:user/ana`} {
		require.Regexp(t, want, out)
	}
	var services []string
	for _, line := range w.inventory() {
		var status, name string
		if n, _ := fmt.Sscanf(line, "service %s %s", &status, &name); n == 2 {
			services = append(services, name)
		}
	}
	require.ElementsMatch(t, []string{"shop", "sick"}, services)

	code, out = w.run(t.Context(), "plan", "--only", "shop", "--detailed-exitcode")
	require.Equal(t, exitOK, code, out)
	code, out = w.run(t.Context(), "plan", "--only", "typo")
	require.Equal(t, exitUsage, code, out)
}

// TestExitCode_ofSeveralErrorsTheGravestCounts is the order that apron docs exit-codes has.
func TestExitCode_ofSeveralErrorsTheGravestCounts(t *testing.T) {
	order := []struct {
		code int
		err  error
	}{
		{exitFailed, failed{}},
		{exitTimeout, &lock.TimeoutError{HeldError: &lock.HeldError{}}},
		{exitCredentials, &awsapi.Error{Credentials: true}},
		{exitUnapproved, &unapprovedError{}},
		{exitPolicy, &plan.RefusedError{Policy: true}},
		{exitUsage, &manifest.Error{}},
		{exitError, errors.New("anything")},
		{exitChanges, errChanges},
	}
	for i, grave := range order {
		require.Equal(t, grave.code, exitCode(t.Context(), grave.err))
		for _, less := range order[i:] {
			for _, err := range []error{multierror.Append(nil, less.err, grave.err), errors.Join(grave.err, less.err),
				multierror.Append(nil, &serviceError{"web", multierror.Append(nil, less.err)}, grave.err)} {
				require.Equal(t, grave.code, exitCode(t.Context(), err), "%d beside %d", grave.code, less.code)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted{})
	require.Equal(t, exitInterrupted, exitCode(ctx, failed{}))
}

type failed struct{}

func (failed) Error() string          { return "rolled back" }
func (failed) DeploymentFailed() bool { return true }

// TestSession_goesOnWithoutSome tells what is wrong with services from what is wrong with
// the run.
func TestSession_goesOnWithoutSome(t *testing.T) {
	web, api := &serviceError{"web", errors.New("web is wrong")}, &serviceError{"api", errors.New("api is wrong")}
	for name, tc := range map[string]struct {
		err  error
		all  bool // the run is not one that goes on
		left []string
		out  []string // "service result"
		want string
	}{
		"nothing":               {left: []string{"web", "api", "job"}},
		"one":                   {err: web, left: []string{"api", "job"}, out: []string{"web refused"}},
		"two, one of them held": {err: multierror.Append(nil, web, &lock.HeldError{Found: lock.Found{Service: "job"}}), left: []string{"api"}, out: []string{"web refused", "job locked"}},
		"a check":               {err: &checkError{check: state.Check{Service: "api"}}, left: []string{"web", "job"}, out: []string{"api refused"}},
		"what it needs":         {err: &serviceError{"api", &dependsError{}}, left: []string{"web", "job"}, out: []string{"api skipped"}},
		"what cannot be read":   {err: &serviceError{"api", &reconcile.ReadError{Err: errors.New("denied")}}, left: []string{"web", "job"}, out: []string{"api unread"}},
		"nor what it needs":     {err: &serviceError{"api", &dependsError{unread: &reconcile.ReadError{Err: errors.New("denied")}}}, left: []string{"web", "job"}, out: []string{"api unread"}},
		"all":                   {err: multierror.Append(nil, web, api, &serviceError{"job", errors.New("job is wrong")}), left: []string{"web", "api", "job"}, want: "job is wrong"},
		"the run":               {err: multierror.Append(nil, web, errors.New("no credentials")), left: []string{"web", "api", "job"}, want: "no credentials"},
		"another's":             {err: &serviceError{"gone", errors.New("gone is wrong")}, left: []string{"web", "api", "job"}, want: "gone is wrong"},
		"all or nothing":        {err: web, all: true, left: []string{"web", "api", "job"}, want: "web is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{isolates: !tc.all, set: &manifest.Set{}}
			for _, name := range []string{"web", "api", "job"} {
				s.specs = append(s.specs, state.Spec{Service: name})
				s.set.Documents = append(s.set.Documents, manifest.Document{Spec: s.specs[len(s.specs)-1]})
			}
			err := s.without(tc.err)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
			} else {
				require.NoError(t, err)
			}
			var left, documents, out []string
			for i, spec := range s.specs {
				left = append(left, spec.Service)
				documents = append(documents, s.set.Documents[i].Spec.Service)
			}
			for _, o := range s.out {
				out = append(out, o.service+" "+o.result)
			}
			require.Equal(t, tc.left, left)
			require.Equal(t, left, documents)
			require.Equal(t, tc.out, out)
			require.Equal(t, len(out) > 0, s.failures(nil) != nil)
		})
	}
}

// patient is small with the most lenient health check that there is, for a machine that
// runs many of it at once.
var patient = strings.Replace(small, "health: {path: /health, interval: 5s, timeout: 2s}", "health: {interval: 20s, timeout: 19s, unhealthy: 20}", 1)

// directory writes manifests of services that differ in their names alone, beside the one
// of shop.
func directory(c *checkout, from, to int) {
	for n := from; n < to; n++ {
		c.write(fmt.Sprintf("s%03d.yaml", n), strings.Replace(patient, "service: shop", fmt.Sprintf("service: shop-%03d", n), 1))
	}
}

// TestPlan_callsOfLiveServicesAreFixed plans directories of services that are live and
// unchanged. What a plan calls is the same for each, beside what it calls once.
func TestPlan_callsOfLiveServicesAreFixed(t *testing.T) {
	t.Parallel()
	c := newCheckout(t, patient, built.tiny)
	c.shared()
	w := newWorld(t, c, filepath.Join(t.TempDir(), "state"), 0)
	w.manifest = "."
	var before map[string]int
	const some, more = 10, 16
	for _, size := range []int{some, more} {
		directory(c, 1, size)
		code, out := w.run(t.Context(), "apply", "--yes")
		require.Equal(t, exitOK, code, out)
		code, out = w.run(t.Context(), "plan", "--detailed-exitcode")
		require.Equal(t, exitOK, code, out)
		count := map[string]int{}
		for _, call := range w.calls {
			count[call]++
		}
		if before != nil {
			each, once := map[string]int{}, map[string]int{}
			for call, n := range count {
				per := (n - before[call]) / (more - some)
				if per > 0 {
					each[call] = per
				}
				if rest := n - per*more; rest != 0 {
					once[call] = rest
				}
			}
			require.Equal(t, map[string]int{
				"apprunner DescribeService": 1, "apprunner ListOperations": 1, "apprunner ListTagsForResource": 1,
				"ecr DescribeRepositories": 1, "ecr GetLifecyclePolicy": 1, "ecr ListTagsForResource": 1, "ecr DescribeImages": 1,
				"ecr BatchGetImage":       3, // of the image, of the tags, of the records
				"ssm GetParametersByPath": 1, "ssm ListTagsForResource": 1,
			}, each)
			require.Equal(t, map[string]int{
				"sts GetCallerIdentity": 1, "apprunner ListServices": 1, "tagging GetResources": 1, "iam GetAccountAuthorizationDetails": 1,
				// of the one configuration that all of them share
				"apprunner ListAutoScalingConfigurations": 1, "apprunner DescribeAutoScalingConfiguration": 1,
				"apprunner ListServicesForAutoScalingConfiguration": 1, "apprunner ListTagsForResource": 1,
			}, once)
		}
		before = count
	}

	require.Greater(t, w.paced()["apprunner"], int(paces["apprunner"].burst), "so many that they have to wait")
}

// paced fails where an API got more calls of the last run than its pace lets through until
// then: later they may come, as on a machine that is busy, and earlier never. It returns how
// many each got.
func (w *world) paced() map[string]int {
	seen := map[string]int{}
	for i, call := range w.calls {
		name := call
		if _, ok := paces[name]; !ok {
			name, _, _ = strings.Cut(call, " ")
		}
		pace, ok := paces[name]
		if seen[name]++; ok {
			require.LessOrEqual(w.t, float64(seen[name]), pace.burst+pace.rate*w.times[i].Seconds(), "%s, %s after the start", call, w.times[i])
		}
	}
	return seen
}
