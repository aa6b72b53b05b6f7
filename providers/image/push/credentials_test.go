package push_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/image/push"
)

// expired is how ECR refuses a token that is too old: with no challenge.
func expired(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, "denied: Your authorization token has expired. Reauthenticate and try again.")
	return true
}

// tokens returns first, and then second, and counts.
func tokens(calls *atomic.Int64, first, second string) push.Credentials {
	return func(context.Context) (string, string, error) {
		if calls.Add(1) == 1 {
			return "AWS", first, nil
		}
		return "AWS", second, nil
	}
}

func TestPush_asksOnceForNewCredentialsWhenTheTokenHasExpired(t *testing.T) {
	for name, after := range map[string]int64{"at the first request": 0, "between layers": 6} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			var served, calls atomic.Int64
			g.before = func(w http.ResponseWriter, r *http.Request) bool {
				user, pass, _ := r.BasicAuth()
				if user == "AWS" && (pass == "new" || pass == "old" && served.Add(1) <= after) {
					return false
				}
				return expired(w)
			}
			img := image(t, 12)
			digest, stats, err := push.Push(t.Context(), img, g.to("one"), tokens(&calls, "old", "new"), quick())
			require.NoError(t, err)
			require.Equal(t, digestOf(t, img), digest)
			require.Equal(t, 13, stats.Uploaded)
			require.Equal(t, int64(2), calls.Load())
		})
	}
}

func TestPush_givesUpWhenNewCredentialsAreRefusedToo(t *testing.T) {
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		g := open(t)
		g.before = func(w http.ResponseWriter, r *http.Request) bool { return status(code, "DENIED")(w, r) }
		var calls atomic.Int64
		_, stats, err := push.Push(t.Context(), image(t, 1), g.to("one"), tokens(&calls, "old", "new"), quick())
		var e *push.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, code, e.Status)
		require.Contains(t, e.Hint(), "ecr:GetAuthorizationToken")
		require.Equal(t, int64(2), calls.Load())
		require.Equal(t, 2, stats.Requests)
		require.NotContains(t, err.Error(), "old")
		require.NotContains(t, err.Error(), "new")
	}
}

func TestPush_doesNotAskAgainForCredentialsThatCannotBeHad(t *testing.T) {
	g := open(t)
	why := errors.New("connection refused")
	var calls atomic.Int64
	_, _, err := push.Push(t.Context(), image(t, 1), g.to("one"), func(context.Context) (string, string, error) {
		calls.Add(1)
		return "", "", timeout{why}
	}, quick())
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "credentials for the registry: connection refused")
	require.Equal(t, int64(1), calls.Load())
	require.Empty(t, g.counts())
}

// timeout looks as if the network were to blame.
type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
func (t timeout) Unwrap() error { return t.error }

// TestPush_sendsCredentialsToTheRegistryAlone has a registry that keeps uploads elsewhere.
func TestPush_sendsCredentialsToTheRegistryAlone(t *testing.T) {
	g := open(t)
	var elsewhere atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to another host")
		}
		if r.URL.Query().Get("session") != "1" || r.URL.Query().Get("digest") == "" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		r.URL.Path = "/v2/web/blobs/uploads/1"
		g.inner.ServeHTTP(w, r)
	}))
	t.Cleanup(store.Close)
	g.before = func(w http.ResponseWriter, r *http.Request) bool {
		if _, pass, _ := r.BasicAuth(); pass != "secret" {
			return expired(w)
		}
		if kind(r) != "POST blobs/uploads" {
			return false
		}
		w.Header().Set("Location", store.URL+"/upload?session=1")
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	o := quick()
	o.Jobs = 1
	_, stats, err := push.Push(t.Context(), image(t, 2), g.to("one"), func(context.Context) (string, string, error) { return "AWS", "secret", nil }, o)
	require.NoError(t, err)
	require.Equal(t, int64(stats.Uploaded), elsewhere.Load())
}

func TestPush_takesPlainHTTPToThisMachineOnly(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://registry.example.com":  "credentials are sent over plain http to this machine only",
		"http://localhost.example.com": "to this machine only",
		"http://169.254.169.254":       "to this machine only",
		"123.dkr.ecr.x.amazonaws.com":  "not an address with https://",
		"ftp://registry.example.com":   "not an address with https://",
		"":                             "not an address with https://",
	} {
		to := push.Destination{Endpoint: endpoint, Repository: "web", Tag: "one"}
		_, _, err := push.Push(t.Context(), image(t, 1), to, nil, quick())
		require.ErrorContains(t, err, want, endpoint)
		_, err = push.Lookup(t.Context(), to, nil, quick())
		require.ErrorContains(t, err, want, endpoint)
	}
}
