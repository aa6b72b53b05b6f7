package push_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
)

// gate is go-containerregistry's registry in memory, behind something that counts and
// may interfere.
type gate struct {
	*httptest.Server
	// before may answer a request itself, and then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
	inner  http.Handler

	mu    sync.Mutex
	count map[string]int // by kind, see kind
}

func open(t *testing.T) *gate {
	t.Helper()
	g := &gate{inner: registry.New(registry.Logger(log.New(io.Discard, "", 0))), count: map[string]int{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.count[kind(r)]++
		g.mu.Unlock()
		if g.before != nil && g.before(w, r) {
			return
		}
		g.inner.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	t.Cleanup(g.CloseClientConnections)
	return g
}

var digests = regexp.MustCompile(`/v2/web/|sha256:[0-9a-f]+|/[0-9]+$`)

// kind names a request without what differs from run to run: "HEAD blobs/".
func kind(r *http.Request) string {
	path := digests.ReplaceAllString(r.URL.Path, "")
	if what, _, ok := strings.Cut(path, "manifests/"); ok {
		path = what + "manifests/"
	}
	return r.Method + " " + strings.TrimSuffix(path, "/")
}

func (g *gate) counts() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := map[string]int{}
	for k, n := range g.count {
		c[k] = n
	}
	return c
}

func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.count)
}

func (g *gate) to(tag string) push.Destination {
	return push.Destination{Endpoint: g.URL, Repository: "web", Tag: tag}
}

// once lets f interfere with the first request of a kind.
func once(want string, f func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var first sync.Once
	return func(w http.ResponseWriter, r *http.Request) (done bool) {
		if kind(r) == want {
			first.Do(func() { done = f(w, r) })
		}
		return done
	}
}

// reset ends the connection as a network does that fails: after some of the body.
func reset(w http.ResponseWriter, r *http.Request) bool {
	_, _ = io.CopyN(io.Discard, r.Body, 100)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	return true
}

// status answers with a status and an error code of the distribution protocol.
func status(code int, id string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"errors":[{"code":"`+id+`","message":"the reason"}]}`)
		return true
	}
}

// quick are options that do not wait.
func quick() push.Options { return push.Options{Backoff: time.Microsecond} }

func image(t *testing.T, layers int) v1.Image {
	t.Helper()
	img, err := random.Image(2000, int64(layers))
	require.NoError(t, err)
	return img
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	require.NoError(t, err)
	return d.String()
}

// sizeOf is the size of all blobs of an image.
func sizeOf(t *testing.T, img v1.Image) int64 {
	t.Helper()
	m, err := img.Manifest()
	require.NoError(t, err)
	total := m.Config.Size
	for _, l := range m.Layers {
		total += l.Size
	}
	return total
}
