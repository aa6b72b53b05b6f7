package ecr_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	mediatypes "github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

// world is a service behind a server, with a clock that tests turn.
type world struct {
	*testing.T
	ctx     context.Context
	dir     string
	server  *httptest.Server
	client  *sdk.Client
	service *ecr.Service

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, options ...func(*ecr.Options)) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	w := &world{T: t, ctx: ctx, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	w.client = sdk.New(sdk.Options{
		Region: region, BaseEndpoint: aws.String(w.server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
	w.open(options...)
	return w
}

// open starts the service on what its directory holds.
func (w *world) open(options ...func(*ecr.Options)) {
	w.Helper()
	o := ecr.Options{
		Dir: w.dir, Account: account, Region: region, Now: w.clock,
		Endpoint: func() string { return w.server.URL },
	}
	for _, f := range options {
		f(&o)
	}
	service, err := ecr.New(o)
	require.NoError(w, err)
	w.service = service
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// serve is the least of the sandbox's server.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v2") {
		w.service.ServeHTTP(rw, r)
		return
	}
	api := w.service.API()
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), api.Target+".")
	body, _ := io.ReadAll(r.Body)
	rw.Header().Set("Content-Type", "application/x-amz-json-"+api.Version)
	f, ok := api.Operations[operation]
	if !ok {
		http.Error(rw, operation, http.StatusNotFound)
		return
	}
	out, err := f(r.Context(), body)
	if e := (*wire.Error)(nil); errors.As(err, &e) {
		rw.WriteHeader(e.HTTPStatus())
		out = map[string]string{"__type": e.Code, api.MessageKey: e.Message}
	} else if err != nil {
		rw.WriteHeader(http.StatusInternalServerError)
		out = map[string]string{"__type": "NotAWireError", api.MessageKey: err.Error()}
	}
	_ = json.NewEncoder(rw).Encode(out)
}

// create makes a repository with AWS's defaults, then what f changes.
func (w *world) create(repository string, f ...func(*sdk.CreateRepositoryInput)) *types.Repository {
	w.Helper()
	in := &sdk.CreateRepositoryInput{RepositoryName: &repository}
	for _, change := range f {
		change(in)
	}
	out, err := w.client.CreateRepository(w.ctx, in)
	require.NoError(w, err)
	return out.Repository
}

func (w *world) ref(reference string) name.Reference {
	w.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(w.server.URL, "http://")+"/"+reference, name.Insecure)
	require.NoError(w, err)
	return r
}

// login asks for a token and returns its user and password.
func (w *world) login() authn.Authenticator {
	w.Helper()
	out, err := w.client.GetAuthorizationToken(w.ctx, &sdk.GetAuthorizationTokenInput{})
	require.NoError(w, err)
	return authn.FromConfig(authn.AuthConfig{Auth: *out.AuthorizationData[0].AuthorizationToken})
}

func (w *world) options() []remote.Option {
	return []remote.Option{remote.WithAuth(w.login()), remote.WithContext(w.ctx)}
}

// randomImage has a runnable image's media types and two small layers.
func randomImage(t testing.TB, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(512, layers)
	require.NoError(t, err)
	return img
}

// push writes an image and returns its digest.
func (w *world) push(reference string, img v1.Image) string {
	w.Helper()
	require.NoError(w, remote.Write(w.ref(reference), img, w.options()...))
	d, err := img.Digest()
	require.NoError(w, err)
	return d.String()
}

// pushIndex writes an index of images for the platforms, each new.
func (w *world) pushIndex(reference string, platforms ...string) (v1.ImageIndex, map[string]string) {
	w.Helper()
	var index v1.ImageIndex = indexOf(mediatypes.OCIImageIndex)
	members := map[string]string{}
	for _, p := range platforms {
		os, architecture, _ := strings.Cut(p, "/")
		img := randomImage(w, 1)
		d, err := img.Digest()
		require.NoError(w, err)
		members[p] = d.String()
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: os, Architecture: architecture},
		}})
	}
	require.NoError(w, remote.WriteIndex(w.ref(reference), index, w.options()...))
	return index, members
}

func digestOf(t testing.TB, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	require.NoError(t, err)
	return h.String()
}

// details returns the images of a repository by digest.
func (w *world) details(repository string) map[string]types.ImageDetail {
	w.Helper()
	found := map[string]types.ImageDetail{}
	pages := sdk.NewDescribeImagesPaginator(w.client, &sdk.DescribeImagesInput{RepositoryName: &repository})
	for pages.HasMorePages() {
		out, err := pages.NextPage(w.ctx)
		require.NoError(w, err)
		for _, d := range out.ImageDetails {
			found[*d.ImageDigest] = d
		}
	}
	return found
}

// refused wants an error of the API with a code and a part of its text.
func refused(t testing.TB, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.ErrorCode(), e.ErrorMessage())
	require.Contains(t, e.ErrorMessage(), text)
}

var anonymous = authn.Anonymous
