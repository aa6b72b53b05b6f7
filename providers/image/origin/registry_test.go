package origin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/origin"
	"github.com/apron-deploy/apron/providers/image/push"
)

// hub is go-containerregistry's registry in memory.
type hub struct {
	*httptest.Server
	t *testing.T
	// before may answer a request itself, and then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	asked []string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.asked = append(h.asked, r.Method+" "+r.URL.Path)
		h.mu.Unlock()
		if h.before == nil || !h.before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(h.Close)
	t.Cleanup(h.CloseClientConnections)
	return h
}

func (h *hub) host() string { return strings.TrimPrefix(h.URL, "http://") }

func (h *hub) ref(s string) name.Reference {
	h.t.Helper()
	ref, err := name.ParseReference(h.host() + "/" + s)
	require.NoError(h.t, err)
	return ref
}

func (h *hub) put(s string, what remote.Taggable) string {
	h.t.Helper()
	if index, ok := what.(v1.ImageIndex); ok {
		require.NoError(h.t, remote.WriteIndex(h.ref(s), index))
		return digestOf(h.t, index)
	}
	require.NoError(h.t, remote.Write(h.ref(s), what.(v1.Image)))
	return digestOf(h.t, what.(v1.Image))
}

// questions returns what was asked since the last time.
func (h *hub) questions() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

func digestOf(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	require.NoError(t, err)
	return h.String()
}

// runnable is an image for a platform.
func runnable(t *testing.T, platform string, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(1000, layers)
	require.NoError(t, err)
	c, err := img.ConfigFile()
	require.NoError(t, err)
	c = c.DeepCopy()
	c.OS, c.Architecture, _ = strings.Cut(platform, "/")
	c.Config.Cmd = []string{"/app"}
	img, err = mutate.ConfigFile(img, c)
	require.NoError(t, err)
	return img
}

// several is an index of images by platform, with the attestations that BuildKit adds.
func several(t *testing.T, images map[string]v1.Image) v1.ImageIndex {
	t.Helper()
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for platform, img := range images {
		p, err := v1.ParsePlatform(platform)
		require.NoError(t, err)
		index = mutate.AppendManifests(index,
			mutate.IndexAddendum{Add: runnable(t, "unknown/unknown", 1), Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
				Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"}}},
			mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

// quick does not wait, and knows no credentials.
func quick() origin.Options {
	return origin.Options{Backoff: time.Microsecond, Keychain: authn.NewMultiKeychain()}
}

func resolve(t *testing.T, from string, o origin.Options) *origin.Pin {
	t.Helper()
	p, err := origin.Resolve(t.Context(), from, o)
	require.NoError(t, err)
	return p
}

func TestResolve_pinsAnImageAndReadsNoLayer(t *testing.T) {
	for _, media := range []types.MediaType{types.DockerManifestSchema2, types.OCIManifestSchema1} {
		t.Run(string(media), func(t *testing.T) {
			h := newHub(t)
			img := mutate.MediaType(runnable(t, "linux/amd64", 3), media)
			digest := h.put("web:one", img)
			h.questions()
			p := resolve(t, h.host()+"/web:one", quick())
			m, err := img.Manifest()
			require.NoError(t, err)
			size := m.Config.Size
			for _, l := range m.Layers {
				size += l.Size
			}
			require.NotNil(t, p.Config)
			require.Equal(t, []string{"/app"}, p.Config.Config.Cmd)
			p.Config = nil
			require.Equal(t, &origin.Pin{From: h.host() + "/web:one", Reference: h.host() + "/web@" + digest, Digest: digest, Manifest: digest, Image: digest,
				MediaType: media, Platform: "linux/amd64", Compressed: size}, p)
			require.Equal(t, "src-"+digest[7:19], p.Tag())
			for _, q := range h.questions() {
				require.True(t, strings.HasPrefix(q, "GET /v2/") && (q == "GET /v2/" || strings.Contains(q, "/manifests/") || strings.HasSuffix(q, m.Config.Digest.String())), q)
			}
		})
	}
}

func TestResolve_takesThePlatformOfAnIndex(t *testing.T) {
	h := newHub(t)
	amd, arm := runnable(t, "linux/amd64", 1), runnable(t, "linux/arm64", 2)
	digest := h.put("web:one", several(t, map[string]v1.Image{"linux/arm64/v8": arm, "linux/amd64": amd}))
	p := resolve(t, h.host()+"/web:one", quick())
	require.Equal(t, digestOf(t, amd), p.Digest)
	require.False(t, p.Whole)

	o := quick()
	o.Platform = "linux/arm64"
	require.Equal(t, digestOf(t, arm), resolve(t, h.host()+"/web:one", o).Digest)

	o.Whole = true
	p = resolve(t, h.host()+"/web@"+digest, o)
	require.Equal(t, digest, p.Digest)
	require.True(t, p.Whole)
	require.Equal(t, digestOf(t, arm), p.Image)
	require.Equal(t, "linux/arm64", p.Platform)
	require.Equal(t, types.OCIImageIndex, p.MediaType)

	o.Platform = "linux/s390x"
	_, err := origin.Resolve(t.Context(), h.host()+"/web:one", o)
	require.EqualError(t, err, fmt.Sprintf(`image.from: "%s/web:one": has no image for linux/s390x: it has linux/amd64, linux/arm64/v8`, h.host()))
	require.Contains(t, hint(t, err), "docker buildx build --platform linux/s390x")
}

func TestResolve_looksIntoIndexesAndImagesThatNameNoPlatform(t *testing.T) {
	h := newHub(t)
	amd := runnable(t, "linux/amd64", 1)
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: runnable(t, "linux/arm64", 1)}, mutate.IndexAddendum{Add: amd})
	h.put("web:one", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner}))
	require.Equal(t, digestOf(t, amd), resolve(t, h.host()+"/web:one", quick()).Digest)
}

