package push_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
)

// pull reads an image back with another client than ours.
func pull(t *testing.T, g *gate, tag string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(g.URL, "http://") + "/web:" + tag)
	require.NoError(t, err)
	img, err := remote.Image(ref, remote.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(img))
	return img
}

func TestPush_sendsWhatIsMissingAndNothingElse(t *testing.T) {
	g := open(t)
	first := image(t, 3)
	digest, stats, err := push.Push(t.Context(), first, g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, first), digest)
	require.Equal(t, push.Stats{Blobs: 4, Uploaded: 4, Bytes: sizeOf(t, first), Requests: 14}, stats)
	require.Equal(t, digest, digestOf(t, pull(t, g, "one")))

	g.forget()
	layer, err := random.Layer(500, types.DockerLayer)
	require.NoError(t, err)
	second, err := mutate.AppendLayers(first, layer, layer)
	require.NoError(t, err)
	digest, stats, err = push.Push(t.Context(), second, g.to("two"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, 5, stats.Blobs, "a layer that occurs twice is one blob")
	require.Equal(t, 2, stats.Uploaded, "the new layer and the configuration")
	require.Equal(t, map[string]int{"GET manifests": 1, "HEAD blobs": 5, "POST blobs/uploads": 2, "PUT blobs/uploads": 2, "PUT manifests": 1}, g.counts())
	require.Equal(t, digest, digestOf(t, pull(t, g, "two")))
}

func TestPush_asksOneQuestionAboutAnImageThatIsThere(t *testing.T) {
	g := open(t)
	img := image(t, 3)
	_, _, err := push.Push(t.Context(), img, g.to("one"), nil, quick())
	require.NoError(t, err)
	digest, stats, err := push.Push(t.Context(), img, g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, img), digest)
	require.Equal(t, push.Stats{Existed: true, Saved: sizeOf(t, img), Requests: 1}, stats)
}

func TestPush_firstWins(t *testing.T) {
	g := open(t)
	first, second := image(t, 1), image(t, 1)
	_, _, err := push.Push(t.Context(), first, g.to("one"), nil, quick())
	require.NoError(t, err)
	o := quick()
	o.FirstWins = true
	digest, stats, err := push.Push(t.Context(), second, g.to("one"), nil, o)
	require.NoError(t, err)
	require.Equal(t, digestOf(t, first), digest)
	require.Equal(t, 1, stats.Requests)

	digest, _, err = push.Push(t.Context(), second, g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, second), digest, "and otherwise the tag moves")
}

func TestPush_reportsHowFarItIs(t *testing.T) {
	g := open(t)
	img := image(t, 5)
	_, _, err := push.Push(t.Context(), image(t, 1), g.to("other"), nil, quick())
	require.NoError(t, err)
	var busy atomic.Bool
	var seen []int64
	o := quick()
	o.Progress = func(done, total int64) {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two reports at a time")
		}
		defer busy.Store(false)
		if total != sizeOf(t, img) {
			t.Errorf("total %d", total)
		}
		seen = append(seen, done)
	}
	_, _, err = push.Push(t.Context(), img, g.to("one"), nil, o)
	require.NoError(t, err)
	require.Zero(t, seen[0])
	require.IsNonDecreasing(t, seen)
	require.Equal(t, sizeOf(t, img), seen[len(seen)-1])

	seen = nil
	_, _, err = push.Push(t.Context(), img, g.to("again"), nil, o)
	require.NoError(t, err)
	require.Equal(t, sizeOf(t, img), seen[len(seen)-1], "blobs that are there count as well")
}

// watched is a layer that counts its readers.
type watched struct {
	v1.Layer
	open *atomic.Int64
}

func (l watched) Compressed() (io.ReadCloser, error) {
	r, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &watchedReader{ReadCloser: r, open: l.open}, nil
}

type watchedReader struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (r *watchedReader) Close() error {
	r.once.Do(func() { r.open.Add(-1) })
	return r.ReadCloser.Close()
}

func TestPush_endsWithTwentyLayersAndClosesThem(t *testing.T) {
	g := open(t)
	var readers atomic.Int64
	var layers []v1.Layer
	for range 20 {
		l, err := random.Layer(64<<10, types.OCILayer)
		require.NoError(t, err)
		layers = append(layers, watched{l, &readers})
	}
	img, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var last int64
	o := quick()
	o.Progress = func(done, _ int64) { last = done }
	digest, stats, err := push.Push(ctx, img, g.to("one"), nil, o)
	require.NoError(t, err)
	require.Equal(t, 21, stats.Uploaded)
	require.Equal(t, sizeOf(t, img), last)
	require.Eventually(t, func() bool { return readers.Load() == 0 }, 5*time.Second, time.Millisecond, "layers left open")
	require.Equal(t, digest, digestOf(t, pull(t, g, "one")))
}

func TestPush_triesAgainWhatMayPass(t *testing.T) {
	kinds := []string{"GET manifests", "HEAD blobs", "POST blobs/uploads", "PUT blobs/uploads", "PUT manifests"}
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"status 500":              status(500, "UNKNOWN"),
		"status 503":              status(503, ""),
		"too many requests":       status(429, "TOOMANYREQUESTS"),
		"an upload that got lost": status(404, "BLOB_UPLOAD_UNKNOWN"),
		"a connection reset":      reset,
	} {
		for _, what := range kinds {
			if name == "an upload that got lost" && what != "PUT blobs/uploads" {
				continue
			}
			t.Run(name+" at "+what, func(t *testing.T) {
				g := open(t)
				g.before = once(what, fail)
				img := image(t, 2)
				var last int64
				o := quick()
				o.Progress = func(done, _ int64) { last = done }
				digest, _, err := push.Push(t.Context(), img, g.to("one"), nil, o)
				require.NoError(t, err)
				require.Equal(t, digestOf(t, img), digest)
				require.Equal(t, sizeOf(t, img), last, "what failed counts once")
				require.Equal(t, digest, digestOf(t, pull(t, g, "one")))
			})
		}
	}
}

