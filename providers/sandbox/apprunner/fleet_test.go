package apprunner

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// scaled creates a service that runs min to max instances, each for so many requests.
func (r *rig) scaled(min, max, concurrency int32, adjust ...func(*sdk.CreateServiceInput)) *types.Service {
	r.t.Helper()
	out, err := r.api.CreateAutoScalingConfiguration(context.Background(), &sdk.CreateAutoScalingConfigurationInput{
		AutoScalingConfigurationName: aws.String("scaled"), MinSize: &min, MaxSize: &max, MaxConcurrency: &concurrency,
	})
	require.NoError(r.t, err)
	return r.create(append(adjust, func(in *sdk.CreateServiceInput) {
		in.AutoScalingConfigurationArn = out.AutoScalingConfiguration.AutoScalingConfigurationArn
	})...)
}

// hold sends a request that its instance keeps until it is told.
func (r *rig) hold(host string, requests *sync.WaitGroup) {
	before := r.holding()
	requests.Go(func() {
		if code, body := r.get(host, "/hold"); code != 200 {
			r.t.Errorf("a held request ended with %d %s", code, body)
		}
	})
	r.eventually(func() bool { return r.holding() == before+1 })
}

func (r *rig) holding() (n int32) {
	for _, i := range r.engine.alive() {
		n += i.holding.Load()
	}
	return n
}

// letGo ends all held requests.
func (r *rig) letGo(requests *sync.WaitGroup) {
	for _, i := range r.engine.alive() {
		close(i.hold)
	}
	requests.Wait()
}

func TestFleet_startsItsLeast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.scaled(3, 3, 1)
	require.Len(t, r.engine.alive(), 3)
}

func TestFleet_growsWithRequestsAndTurnsAwayTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.scaled(1, 2, 2)
	var requests sync.WaitGroup
	for range 2 {
		r.hold(*s.ServiceUrl, &requests)
	}
	require.Len(t, r.engine.alive(), 1, "as many as one instance takes")
	r.hold(*s.ServiceUrl, &requests)
	r.eventually(func() bool { return len(r.engine.alive()) == 2 })
	r.hold(*s.ServiceUrl, &requests)
	code, body := r.get(*s.ServiceUrl, "/")
	require.Equal(t, 429, code)
	require.Equal(t, "Too Many Requests", body)
	r.letGo(&requests)
	r.eventually(func() bool { return len(r.engine.alive()) == 1 })
	code, _ = r.get(*s.ServiceUrl, "/")
	require.Equal(t, 200, code)
}

func TestFleet_replacesWhatDies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create()
	first := r.engine.alive()[0]
	first.end(runner.Exit{Code: 1})
	r.eventually(func() bool { code, _ := r.get(*s.ServiceUrl, "/"); return code == 200 })
	require.NotContains(t, r.engine.alive(), first)
	require.Equal(t, types.ServiceStatusRunning, r.describe(s.ServiceArn).Status)
	ops, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: s.ServiceArn})
	require.NoError(t, err)
	require.Len(t, ops.OperationSummaryList, 1, "nobody is told")
}

func TestFleet_replacesWhatSickensWithoutDroppingItsRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create(func(in *sdk.CreateServiceInput) { in.HealthCheckConfiguration = httpCheck() })
	first := r.engine.alive()[0]
	var requests sync.WaitGroup
	r.hold(*s.ServiceUrl, &requests)
	first.sick.Store(true)
	r.eventually(func() bool { return len(r.engine.alive()) == 2 })
	r.letGo(&requests)
	r.eventually(func() bool { return len(r.engine.alive()) == 1 })
	require.NotContains(t, r.engine.alive(), first)
	require.Zero(t, first.dropped.Load())
}

// The values of secrets stay those of the deployment, but an instance that starts later
// needs them to be there.
func TestFleet_cannotGrowWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.world.secrets["/a"] = "x"
	r.create(func(in *sdk.CreateServiceInput) {
		in.InstanceConfiguration = &types.InstanceConfiguration{InstanceRoleArn: aws.String(instanceRole)}
		in.SourceConfiguration.ImageRepository.ImageConfiguration.RuntimeEnvironmentSecrets = map[string]string{"S": "/a"}
	})
	r.world.keep("/a", "")
	r.engine.alive()[0].end(runner.Exit{Code: 1})
	r.logs("events", "An instance of the service could not be started: secret S: /a not found")
	require.Empty(t, r.engine.alive())
	r.world.keep("/a", "rotated")
	r.eventually(func() bool { return len(r.engine.alive()) == 1 })
	require.Contains(t, r.engine.alive()[0].spec.Env, "S=x")
}

// keep sets a secret; "" forgets it.
func (w *world) keep(ref, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets[ref] = value; value == "" {
		delete(w.secrets, ref)
	}
}

func TestRoute_isLikeAppRunners(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.create()
	send := func(host string, header http.Header) *http.Response {
		req, err := http.NewRequest(http.MethodPost, r.server.URL+"/headers", strings.NewReader("body"))
		require.NoError(t, err)
		req.Host = host
		if header != nil {
			req.Header = header
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	res := send(*s.ServiceUrl, http.Header{"X-Forwarded-For": {"10.0.0.1"}})
	require.Equal(t, "envoy", res.Header.Get("Server"))
	var got struct {
		Host   string
		Header http.Header
	}
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, *s.ServiceUrl, got.Host)
	require.Equal(t, "10.0.0.1, 127.0.0.1", got.Header.Get("X-Forwarded-For"))
	require.Equal(t, 403, send(*s.ServiceUrl, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}).StatusCode)
	require.Equal(t, 200, send("SHOP.localhost.", nil).StatusCode)
	for _, host := range []string{"nope.localhost", "shop", "shop.example.com"} {
		require.Equal(t, 404, send(host, nil).StatusCode, host)
	}
}

func TestRoute_endsRequestsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	waits := Rehearsal()
	waits.Request, waits.Grace = 50*time.Millisecond, 50*time.Millisecond
	r := newRig(t, func(o *Options) { o.Waits = &waits })
	s := r.create()
	code, body := r.get(*s.ServiceUrl, "/hold")
	require.Equal(t, 504, code)
	require.Equal(t, "upstream request timeout", body)
}

// An instance that takes no connection got nothing yet, so another one is asked.
func TestRoute_asksAnotherInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.scaled(2, 2, 100)
	r.engine.alive()[0].deaf.Store(true)
	for range 4 {
		code, _ := r.get(*s.ServiceUrl, "/")
		require.Equal(t, 200, code)
	}
}