func TestImage_isTheOneForAPlatform(t *testing.T) {
	h := newHub(t)
	arm := runnable(t, "linux/arm64", 1)
	h.put("base:both", several(t, map[string]v1.Image{"linux/amd64": runnable(t, "linux/amd64", 2), "linux/arm64": arm}))
	got, err := origin.Image(t.Context(), h.host()+"/base:both", v1.Platform{OS: "linux", Architecture: "arm64"}, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, arm), digestOf(t, got))
	for _, reference := range []string{h.host() + "/base:none", "UPPER:case:twice"} {
		_, err = origin.Image(t.Context(), reference, v1.Platform{OS: "linux", Architecture: "amd64"}, quick())
		var wrong *origin.Error
		require.ErrorAs(t, err, &wrong, reference)
		require.NotEmpty(t, wrong.Fix)
	}
}

func hint(t *testing.T, err error) string {
	t.Helper()
	var e *origin.Error
	require.ErrorAs(t, err, &e)
	return e.Hint()
}

func TestOpen_staysWithWhatWasPinned(t *testing.T) {
	h := newHub(t)
	first := runnable(t, "linux/amd64", 2)
	h.put("web:one", first)
	p := resolve(t, h.host()+"/web:one", quick())
	h.put("web:one", runnable(t, "linux/amd64", 2))
	s, err := origin.Open(t.Context(), p, quick())
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, digestOf(t, first), digestOf(t, s.Image))
	require.Equal(t, p, s.Pin)
	require.NoError(t, validate.Image(s.Image))
}

func TestCopy_bringsAnImageOver(t *testing.T) {
	from, to := newHub(t), newHub(t)
	img := runnable(t, "linux/amd64", 20)
	from.put("web:one", several(t, map[string]v1.Image{"linux/amd64": img, "linux/arm64": runnable(t, "linux/arm64", 1)}))
	p := resolve(t, from.host()+"/web:one", quick())
	s, err := origin.Open(t.Context(), p, quick())
	require.NoError(t, err)
	defer s.Close()
	digest, stats, err := origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: p.Tag()}, nil, push.Options{})
	require.NoError(t, err)
	require.Equal(t, p.Digest, digest)
	require.Equal(t, 21, stats.Uploaded)
	got, err := remote.Image(to.ref("copy:" + p.Tag()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(got))
	require.Equal(t, digestOf(t, img), digestOf(t, got))
}

