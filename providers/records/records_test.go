package records

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
	"github.com/apron-deploy/apron/reconcile/release"
)

var web = Place{"shop", "web"}

// rig is a store on the real SDK against the sandbox's ECR over HTTP.
type rig struct {
	*Store
	client *sdk.Client

	mu    sync.Mutex
	calls []string
	lose  string // the next call of this operation takes effect, and its answer is lost
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{}
	var server *httptest.Server
	service, err := ecr.New(ecr.Options{Dir: t.TempDir(), Account: "123456789012", Region: "us-east-1", Endpoint: func() string { return server.URL }})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{
		Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: "us-east-1", Now: time.Now},
		Around: func(ctx context.Context, call wire.Call, next wire.Next) (any, error) {
			r.mu.Lock()
			r.calls = append(r.calls, call.Operation)
			lost := r.lose == call.Operation
			if lost {
				r.lose = ""
			}
			r.mu.Unlock()
			out, err := next(ctx)
			if lost {
				return nil, wire.ErrDropped
			}
			return out, err
		},
	})
	mux.Add(service.API())
	server = httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.Store = New(aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}})
	r.client = r.api.(*sdk.Client)
	return r
}

// repository makes the repository as apron does.
func (r *rig) repository(t *testing.T) *rig {
	t.Helper()
	_, err := r.client.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: &web.Repository,
		ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{
			{Filter: aws.String("live-*"), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard}}})
	require.NoError(t, err)
	return r
}

func record(service string, result release.Result, success int) release.Record {
	return release.Record{FormatVersion: release.FormatVersion, Service: service, Kind: release.Apply, Result: result, Success: success,
		StartedAt: time.Unix(1_700_000_000, 0).UTC(), Manifest: "version: 1\nservice: " + service + "\n"}
}

func (r *rig) put(t *testing.T, p Place, result release.Result, success, newest int) release.Record {
	t.Helper()
	got, err := r.Put(t.Context(), p, record(p.Service, result, success), nil, newest)
	require.NoError(t, err)
	return got
}

func (r *rig) recent(t *testing.T, places ...Place) map[Place]release.Recent {
	t.Helper()
	r.calls = nil
	recent, damaged, err := r.Recent(t.Context(), places)
	require.NoError(t, err)
	require.Empty(t, damaged)
	return recent
}

func TestStore_readsWhatItWrote(t *testing.T) {
	r := newRig(t).repository(t)
	first := r.put(t, web, release.Succeeded, 0, 0)
	require.Equal(t, 1, first.Number)
	recent := r.recent(t, web)[web]
	require.Equal(t, release.Recent{Newest: 1, Success: &first}, recent)
	require.Equal(t, []string{"BatchGetImage", "BatchGetImage"}, r.calls, "two calls, whatever there is")

	second := r.put(t, web, release.Failed, 1, 1)
	third := r.put(t, web, release.Failed, 1, 2)
	recent = r.recent(t, web)[web]
	require.Equal(t, release.Recent{Newest: 3, Success: &first, Attempts: []release.Record{third, second}}, recent)
	require.Len(t, r.calls, 2)

	numbers, err := r.Numbers(t.Context(), web)
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 1}, numbers)
	records, damaged, err := r.Read(t.Context(), web, []int{1, 3, 9})
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.Equal(t, []release.Record{third, first}, records)
}

func TestStore_writesWithFewCalls(t *testing.T) {
	r := newRig(t).repository(t)
	r.put(t, web, release.Succeeded, 0, 0)
	r.calls = nil
	r.put(t, web, release.Succeeded, 1, 1)
	require.Equal(t, []string{"BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage", "PutImage"}, r.calls)
}

func TestStore_numbersEachOnceWhoeverWritesAtOnce(t *testing.T) {
	r := newRig(t).repository(t)
	const runs = 12
	numbers := make([]int, runs)
	var g errgroup.Group
	for i := range runs {
		g.Go(func() error {
			mine := record("web", release.Succeeded, 0)
			mine.TookMS = int64(i)
			got, err := r.Put(context.Background(), web, mine, nil, 0)
			numbers[i] = got.Number
			return err
		})
	}
	require.NoError(t, g.Wait())
	slices.Sort(numbers)
	for i, n := range numbers {
		require.Equal(t, i+1, n)
	}
	require.Equal(t, runs, r.recent(t, web)[web].Newest, "wherever the tag has stopped that moves to the newest")
}

func TestStore_looksAheadOfATagThatWasLeftBehind(t *testing.T) {
	r := newRig(t).repository(t)
	r.put(t, web, release.Succeeded, 0, 0)
	for n := 2; n <= 8; n++ {
		mine := record("web", release.Succeeded, n-1)
		mine.Number = n
		text, content, err := pack(mine, 0)
		require.NoError(t, err)
		require.NoError(t, r.blob(t.Context(), web, content))
		taken, err := r.Store.put(t.Context(), web, release.Tag("web", n), text)
		require.NoError(t, err)
		require.False(t, taken)
	}
	require.Equal(t, 8, r.recent(t, web)[web].Success.Number)
}