func TestPush_givesUpInTheEnd(t *testing.T) {
	g := open(t)
	g.before = status(500, "UNKNOWN")
	o := quick()
	o.Attempts = 3
	_, stats, err := push.Push(t.Context(), image(t, 1), g.to("one"), nil, o)
	require.EqualError(t, err, "push to "+strings.TrimPrefix(g.URL, "http://")+"/web:one: GET /v2/web/manifests/one: 500 UNKNOWN: the reason")
	require.Equal(t, 3, stats.Requests)
}

func TestPush_doesNotRepeatWhatStays(t *testing.T) {
	for name, tc := range map[string]struct {
		status     int
		code, hint string
	}{
		"no such repository": {404, "NAME_UNKNOWN", "does not exist in this account and Region"},
		"a bad request":      {400, "DIGEST_INVALID", ""},
		"not supported":      {501, "UNSUPPORTED", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPost && status(tc.status, tc.code)(w, r)
			}
			o := quick()
			o.Jobs = 1
			_, _, err := push.Push(t.Context(), image(t, 1), g.to("one"), nil, o)
			var e *push.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.code, e.Code)
			require.Contains(t, err.Error(), tc.code+": the reason")
			require.Contains(t, e.Hint(), tc.hint)
			require.Equal(t, 1, g.counts()["POST blobs/uploads"])
			require.Zero(t, g.counts()["PUT manifests"])
		})
	}
}

// immutable answers a manifest whose tag is taken as ECR does, even if it is the same.
func immutable(afterPut func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var taken atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) bool {
		if kind(r) != "PUT manifests" {
			return false
		}
		if !taken.CompareAndSwap(false, true) {
			return status(400, "TAG_INVALID")(w, r)
		}
		return afterPut(w, r)
	}
}

func TestPush_findsItsImageWhenTheAnswerWasLost(t *testing.T) {
	g := open(t)
	g.before = immutable(func(w http.ResponseWriter, r *http.Request) bool {
		g.inner.ServeHTTP(discard{http.Header{}}, r)
		return reset(w, r)
	})
	img := image(t, 1)
	digest, _, err := push.Push(t.Context(), img, g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, img), digest)
	require.Equal(t, 2, g.counts()["PUT manifests"])
}

// discard is an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestPush_leavesATagToWhoWasFaster(t *testing.T) {
	for _, firstWins := range []bool{true, false} {
		g := open(t)
		other := image(t, 1)
		g.before = func(w http.ResponseWriter, r *http.Request) bool {
			if kind(r) != "PUT manifests" {
				return false
			}
			g.before = nil // somebody else comes in between
			_, _, err := push.Push(context.Background(), other, g.to("one"), nil, quick())
			if err != nil {
				t.Error(err)
			}
			return status(400, "TAG_INVALID")(w, r)
		}
		o := quick()
		o.FirstWins = firstWins
		o.Jobs = 1
		digest, _, err := push.Push(t.Context(), image(t, 1), g.to("one"), nil, o)
		if firstWins {
			require.NoError(t, err)
			require.Equal(t, digestOf(t, other), digest)
		} else {
			require.ErrorContains(t, err, "TAG_INVALID")
		}
	}
}

func TestPush_endsPromptlyWithItsContext(t *testing.T) {
	why := errors.New("interrupted")
	for name, block := range map[string]func(*gate, func()) push.Options{
		"while a layer goes up": func(g *gate, stop func()) push.Options {
			g.before = func(_ http.ResponseWriter, r *http.Request) bool {
				if kind(r) != "PUT blobs/uploads" {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection goes unnoticed
				stop()
				<-r.Context().Done()
				return true
			}
			return quick()
		},
		"while it waits to try again": func(g *gate, stop func()) push.Options {
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				defer stop()
				return status(503, "")(w, r)
			}
			return push.Options{Backoff: time.Hour}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			o := block(g, func() { cancel(why) })
			done := make(chan error, 1)
			go func() {
				_, _, err := push.Push(ctx, image(t, 4), g.to("one"), nil, o)
				done <- err
			}()
			select {
			case err := <-done:
				require.ErrorIs(t, err, why)
				require.NotContains(t, err.Error(), "http://", "where it was is known")
			case <-time.After(10 * time.Second):
				t.Fatal("still pushing")
			}
		})
	}
}

func TestLookup_tellsWhatATagNames(t *testing.T) {
	g := open(t)
	img := image(t, 1)
	digest, err := push.Lookup(t.Context(), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Empty(t, digest)

	_, _, err = push.Push(t.Context(), img, g.to("one"), nil, quick())
	require.NoError(t, err)
	digest, err = push.Lookup(t.Context(), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, img), digest)

	inner := g.inner
	g.inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(shy{w}, r) })
	digest, err = push.Lookup(t.Context(), g.to("one"), nil, quick())
	require.NoError(t, err)
	require.Equal(t, digestOf(t, img), digest, "from the manifest itself")
}

// shy is an answer without the header that holds the digest.
type shy struct{ http.ResponseWriter }

func (s shy) WriteHeader(code int) {
	s.Header().Del("Docker-Content-Digest")
	s.ResponseWriter.WriteHeader(code)
}
