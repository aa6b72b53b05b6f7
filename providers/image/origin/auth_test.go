package origin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
	sandbox "github.com/apron-deploy/apron/providers/sandbox/ecr"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// locked lets in whoever brings a token that its token service gives to one user.
func locked(h *hub) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			if user, pass, _ := r.BasicAuth(); user != "ann" || pass != "secret" {
				w.WriteHeader(http.StatusUnauthorized)
			} else {
				_, _ = fmt.Fprint(w, `{"token":"abc"}`)
			}
			return true
		}
		if r.Header.Get("Authorization") == "Bearer abc" {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="hub"`, h.URL))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

// keys is a keychain of one user.
type keys struct{ user, pass string }

func (k keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: k.user, Password: k.pass}, nil
}

func TestResolve_answersAChallenge(t *testing.T) {
	h := newHub(t)
	digest := h.put("web:one", runnable(t, "linux/amd64", 1))
	h.before = locked(h)
	o := quick()
	_, err := origin.Resolve(t.Context(), h.host()+"/web:one", o)
	require.ErrorContains(t, err, "does not let you read it")
	o.Keychain = keys{"ann", "wrong"}
	_, err = origin.Resolve(t.Context(), h.host()+"/web:one", o)
	require.ErrorContains(t, err, "does not let you read it")
	require.NotContains(t, err.Error(), "wrong")
	o.Keychain = keys{"ann", "secret"}
	require.Equal(t, digest, resolve(t, h.host()+"/web:one", o).Digest)
}

func TestInECR(t *testing.T) {
	for from, want := range map[string]bool{
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:1":                                 true,
		"docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop":                          true,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256:" + strings.Repeat("0", 64): true,
		"public.ecr.aws/nginx/nginx:1":                                                        false,
		"nginx":                                                                               false,
		"./123456789012.dkr.ecr.us-east-1.amazonaws.com/shop":                                 false,
		"oci:layout":   false,
		"NO reference": false,
		"":             false,
	} {
		require.Equal(t, want, origin.InECR(from), from)
	}
}

func TestKeychain_logsInToECRInAnyAccount(t *testing.T) {
	var asked []string
	chain := origin.Keychain(func(_ context.Context, account, region string) (string, string, error) {
		asked = append(asked, account+" "+region)
		return "AWS", "token", nil
	}, keys{"other", "pass"})
	for host, user := range map[string]string{
		"210987654321.dkr.ecr.eu-west-1.amazonaws.com":           "AWS",
		"210987654321.dkr.ecr-fips.us-east-1.amazonaws.com":      "AWS",
		"210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn":       "AWS",
		"210987654321.dkr-ecr.us-west-2.on.aws":                  "AWS",
		"public.ecr.aws":                                         "other",
		"index.docker.io":                                        "other",
		"210987654321.dkr.ecr.eu-west-1.amazonaws.com.evil.test": "other",
		"210987654321.dkr.ecr.eu-west-1.amazonaws.comevil":       "other",
		"9210987654321.dkr.ecr.eu-west-1.amazonaws.com":          "other",
	} {
		r, err := name.NewRegistry(host)
		require.NoError(t, err)
		a, err := authn.Resolve(t.Context(), chain, r)
		require.NoError(t, err)
		c, err := a.Authorization()
		require.NoError(t, err)
		require.Equal(t, user, c.Username, host)
	}
	require.ElementsMatch(t, []string{"210987654321 eu-west-1", "210987654321 us-east-1", "210987654321 cn-north-1", "210987654321 us-west-2"}, asked)

	o := quick()
	o.Keychain = origin.Keychain(func(context.Context, string, string) (string, string, error) {
		return "", "", &awsapi.Error{Why: "the token expired", Fix: "sign in again"}
	}, nil)
	o.Transport = redirect{newHub(t)}
	_, err := origin.Resolve(t.Context(), "210987654321.dkr.ecr.eu-west-1.amazonaws.com/web:1", o)
	require.ErrorContains(t, err, "log in to 210987654321.dkr.ecr.eu-west-1.amazonaws.com: the token expired")
	require.Equal(t, "sign in again", hint(t, err))
	var e *origin.Error
	require.True(t, errors.As(err, &e) && e.Credentials)
}

// TestCopy_fromAndToTheSandbox copies between two repositories of the sandbox's ECR, the
// source under the name that AWS gives it: once as accounts are, and then with mounts, by
// which no layer is read or sent.
func TestCopy_fromAndToTheSandbox(t *testing.T) {
	const account, region = "123456789012", "us-east-1"
	var server *httptest.Server
	var mu sync.Mutex
	var asked []string
	service, err := sandbox.New(sandbox.Options{Dir: t.TempDir(), Account: account, Region: region, Endpoint: func() string { return server.URL }})
	require.NoError(t, err)
	mux := wire.NewMux(wire.MuxOptions{Verifier: &wire.Verifier{Secret: func(string) (string, bool) { return "secret", true }, Region: region, Now: time.Now}})
	mux.Add(service.API())
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2") {
			mu.Lock()
			asked = append(asked, r.Method+" "+r.URL.String())
			mu.Unlock()
			service.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := aws.Config{Region: region, BaseEndpoint: &server.URL, HTTPClient: server.Client(), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
	for _, repository := range []string{"theirs", "ours", "sent"} {
		_, err := sdk.NewFromConfig(cfg).CreateRepository(t.Context(), &sdk.CreateRepositoryInput{RepositoryName: &repository})
		require.NoError(t, err)
	}
	provider := ecr.New(cfg, awsapi.Identity{Account: account, Partition: "aws"})
	credentials := func(ctx context.Context) (string, string, error) {
		_, user, pass, err := provider.Registry(ctx)
		return user, pass, err
	}
	user, pass, err := credentials(t.Context())
	require.NoError(t, err)
	auth := remote.WithAuth(&authn.Basic{Username: user, Password: pass})
	at, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/theirs:v1")
	require.NoError(t, err)
	index := several(t, map[string]v1.Image{"linux/amd64": runnable(t, "linux/amd64", 3), "linux/arm64": runnable(t, "linux/arm64", 1)})
	require.NoError(t, remote.WriteIndex(at, index, auth))
	layers := map[string]bool{}
	m, err := index.IndexManifest()
	require.NoError(t, err)
	for _, d := range m.Manifests {
		img, err := index.Image(d.Digest)
		require.NoError(t, err)
		m, err := img.Manifest()
		require.NoError(t, err)
		for _, l := range m.Layers {
			layers[l.Digest.String()] = true
		}
	}

	for _, tc := range []struct {
		to    string
		whole bool
		want  push.Stats // blobs and what became of them
		read  int        // layers
	}{
		{"sent", false, push.Stats{Blobs: 4, Uploaded: 4}, 3},
		{"ours", false, push.Stats{Blobs: 4, Uploaded: 1, Mounted: 3}, 0},
		// Three images are new, and the index is pushed with the blobs of one of them.
		{"ours", true, push.Stats{Blobs: 8, Uploaded: 3, Mounted: 3}, 0},
	} {
		whole := tc.whole
		if tc.to == "ours" {
			_, err := sdk.NewFromConfig(cfg).PutAccountSetting(t.Context(), &sdk.PutAccountSettingInput{Name: aws.String("BLOB_MOUNTING"), Value: aws.String("ENABLED")})
			require.NoError(t, err)
		}
		o := quick()
		o.Whole, o.Transport = whole, origin.At(server.URL)
		o.Keychain = origin.Keychain(func(ctx context.Context, a, r string) (string, string, error) {
			require.Equal(t, account+region, a+r)
			return credentials(ctx)
		}, nil)
		p := resolve(t, account+".dkr.ecr."+region+".amazonaws.com/theirs:v1", o)
		s, err := origin.Open(t.Context(), p, o)
		require.NoError(t, err)
		asked = nil
		digest, stats, err := origin.Copy(t.Context(), s, push.Destination{Endpoint: server.URL, Repository: tc.to, Tag: p.Tag()}, credentials, push.Options{FirstWins: true})
		require.NoError(t, err)
		require.Equal(t, tc.want, push.Stats{Blobs: stats.Blobs, Uploaded: stats.Uploaded, Mounted: stats.Mounted})
		read, mounts := map[string]bool{}, 0
		for _, q := range asked {
			if digest, ok := strings.CutPrefix(q, "GET /v2/theirs/blobs/"); ok && layers[digest] {
				read[digest] = true
			}
			if strings.HasPrefix(q, "POST ") && strings.Contains(q, "from=theirs&mount=") {
				mounts++
			}
		}
		require.Len(t, read, tc.read, "layers")
		require.GreaterOrEqual(t, mounts, 3)
		require.Equal(t, p.Digest, digest)
		copied, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/" + tc.to + ":" + p.Tag())
		require.NoError(t, err)
		if whole {
			got, err := remote.Index(copied, auth)
			require.NoError(t, err)
			require.NoError(t, validate.Index(got))
			continue
		}
		got, err := remote.Image(copied, auth)
		require.NoError(t, err)
		require.NoError(t, validate.Image(got))
	}
}
