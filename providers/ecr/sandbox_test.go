package ecr

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

// rig is the provider on the real SDK against the sandbox's ECR over HTTP, a registry to
// push to, and a stand-in for the service that runs the images.
type rig struct {
	*Provider
	t      *testing.T
	client *sdk.Client

	left atomic.Int64 // the connection breaks at the write that makes it 0
	late atomic.Bool  // after the write has taken effect

	mu      sync.Mutex
	calls   []string
	service state.Live // what runs
	refuses error      // of the next rollout
	same    string     // tag whose image every build gives, instead of one of its own
}

func newRig(t *testing.T, tries int) *rig {
	t.Helper()
	r := &rig{t: t, service: state.Live{}}
	var server *httptest.Server
	service, err := ecr.New(ecr.Options{Dir: t.TempDir(), Account: account, Region: region, Endpoint: func() string { return server.URL }})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: region, Now: time.Now},
		Around:   r.around,
	})
	mux.Add(service.API())
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v2") {
			service.ServeHTTP(w, req)
			return
		}
		mux.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.Provider = New(aws.Config{
		Region: region, BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = tries
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}, awsapi.Identity{Account: account, Partition: "aws"})
	r.client = r.api.(*sdk.Client)
	return r
}

// arm breaks the connection at the n-th write from now, before or after its effect.
func (r *rig) arm(n int64, after bool) { r.left.Store(n); r.late.Store(after) }

func (r *rig) around(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
	r.mu.Lock()
	r.calls = append(r.calls, call.Operation)
	r.mu.Unlock()
	write := strings.HasPrefix(call.Operation, "Put") || strings.HasPrefix(call.Operation, "Create") ||
		strings.HasPrefix(call.Operation, "Delete") || call.Operation == "TagResource"
	breaks := write && r.left.Add(-1) == 0
	if breaks && !r.late.Load() {
		return nil, wire.ErrDropped
	}
	out, err := next(ctx)
	if breaks {
		return nil, wire.ErrDropped
	}
	return out, err
}

// called returns the writes since the last time, and forgets them.
func (r *rig) called() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var writes []string
	for _, c := range r.calls {
		if !strings.HasPrefix(c, "Describe") && !strings.HasPrefix(c, "Get") && !strings.HasPrefix(c, "List") && !strings.HasPrefix(c, "BatchGet") {
			writes = append(writes, c)
		}
	}
	r.calls = nil
	return writes
}

// push writes a random image, or the one given, and returns its digest.
func (r *rig) push(repository, tag string, img v1.Image) string {
	r.t.Helper()
	if img == nil {
		var err error
		img, err = random.Image(256, 1)
		require.NoError(r.t, err)
	}
	require.NoError(r.t, remote.Write(r.ref(repository, tag), img, r.auth()))
	d, err := img.Digest()
	require.NoError(r.t, err)
	return d.String()
}

func (r *rig) ref(repository, tag string) name.Reference {
	r.t.Helper()
	host, _, _, err := r.Registry(r.t.Context())
	require.NoError(r.t, err)
	ref, err := name.ParseReference(strings.TrimPrefix(host, "http://")+"/"+repository+":"+tag, name.Insecure)
	require.NoError(r.t, err)
	return ref
}

func (r *rig) auth() remote.Option {
	r.t.Helper()
	_, user, password, err := r.Registry(r.t.Context())
	require.NoError(r.t, err)
	return remote.WithAuth(&authn.Basic{Username: user, Password: password})
}

// digest is what a tag stands for, or "".
func (r *rig) digest(repository, tag string) string {
	r.t.Helper()
	found, err := r.images(r.t.Context(), repository, []string{tag})
	require.NoError(r.t, err)
	if _, ok := found[tag]; !ok {
		return ""
	}
	return digestOf(found[tag])
}

// desired is a manifest's image, repository, tags and the service that runs the image.
func desired(s state.Spec, src string) state.Desired {
	image, service := Image(s.Image.Repository, src), state.Address{Target: "apprunner", Kind: "service", Name: s.Service}
	d := state.Desired{
		image:   {Address: image, Fields: []state.Field{{Path: "repository", Value: Repository(s.Image.Repository).String(), Ref: true, Order: true}}},
		service: {Address: service, Fields: []state.Field{{Path: "image", Value: image.String(), Ref: true}}},
	}
	for _, r := range Desired(s, image, service, nil) {
		d[r.Address] = r
	}
	return d
}