func TestStore_writesOnceThoughAnswersAreLost(t *testing.T) {
	for _, operation := range []string{"InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"} {
		t.Run(operation, func(t *testing.T) {
			r := newRig(t).repository(t)
			r.put(t, web, release.Succeeded, 0, 0)
			r.lose = operation
			require.Equal(t, 2, r.put(t, web, release.Succeeded, 1, 1).Number)
			require.Empty(t, r.lose)
			numbers, err := r.Numbers(t.Context(), web)
			require.NoError(t, err)
			require.Equal(t, []int{2, 1}, numbers)
		})
	}
}

func TestStore_keepsServicesOfOneRepositoryApart(t *testing.T) {
	r := newRig(t).repository(t)
	// A name may go on where the other ends, and end as a number.
	places := []Place{web, {"shop", "web-2"}, {"shop", "web-000001"}}
	for i, p := range places {
		for range i + 1 {
			r.put(t, p, release.Succeeded, 0, 0)
		}
	}
	recent := r.recent(t, places...)
	require.Len(t, r.calls, 2)
	for i, p := range places {
		require.Equal(t, i+1, recent[p].Newest, p.Service)
		numbers, err := r.Numbers(t.Context(), p)
		require.NoError(t, err)
		require.Len(t, numbers, i+1, p.Service)
	}
}

func TestStore_saysWhatItCannotRead(t *testing.T) {
	for name, change := range map[string]func(*release.Record){
		"of another format":  func(r *release.Record) { r.FormatVersion = "99" },
		"of another service": func(r *release.Record) { r.Service = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).repository(t)
			r.put(t, web, release.Succeeded, 0, 0)
			mine := record("web", release.Succeeded, 0)
			mine.Number = 2
			change(&mine)
			text, content, err := pack(mine, 0)
			require.NoError(t, err)
			require.NoError(t, r.blob(t.Context(), web, content))
			_, err = r.Store.put(t.Context(), web, release.Tag("web", 2), text)
			require.NoError(t, err)
			recent, damaged, err := r.Recent(t.Context(), []Place{web})
			require.NoError(t, err)
			require.Equal(t, 1, recent[web].Newest)
			require.Len(t, damaged, 1)
			require.Equal(t, "release-web-000002", damaged[0].Tag)
			kept, damaged, err := r.Tagged(t.Context(), web.Repository, []string{release.Tag("web", 1), release.Tag("web", 2), "v1"})
			require.NoError(t, err)
			require.Len(t, kept, 1)
			require.Len(t, damaged, 1)
			require.Equal(t, "release-web-000002", damaged[0].Tag)
			again, err := r.Put(t.Context(), web, record("web", release.Succeeded, 1), nil, 1)
			require.NoError(t, err)
			require.Equal(t, 3, again.Number, "what cannot be read is not written over")
		})
	}
}

func TestStore_keepsWhatAnImageWasMadeOf(t *testing.T) {
	r := newRig(t).repository(t)
	inputs := []byte("main.go, and so on")
	first, err := r.Put(t.Context(), web, record("web", release.Succeeded, 0), inputs, 0)
	require.NoError(t, err)
	require.Equal(t, digest(inputs), first.Image.Inputs)
	require.Equal(t, first.Image.Inputs, r.recent(t, web)[web].Success.Image.Inputs)
	out, err := r.api.BatchCheckLayerAvailability(t.Context(), &sdk.BatchCheckLayerAvailabilityInput{RepositoryName: &web.Repository, LayerDigests: []string{digest(inputs)}})
	require.NoError(t, err)
	require.Equal(t, types.LayerAvailabilityAvailable, out.Layers[0].LayerAvailability)

	second, err := r.Put(t.Context(), web, first, nil, 1)
	require.NoError(t, err)
	require.Equal(t, first.Image.Inputs, second.Image.Inputs, "a rollback has the same image")

	lost := first
	lost.Image.Inputs = digest([]byte("something else"))
	third, err := r.Put(t.Context(), web, lost, nil, 2)
	require.NoError(t, err)
	require.Empty(t, third.Image.Inputs, "it does not name what is not kept with it")
}

func TestStore_hasNothingWithoutARepository(t *testing.T) {
	r := newRig(t)
	require.Empty(t, r.recent(t, web))
	numbers, err := r.Numbers(t.Context(), web)
	require.NoError(t, err)
	require.Empty(t, numbers)
	_, err = r.Put(t.Context(), web, record("web", release.Succeeded, 0), nil, 0)
	var none *ErrNoRepository
	require.True(t, errors.As(err, &none), fmt.Sprint(err))
}
