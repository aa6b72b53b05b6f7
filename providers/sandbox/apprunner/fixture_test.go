package apprunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/apprunner"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/smithy-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const (
	account      = "123456789012"
	region       = "us-east-1"
	registry     = account + ".dkr.ecr." + region + ".amazonaws.com/"
	accessRole   = "arn:aws:iam::123456789012:role/web-access"
	instanceRole = "arn:aws:iam::123456789012:role/web-instance"
)

// rig is an emulator on fakes, a real SDK client of it over HTTP, and a front door.
type rig struct {
	t       testing.TB
	s       *Service
	api     *sdk.Client
	server  *httptest.Server
	options Options
	world   *world
	engine  *fakeEngine
	faults  *Faults
}

// newRig starts an emulator whose clock is fast.
func newRig(t testing.TB, adjust ...func(*Options)) *rig {
	w := &world{images: map[string]v1.Image{}, secrets: map[string]string{}, denied: map[string]bool{}, lines: map[string][]string{}}
	w.push("web:v1", "v1")
	w.push("web:v2", "v2")
	r := &rig{t: t, world: w, engine: &fakeEngine{}, faults: &Faults{}}
	waits := Rehearsal()
	waits.Grace = 50 * time.Millisecond
	r.options = Options{
		Dir: t.TempDir(), Account: account, Region: region, Clock: clock.New(1000),
		Endpoint: func() string { return r.server.URL },
		Images:   w, Roles: w, Secrets: w, Logs: w, Engine: r.engine, Waits: &waits, Faults: r.faults,
	}
	for _, f := range adjust {
		f(&r.options)
	}
	r.open()
	t.Cleanup(func() { r.close() })
	return r
}

// open starts the emulator on what the directory holds.
func (r *rig) open() {
	var err error
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: region, Now: time.Now},
		Log: func(e wire.Entry) {
			if e.Detail != "" {
				r.t.Error(e.Detail)
			}
		},
	})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Amz-Target") != "" {
			mux.ServeHTTP(w, req)
			return
		}
		front, _ := r.s.Route(req.Host)
		front.ServeHTTP(w, req)
	}))
	r.s, err = New(r.options)
	require.NoError(r.t, err)
	mux.Add(r.s.API())
	r.api = sdk.New(sdk.Options{
		Region: region, BaseEndpoint: &r.server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
	})
}

func (r *rig) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	require.NoError(r.t, r.s.Close(ctx))
	r.server.Close()
	require.Empty(r.t, r.engine.alive(), "instances outlive the emulator")
}

// source is the smallest source configuration that AWS takes.
func source(image string) *types.SourceConfiguration {
	return &types.SourceConfiguration{
		ImageRepository: &types.ImageRepository{
			ImageIdentifier: aws.String(registry + image), ImageRepositoryType: types.ImageRepositoryTypeEcr,
			ImageConfiguration: &types.ImageConfiguration{},
		},
		AuthenticationConfiguration: &types.AuthenticationConfiguration{AccessRoleArn: aws.String(accessRole)},
	}
}

// mode makes instances misbehave, through an environment variable that the fake reads.
func mode(image, mode string) *types.SourceConfiguration {
	s := source(image)
	s.ImageRepository.ImageConfiguration.RuntimeEnvironmentVariables = map[string]string{"MODE": mode}
	return s
}

// httpCheck makes checks that see status codes.
func httpCheck() *types.HealthCheckConfiguration {
	return &types.HealthCheckConfiguration{Protocol: types.HealthCheckProtocolHttp, Path: aws.String("/health"), UnhealthyThreshold: aws.Int32(2)}
}

// create makes a running service called shop.
func (r *rig) create(adjust ...func(*sdk.CreateServiceInput)) *types.Service {
	r.t.Helper()
	in := &sdk.CreateServiceInput{ServiceName: aws.String("shop"), SourceConfiguration: source("web:v1")}
	for _, f := range adjust {
		f(in)
	}
	out, err := r.api.CreateService(context.Background(), in)
	require.NoError(r.t, err)
	op := r.follow(out.Service.ServiceArn, out.OperationId)
	require.Equal(r.t, types.OperationStatusSucceeded, op.Status, r.world.dump())
	return r.describe(out.Service.ServiceArn)
}

func (r *rig) describe(arn *string) *types.Service {
	r.t.Helper()
	out, err := r.api.DescribeService(context.Background(), &sdk.DescribeServiceInput{ServiceArn: arn})
	require.NoError(r.t, err)
	return out.Service
}

// follow waits until an operation has ended.
func (r *rig) follow(arn, id *string) types.OperationSummary {
	r.t.Helper()
	var found types.OperationSummary
	r.eventually(func() bool {
		out, err := r.api.ListOperations(context.Background(), &sdk.ListOperationsInput{ServiceArn: arn})
		require.NoError(r.t, err)
		i := slices.IndexFunc(out.OperationSummaryList, func(o types.OperationSummary) bool { return *o.Id == *id })
		require.GreaterOrEqual(r.t, i, 0)
		found = out.OperationSummaryList[i]
		return found.EndedAt != nil
	})
	return found
}

func (r *rig) eventually(done func() bool) {
	r.t.Helper()
	require.Eventually(r.t, done, 5*time.Second, 2*time.Millisecond, "%s", lazily(r.world.dump))
}

// logs waits for a text in a stream: an operation's last events follow its end.
func (r *rig) logs(stream, text string) {
	r.t.Helper()
	r.eventually(func() bool { return strings.Contains(r.world.log(stream), text) })
}

// lazily defers a text until it is printed.
type lazily func() string

func (l lazily) String() string { return l() }

// get asks a service through the front door.
func (r *rig) get(host, path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.server.URL+path, nil)
	require.NoError(r.t, err)
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return res.StatusCode, string(body)
}

// refused asserts an error's code and text, as the SDK sees them.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, code, api.ErrorCode(), api.ErrorMessage())
	require.Equal(t, text, api.ErrorMessage())
}

// world is ECR, IAM, the secret stores and CloudWatch Logs.
type world struct {
	mu      sync.Mutex
	images  map[string]v1.Image
	secrets map[string]string
	denied  map[string]bool // roles, and "role action"
	lines   map[string][]string
}

func (w *world) push(name, content string) {
	img, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"version": content}})
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[registry+name] = img
}

func (w *world) Image(identifier string) (v1.Image, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	img, ok := w.images[identifier]
	if !ok {
		return nil, "", errors.New("image not found")
	}
	digest, err := img.Digest()
	return img, digest.String(), err
}

func (w *world) deny(what string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.denied[what] = on
}

func (w *world) Assume(role, principal string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied[role] || strings.HasSuffix(role, "-access") != strings.HasPrefix(principal, "build.") {
		return errors.New("not trusted")
	}
	return nil
}

func (w *world) Allowed(role, action, resource string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.denied[role+" "+action] && !w.denied[action+" "+resource]
}

func (w *world) Value(ref string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.secrets[ref]
	if !ok {
		return "", fmt.Errorf("%s not found", ref)
	}
	return v, nil
}

func (w *world) Put(group, stream string, _ time.Time, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[group+" "+stream] = append(w.lines[group+" "+stream], message)
}

// log joins the lines of all streams whose "group stream" contains text.
func (w *world) log(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for key, lines := range w.lines {
		if strings.Contains(key, text) {
			all = append(all, lines...)
		}
	}
	return strings.Join(all, "\n")
}

func (w *world) dump() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, _ := json.MarshalIndent(w.lines, "", "  ")
	return string(b)
}
