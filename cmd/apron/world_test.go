package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apprunnersdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	ssmsdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi/apimodel"
	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/release"
)

// world is a sandbox in this process, whose calls can go wrong.
type world struct {
	t   testing.TB
	dir string // of the manifest
	*sandbox.Server
	end func() // stops the sandbox and its containers

	mu    sync.Mutex
	calls []string        // "service Operation" since the last run began
	times []time.Duration // when each came, since then
	began time.Time
	fault func(n int) sandbox.Fault
	hold  func(call string) // keeps a call waiting; nil for none
	in    string            // stdin of the runs
	// tty answers what the runs ask on a terminal, a line each; nil for no terminal.
	tty answers
	// manifest is the file or directory that the runs are about; default deploy.yaml.
	manifest string
	vars     map[string]string // environment of the runs
	// port is that of a proxy that the runs reach the sandbox by; 0 for none.
	port int
}

func newWorld(t testing.TB, c *checkout, dir string, latency time.Duration) *world {
	t.Helper()
	return newWorldAt(t, c, dir, latency, 1000)
}

// newWorldAt is a world whose waits are divided by speed.
func newWorldAt(t testing.TB, c *checkout, dir string, latency time.Duration, speed float64) *world {
	t.Helper()
	return newWorldOf(t, c, sandbox.Options{Dir: dir, Speed: speed, Engine: inProcessEngine, Latency: latency})
}

// newWorldOf is a world whose sandbox is as the options say.
func newWorldOf(t testing.TB, c *checkout, o sandbox.Options) *world {
	t.Helper()
	w := &world{t: t, dir: c.dir}
	models, err := apimodel.Load()
	require.NoError(t, err)
	o.Account, o.Region = sandboxAccount, sandboxRegion
	o.Faults = func(service, operation string, _ int) sandbox.Fault {
		call := service + " " + operation
		w.mu.Lock()
		hold := w.hold
		w.mu.Unlock()
		if hold != nil {
			hold(call)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls, w.times = append(w.calls, call), append(w.times, time.Since(w.began))
		if w.fault == nil {
			return sandbox.Fault{}
		}
		return w.fault(len(w.calls))
	}
	o.Seen = func(x wire.Exchange) {
		if err := models.Check(x.Service, x.Operation, x.Request, x.Body); err != nil {
			t.Errorf("AWS's model of its API: %v", err)
		}
	}
	w.Server, err = sandbox.New(context.Background(), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(w.end)
	return w
}

// run runs a command in this process and returns its exit code and all it printed.
func (w *world) run(ctx context.Context, args ...string) (int, string) {
	w.mu.Lock()
	w.calls, w.times, w.began = nil, nil, time.Now()
	w.mu.Unlock()
	var out bytes.Buffer
	a := newApp(strings.NewReader(w.in), &out, &out)
	a.lookup = func(name string) (string, bool) {
		if name == "APRON_BUILDER" {
			return "builtin", true
		}
		v, ok := w.vars[name]
		return v, ok
	}
	a.cache = ""
	if w.tty != nil {
		a.in, a.ttyIn = w.tty, true
	}
	a.connect = func(context.Context, string, string, string) (sandbox.Info, error) {
		info := w.Info()
		info.Port = cmp.Or(w.port, info.Port)
		return info, nil
	}
	code := a.run(ctx, append(args, "--sandbox", "--file", filepath.Join(w.dir, cmp.Or(w.manifest, "deploy.yaml"))))
	return code, out.String()
}

// config is how AWS's own SDK reaches the sandbox.
func (w *world) config() aws.Config {
	info := w.Info()
	return aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
}

// answers is a terminal on which somebody types a line whenever one is read.
type answers func() string

func (a answers) Read(p []byte) (int, error) { return copy(p, a()), nil }

// held keeps calls waiting by hold from now on; nil lets them pass.
func (w *world) held(hold func(call string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold = hold
}

// die is a run that ends, as by a SIGKILL, at its n-th call, before or after that takes
// effect. It reports whether the run came so far.
func (w *world) die(n int, when sandbox.When, args ...string) bool {
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	dead := false
	w.mu.Lock()
	w.fault = func(call int) sandbox.Fault {
		switch {
		case dead: // what was on its way never left
			return sandbox.Fault{When: sandbox.Before}
		case call == n:
			dead = true
			kill()
			return sandbox.Fault{When: when}
		}
		return sandbox.Fault{}
	}
	w.mu.Unlock()
	w.run(ctx, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = nil
	return dead
}

// inventory names everything there is. Release records, of which a run that died may have
// written one and the next another, are counted only as far as there are any.
func (w *world) inventory() []string {
	t, ctx, info := w.t, context.Background(), w.Info()
	cfg := aws.Config{Region: info.Region, BaseEndpoint: aws.String(info.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider(info.AccessKey, info.SecretKey, "")}
	var all []string
	add := func(kind string, name *string) { all = append(all, kind+" "+aws.ToString(name)) }

	services, err := apprunnersdk.NewFromConfig(cfg).ListServices(ctx, &apprunnersdk.ListServicesInput{})
	require.NoError(t, err)
	for _, s := range services.ServiceSummaryList {
		add("service "+string(s.Status), s.ServiceName)
	}
	scaling, err := apprunnersdk.NewFromConfig(cfg).ListAutoScalingConfigurations(ctx, &apprunnersdk.ListAutoScalingConfigurationsInput{})
	require.NoError(t, err)
	for _, s := range scaling.AutoScalingConfigurationSummaryList {
		add(fmt.Sprintf("scaling revision %d", s.AutoScalingConfigurationRevision), s.AutoScalingConfigurationName)
	}
	repositories, err := ecrsdk.NewFromConfig(cfg).DescribeRepositories(ctx, &ecrsdk.DescribeRepositoriesInput{})
	require.NoError(t, err)
	for _, r := range repositories.Repositories {
		add("repository", r.RepositoryName)
		images, err := ecrsdk.NewFromConfig(cfg).ListImages(ctx, &ecrsdk.ListImagesInput{RepositoryName: r.RepositoryName})
		require.NoError(t, err)
		recorded := map[string]bool{}
		for _, i := range images.ImageIds {
			service, _, ok := release.ParseTag(aws.ToString(i.ImageTag))
			if !ok {
				add("image", i.ImageTag)
			} else if !recorded[service] {
				recorded[service] = true
				add("records of", &service)
			}
		}
	}
	roles, err := iamsdk.NewFromConfig(cfg).ListRoles(ctx, &iamsdk.ListRolesInput{PathPrefix: aws.String("/apron/")})
	require.NoError(t, err)
	for _, r := range roles.Roles {
		add("role", r.RoleName)
	}
	parameters, err := ssmsdk.NewFromConfig(cfg).DescribeParameters(ctx, &ssmsdk.DescribeParametersInput{})
	require.NoError(t, err)
	for _, p := range parameters.Parameters {
		add(fmt.Sprintf("parameter version %d", p.Version), p.Name)
	}
	slices.Sort(all)
	return all
}
