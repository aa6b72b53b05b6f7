package push_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
	"github.com/apron-deploy/apron/providers/image/store"
)

// gzipLayer is a layer that is compressed already.
func gzipLayer(t *testing.T, n int) v1.Image {
	t.Helper()
	layers, err := opened(t, saved(t, noise(9, n)), nil).Layers()
	require.NoError(t, err)
	r, err := layers[0].Compressed()
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, layerWithDiff{static.NewLayer(text, types.OCILayer), layers[0]})
	require.NoError(t, err)
	return img
}

// layerWithDiff is a layer of bytes that knows what they are before compression.
type layerWithDiff struct {
	v1.Layer
	plain v1.Layer
}

func (l layerWithDiff) DiffID() (v1.Hash, error)             { return l.plain.DiffID() }
func (l layerWithDiff) Uncompressed() (io.ReadCloser, error) { return l.plain.Uncompressed() }

func TestPush_goesOnWhereABrokenUploadHasComeTo(t *testing.T) {
	const size, cut = 6 << 20, 5 << 20
	for source, img := range map[string]func() v1.Image{
		"a compressed layer":            func() v1.Image { return gzipLayer(t, size) },
		"a layer compressed on the way": func() v1.Image { return opened(t, saved(t, noise(9, size)), nil) },
	} {
		for name, tc := range map[string]struct {
			registry        *sessions
			atMost, refused int
		}{
			"the registry tells where":           {&sessions{tells: true, cut: cut}, size + 100_000, 0},
			"the registry does not tell":         {&sessions{cut: cut}, size + cut + 100_000, 0},
			"the registry tells too little":      {&sessions{tells: true, lies: 1 << 20, cut: cut}, size + cut + 100_000, 1},
			"the registry claims to have it all": {&sessions{tells: true, lies: 1 << 40, cut: cut}, size + cut + 100_000, 0},
		} {
			if source != "a compressed layer" && tc.registry.lies > 0 {
				continue // no Content-Range without a known end: the digest tells, see below
			}
			t.Run(source+", "+name, func(t *testing.T) {
				g := open(t)
				s := tc.registry.again()
				g.before = s.serve(g)
				img := img()
				var done, total int64
				o := quick()
				o.Jobs = 1
				o.Progress = func(d, t int64) { done, total = d, t }
				digest, _, err := push.Push(t.Context(), img, g.to("one"), nil, o)
				require.NoError(t, err)
				require.Equal(t, digest, digestOf(t, pull(t, g, "one")))
				require.LessOrEqual(t, s.received, tc.atMost, "bytes on the wire")
				require.Equal(t, tc.refused, s.refused)
				require.Equal(t, total, done, "what is sent twice counts once")
				require.Equal(t, sizeOf(t, img), total)
			})
		}
	}
}

func TestPush_startsAgainWhenAResumedUploadHasAnotherDigest(t *testing.T) {
	g := open(t)
	s := &sessions{tells: true, lies: 1 << 20, cut: 5 << 20}
	g.before = s.serve(g)
	layer := noise(9, 6<<20)
	digest, _, err := push.Push(t.Context(), opened(t, saved(t, layer), nil), g.to("one"), nil, quick())
	require.NoError(t, err)
	pushed(t, g, "one", digest, layer)
}

func TestPush_saysOnceThatTheRegistryIsFull(t *testing.T) {
	g := open(t)
	g.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut && r.Method != http.MethodPatch {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusInsufficientStorage)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNKNOWN","message":"no space left on device"}]}`)
		return true
	}
	o := quick()
	o.Attempts = 2
	_, _, err := push.Push(t.Context(), opened(t, saved(t, noise(1, 3000), noise(2, 5<<20), noise(3, 3000)), nil), g.to("one"), nil, o)
	require.ErrorContains(t, err, "507 UNKNOWN: no space left on device")
	require.Equal(t, 1, strings.Count(err.Error(), "no space left"))
	require.NotContains(t, err.Error(), "\n")
	require.Zero(t, g.counts()["PUT manifests"])
	digest, err := push.Lookup(t.Context(), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Empty(t, digest, "nothing is half-tagged")
}

// mounting answers as a registry whose repository api has all blobs, and web has none.
func mounting(t *testing.T, answer int) func(*gate) func(http.ResponseWriter, *http.Request) bool {
	return func(g *gate) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			from := r.URL.Query().Get("from")
			switch {
			case kind(r) == "HEAD blobs":
				w.WriteHeader(http.StatusNotFound)
				return true
			case r.Method != http.MethodPost || from == "":
				return false
			case from != "api" || !strings.HasPrefix(r.URL.Query().Get("mount"), "sha256:"):
				t.Errorf("query %s", r.URL.RawQuery)
			}
			if answer == http.StatusAccepted {
				r.URL.RawQuery = ""
				return false
			}
			return status(answer, "DENIED")(w, r)
		}
	}
}