func TestCopy_bringsAWholeIndexOver(t *testing.T) {
	from, to := newHub(t), newHub(t)
	inner := several(t, map[string]v1.Image{"linux/arm64": runnable(t, "linux/arm64", 1)})
	index := mutate.AppendManifests(several(t, map[string]v1.Image{"linux/amd64": runnable(t, "linux/amd64", 2)}), mutate.IndexAddendum{Add: inner})
	from.put("web:one", index)
	o := quick()
	o.Whole = true
	p := resolve(t, from.host()+"/web:one", o)
	s, err := origin.Open(t.Context(), p, o)
	require.NoError(t, err)
	defer s.Close()
	destination := push.Destination{Endpoint: to.URL, Repository: "copy", Tag: p.Tag()}
	var sent int64
	progress := func(done, _ int64) { sent = max(sent, done) }
	digest, stats, err := origin.Copy(t.Context(), s, destination, nil, push.Options{FirstWins: true, Progress: progress})
	require.NoError(t, err)
	require.Equal(t, digestOf(t, index), digest)
	require.Positive(t, sent)
	require.Equal(t, 9, stats.Uploaded, "4 configurations and 5 layers")
	got, err := remote.Index(to.ref("copy:" + p.Tag()))
	require.NoError(t, err)
	require.NoError(t, validate.Index(got))
	require.Equal(t, digest, digestOf(t, got))

	digest, stats, err = origin.Copy(t.Context(), s, destination, nil, push.Options{FirstWins: true})
	require.NoError(t, err)
	require.Equal(t, digestOf(t, index), digest)
	require.Equal(t, push.Stats{Existed: true, Requests: 1}, stats)

	taken := to.put("copy:taken", runnable(t, "linux/amd64", 1))
	destination.Tag = "taken"
	digest, stats, err = origin.Copy(t.Context(), s, destination, nil, push.Options{FirstWins: true})
	require.NoError(t, err)
	require.Equal(t, taken, digest, "the first under a tag stays")
	require.True(t, stats.Existed)

	from.before = answer(http.StatusTooManyRequests, "TOOMANYREQUESTS", "/blobs/")
	destination.Repository = "other"
	_, _, err = origin.Copy(t.Context(), s, destination, nil, push.Options{Backoff: time.Microsecond})
	require.ErrorContains(t, err, "refuses more pulls for now")
}

func TestCopy_saysWhatTheSourceRefuses(t *testing.T) {
	from, to := newHub(t), newHub(t)
	from.put("web:one", runnable(t, "linux/amd64", 2))
	p := resolve(t, from.host()+"/web:one", quick())
	s, err := origin.Open(t.Context(), p, quick())
	require.NoError(t, err)
	from.before = answer(http.StatusTooManyRequests, "TOOMANYREQUESTS", "/blobs/")
	_, _, err = origin.Copy(t.Context(), s, push.Destination{Endpoint: to.URL, Repository: "copy", Tag: p.Tag()}, nil, push.Options{Backoff: time.Microsecond})
	require.ErrorContains(t, err, "refuses more pulls for now")
	require.Contains(t, hint(t, err), "docker login")
}