// plan observes and plans with the planner itself.
func (r *rig) plan(ctx context.Context, d state.Desired, o plan.Options) (*plan.Plan, state.Live, error) {
	q := reconcile.Query{Account: account, Region: region}
	for a := range d {
		q.Want = append(q.Want, a)
	}
	live, _, err := r.Observe(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	for a, o := range r.service {
		live[a] = o
	}
	p, err := plan.Build(d, live, o)
	return p, live, err
}

// Execute pushes images and rolls services out itself, and leaves the rest to the provider.
func (r *rig) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	switch a.Target.Type() {
	case "ecr/image":
		repository, tag := split(a.Target.Name)
		var img v1.Image
		if r.same != "" {
			var err error
			if img, err = remote.Image(r.ref(repository, r.same), r.auth()); err != nil {
				return state.Outcome{}, err
			}
		}
		r.push(repository, tag, img)
		return state.Outcome{}, nil
	case "apprunner/service":
		if r.refuses != nil {
			return state.Outcome{}, r.refuses
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.service[a.Target] = state.Observed{Resource: a.Want, Owner: state.Ours, Phase: state.Ready}
		return state.Outcome{}, nil
	}
	return r.Provider.Execute(ctx, a, env)
}

// apply plans and applies, and returns the ids of what was done or was to be done.
func (r *rig) apply(d state.Desired, o plan.Options) ([]string, error) {
	p, live, err := r.plan(r.t.Context(), d, o)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, a := range p.Actions {
		ids = append(ids, string(a.ID))
	}
	_, err = apply.Run(r.t.Context(), p, reconcile.Known(live), r, apply.Options{Parallelism: 2})
	return ids, err
}

// settled wants a plan without actions, and returns its notes.
func (r *rig) settled(d state.Desired) []state.Note {
	r.t.Helper()
	p, _, err := r.plan(r.t.Context(), d, plan.Options{})
	require.NoError(r.t, err)
	require.Empty(r.t, p.Actions)
	return p.Notes
}

func shop(change ...func(*state.Spec)) state.Spec {
	s := state.Spec{Service: "web", Image: state.Image{Repository: "team/web"}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func TestSandbox_agreesOnTheLifeOfARepository(t *testing.T) {
	r := newRig(t, 1)
	on, off, keep, fewer, days := true, false, 10, 5, 7
	for i, s := range []state.Spec{
		shop(),
		shop(func(s *state.Spec) { s.Image.ScanOnPush = &on }),
		shop(func(s *state.Spec) { s.Image.ScanOnPush, s.Image.Keep = &off, &keep }),
		shop(func(s *state.Spec) { s.Image.Keep, s.Image.Untagged = &fewer, &days }),
		shop(func(s *state.Spec) { s.Image.Tags = []string{"latest", "stable"} }),
		shop(func(s *state.Spec) { s.Image.Version = "v1.0.0" }),
	} {
		d := desired(s, "src-1")
		done, err := r.apply(d, plan.Options{})
		require.NoError(t, err, "step %d", i)
		require.NotEmpty(t, done, "step %d", i)
		require.Empty(t, r.settled(d), "step %d", i)
	}
	p, live, err := r.plan(t.Context(), desired(shop(), "src-1"), plan.Options{})
	require.NoError(t, err)
	require.Empty(t, p.Actions, "what is left out is not changed back")
	repository := live[Repository("team/web")]
	require.Equal(t, "live-*: keep 1000; release-*: keep 200; src-*: keep 5; untagged: 7 days", repository.Value("lifecycle"))
	require.Equal(t, "false", repository.Value("scan_on_push"))
	require.Equal(t, state.Shared, repository.Owner)
	require.Equal(t, "arn:aws:ecr:us-east-1:123456789012:repository/team/web", repository.ID)

	for range 2 { // what is gone already is no error
		_, err = r.Execute(t.Context(), plan.Action{Op: plan.Delete, Target: repository.Address, Have: repository}, apply.Env{})
		require.NoError(t, err)
	}
	_, live, err = r.plan(t.Context(), desired(shop(), "src-1"), plan.Options{})
	require.NoError(t, err)
	require.NotContains(t, live, repository.Address)
}

func TestSandbox_convergesAfterABrokenConnection(t *testing.T) {
	on, keep := true, 3
	first := desired(shop(func(s *state.Spec) { s.Image.Keep, s.Image.Version, s.Image.Tags = &keep, "v1", []string{"latest"} }), "src-1")
	second := desired(shop(func(s *state.Spec) {
		s.Image.ScanOnPush, s.Image.Version, s.Image.Tags = &on, "v2", []string{"latest", "edge"}
	}), "src-2")
	for _, after := range []bool{false, true} {
		for n := int64(1); ; n++ {
			r := newRig(t, 1)
			failed := false
			for _, d := range []state.Desired{first, second} {
				r.arm(n, after)
				_, err := r.apply(d, plan.Options{})
				failed = failed || err != nil
				r.arm(0, false)
				_, err = r.apply(d, plan.Options{})
				require.NoError(t, err)
				require.Empty(t, r.settled(d))
			}
			if !failed {
				break
			}
		}
	}
}

// The client tries again by itself when an answer is lost, and then hears that the
// repository, or the tag, that it has just made exists already.
func TestSandbox_aLostAnswerIsNoConflict(t *testing.T) {
	keep := 3
	d := desired(shop(func(s *state.Spec) { s.Image.Keep, s.Image.Version, s.Image.Tags = &keep, "v1", []string{"latest"} }), "src-1")
	for n := int64(1); n <= 5; n++ { // the repository, its policy, and three tags
		t.Run(fmt.Sprint("write ", n), func(t *testing.T) {
			r := newRig(t, 3)
			r.arm(n, true)
			_, err := r.apply(d, plan.Options{})
			require.NoError(t, err)
			require.LessOrEqual(t, r.left.Load(), int64(0), "the connection never broke")
			require.Empty(t, r.settled(d))
		})
	}
}

func TestRegistry_isWhereAWSPutsIt(t *testing.T) {
	r := newRig(t, 1)
	endpoint, user, password, err := r.Registry(t.Context())
	require.NoError(t, err)
	require.Equal(t, "AWS", user)
	require.NotEmpty(t, password)
	require.Contains(t, endpoint, "http://127.0.0.1:")
}