func TestPush_mountsWhatAnotherRepositoryHas(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  int
		mounted int
		posts   int
	}{
		"where the registry allows it":   {http.StatusCreated, 3, 3},
		"and uploads where it does not":  {http.StatusAccepted, 0, 3},
		"and uploads where it is denied": {http.StatusForbidden, 0, 5},
		"and uploads where it is gone":   {http.StatusNotFound, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			known := store.OpenKnown(t.TempDir())
			file := saved(t, noise(1, 3000), noise(2, 5<<20))
			o := quick()
			o.Memory = known
			o.Jobs = 1
			there := g.to("one")
			there.Repository = "api"
			want, _, err := push.Push(t.Context(), opened(t, file, known), there, nil, o)
			require.NoError(t, err)

			g.forget()
			g.before = mounting(t, tc.answer)(g)
			var states []push.State
			o.Layer = func(l push.Layer) {
				if l.State != push.Waiting {
					states = append(states, l.State)
				}
			}
			digest, stats, err := push.Push(t.Context(), opened(t, file, known), g.to("one"), nil, o)
			require.NoError(t, err)
			require.Equal(t, want, digest)
			require.Equal(t, []int{tc.mounted, 3 - tc.mounted}, []int{stats.Mounted, stats.Uploaded})
			require.Equal(t, tc.posts, g.counts()["POST blobs/uploads"])
			if tc.mounted > 0 {
				require.Equal(t, map[string]int{"GET manifests": 1, "HEAD blobs": 3, "POST blobs/uploads": 3, "PUT manifests": 1}, g.counts())
				require.Equal(t, []push.State{push.Mounted, push.Mounted, push.Mounted}, states)
			}
		})
	}
}

func TestPush_tellsOfEachLayer(t *testing.T) {
	g := open(t)
	a, b := noise(1, 3000), noise(2, 300_000)
	_, _, err := push.Push(t.Context(), opened(t, saved(t, a), nil), g.to("other"), nil, quick())
	require.NoError(t, err)
	var mu sync.Mutex
	last := map[string]push.Layer{}
	waiting, configs := 0, 0
	o := quick()
	o.Layer = func(l push.Layer) {
		if !mu.TryLock() {
			t.Error("two reports at a time")
			return
		}
		defer mu.Unlock()
		if last[l.Name] = l; l.State == push.Waiting {
			waiting++
		} else if l.Config && l.Digest != "" {
			configs++
		}
	}
	o.Progress = func(done, _ int64) {
		if waiting != 3 && done == 0 {
			t.Error("a number before all layers are known")
		}
	}
	img := opened(t, saved(t, a, b), nil)
	_, stats, err := push.Push(t.Context(), img, g.to("one"), nil, o)
	require.NoError(t, err)
	require.Len(t, last, 3)
	layers, err := img.Layers()
	require.NoError(t, err)
	var names []string
	for _, l := range layers {
		diff, _ := l.DiffID()
		names = append(names, diff.String())
	}
	require.Equal(t, push.Existed, last[names[0]].State)
	require.Zero(t, last[names[0]].Rate())
	require.Equal(t, stats.Saved, last[names[0]].Done)
	up := last[names[1]]
	require.Equal(t, push.Uploaded, up.State)
	require.Equal(t, up.Total, up.Done)
	require.Greater(t, up.Done, int64(300_000))
	require.Positive(t, up.Rate())
	require.Equal(t, 1, configs)
	m, err := img.Manifest()
	require.NoError(t, err)
	for i, name := range names {
		require.Equal(t, m.Layers[i].Digest.String(), last[name].Digest, "what the registry calls it")
	}
}

// answers is a transport with prepared responses.
type answers []*http.Response

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	next := (*a)[0]
	*a = (*a)[1:]
	next.Body, next.Request = http.NoBody, r
	return next, nil
}

func TestLookup_waitsAsLongAsTheRegistryAsks(t *testing.T) {
	for header, want := range map[string][2]time.Duration{
		"7":       {7 * time.Second, 8 * time.Second},
		"1000000": {30 * time.Second, 31 * time.Second},
		"":        {time.Second, 2 * time.Second},
		"-5":      {time.Second, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			transport := &answers{
				{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {header}}},
				{StatusCode: http.StatusOK, Header: http.Header{"Docker-Content-Digest": {"sha256:1"}}},
			}
			to := push.Destination{Endpoint: "https://registry.example", Repository: "web", Tag: "one"}
			digest, err := push.Lookup(t.Context(), to, nil, push.Options{Transport: transport, Backoff: time.Second})
			require.NoError(t, err)
			require.Equal(t, "sha256:1", digest)
			require.GreaterOrEqual(t, time.Since(start), want[0], header)
			require.Less(t, time.Since(start), want[1], header)
		})
	}
}