// answer refuses requests whose path holds a text.
func answer(status int, code, path string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, path) {
			return false
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"the reason"}]}`, code)
		return true
	}
}

// redirect sends requests for any host to the hub.
type redirect struct{ to *hub }

func (d redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(d.to.URL)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(r)
}

func TestResolve_saysWhatWentWrongAndWhatHelps(t *testing.T) {
	for name, tc := range map[string]struct {
		from        string
		before      func(http.ResponseWriter, *http.Request) bool
		why, fix    string
		credentials bool
		mistake     bool
	}{
		"no such tag":                {from: "registry.test/web:1.27", why: "there is no such image in registry.test", fix: "tags there are: 1.28, 1, 2, latest", mistake: true},
		"no such digest":             {from: "registry.test/web@sha256:" + strings.Repeat("0", 64), why: "there is no such image in registry.test", fix: "check the name and the tag", mistake: true},
		"a tag like a file's name":   {from: "registry.test/web:v1.tar", why: "there is no such image in registry.test", fix: "tags there are: ", mistake: true},
		"no such repository":         {from: "registry.test/api:1", why: "there is no such repository in registry.test", fix: "check the name", mistake: true},
		"tags are not for everybody": {from: "registry.test/web:9", before: answer(401, "UNAUTHORIZED", "/tags/"), why: "there is no such image", fix: "check the name and the tag", mistake: true},
		"private":                    {from: "registry.test/web:1", before: answer(401, "UNAUTHORIZED", "/manifests/"), why: "registry.test does not let you read it: it is private, or there is no such repository", fix: "docker login registry.test", credentials: true},
		"denied":                     {from: "ghcr.io/org/web:1", before: answer(403, "DENIED", "/manifests/"), why: "ghcr.io does not let you read it", fix: "docker login ghcr.io", credentials: true},
		"another account": {from: "210987654321.dkr.ecr.us-east-1.amazonaws.com/web:1", before: answer(403, "DENIED", "/manifests/"),
			why: "210987654321.dkr.ecr.us-east-1.amazonaws.com does not let you read it", fix: "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer, in another account by the repository's policy too", credentials: true},
		"Docker Hub's limit": {from: "nginx:1.27", before: answer(429, "TOOMANYREQUESTS", "/manifests/"), why: "Docker Hub's pull limit is reached", fix: "copy the same image from public.ecr.aws/docker/library/nginx:1.27"},
		"another limit":      {from: "org/web", before: answer(429, "TOOMANYREQUESTS", "/manifests/"), why: "docker.io refuses more pulls for now", fix: "docker login docker.io"},
		"out of order":       {from: "registry.test/web:1", before: answer(503, "UNAVAILABLE", "/manifests/"), why: "registry.test answered 503 Service Unavailable: UNAVAILABLE: the reason", fix: "try again later"},
		"a chart":            {from: "registry.test/chart:1", why: "is not a container image but something of type application/vnd.cncf.helm.config.v1+json", fix: "name an image", mistake: true},
		"schema 1": {from: "registry.test/web:old", before: func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", string(types.DockerManifestSchema1Signed))
			_, _ = io.WriteString(w, `{"schemaVersion":1}`)
			return true
		}, why: "schema 1", fix: "push it again", mistake: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			for _, tag := range []string{"1", "1.28", "2", "latest"} {
				h.put("web:"+tag, runnable(t, "linux/amd64", 1))
			}
			h.put("chart:1", mutate.ConfigMediaType(runnable(t, "linux/amd64", 1), "application/vnd.cncf.helm.config.v1+json"))
			h.before = tc.before
			o := quick()
			o.Transport = redirect{h}
			_, err := origin.Resolve(t.Context(), tc.from, o)
			var e *origin.Error
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, fmt.Sprintf("image.from: %q: ", tc.from))
			require.Contains(t, e.Why, tc.why)
			require.Contains(t, e.Fix, tc.fix)
			require.Equal(t, tc.credentials, e.Credentials)
			require.Equal(t, tc.mistake, e.Mistake)
		})
	}
}

func TestResolve_tellsNetworksApart(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	dial := func(addr string) http.RoundTripper {
		tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, tc := range map[string]struct {
		transport http.RoundTripper
		why, fix  string
	}{
		"a certificate":  {dial(secure.Listener.Addr().String()), "the certificate of registry.test is not trusted", "SSL_CERT_FILE"},
		"no TLS":         {dial(plain.Listener.Addr().String()), "registry.test speaks http", "certificate"},
		"nobody listens": {dial(closed.Listener.Addr().String()), "cannot reach registry.test", "HTTPS_PROXY"},
		"no name": {&http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "registry.test", IsNotFound: true}
		}}, "cannot look up registry.test", "how the registry is spelt"},
	} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			o.Transport = tc.transport
			_, err := origin.Resolve(t.Context(), "registry.test/web:1", o)
			require.ErrorContains(t, err, tc.why)
			require.Contains(t, hint(t, err), tc.fix)
		})
	}
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := origin.Resolve(ctx, plain.Listener.Addr().String()+"/web:1", quick())
	require.Equal(t, cause, err)
}
