package apprunner

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

// site answers requests without a network.
type site func(*http.Request) (int, error)

func (s site) RoundTrip(r *http.Request) (*http.Response, error) {
	code, err := s(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func probed(f *fake, s site, probes ...state.Probe) *Provider {
	p := provider(f, Options{Probes: map[string][]state.Probe{"web": probes}})
	p.web = &http.Client{Transport: s}
	return p
}

func TestVerify_aWrongAnswerAfterARolloutIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		p := probed(f, func(*http.Request) (int, error) { return 503, nil }, state.Probe{Path: "/health", Status: 200})
		start := time.Now()
		err := converge(t.Context(), t, p, plain(), plan.Options{})
		var wrong *ProbeError
		require.ErrorAs(t, err, &wrong)
		require.EqualError(t, err, `service "web" was rolled out, but GET https://x.us-east-1.awsapprunner.com/health should answer 200 and gave Service Unavailable`)
		require.True(t, wrong.DeploymentFailed())
		require.Contains(t, wrong.Hint(), "apron status")
		require.GreaterOrEqual(t, time.Since(start), f.takes+time.Minute, "it has a minute to answer")
		require.Less(t, time.Since(start), f.takes+2*time.Minute)
		settled(t, p, plain())
	})
}

func TestVerify_asksAgainUntilTheAnswerIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paths []string
		p := probed(newFake(), func(r *http.Request) (int, error) {
			paths = append(paths, r.Method+" "+r.URL.Path)
			switch len(paths) {
			case 1:
				return 0, errors.New("no such host")
			case 2:
				return 404, nil
			}
			return map[string]int{"/health": 200, "/login": 302}[r.URL.Path], nil
		}, state.Probe{Path: "/health", Status: 200}, state.Probe{Path: "/login", Status: 302})
		require.NoError(t, p.Verify(t.Context(), "web", "https://web.example.com"))
		require.Equal(t, []string{"GET /health", "GET /health", "GET /health", "GET /login"}, paths)
	})
}

func TestVerify_tellsWhatItLastGot(t *testing.T) {
	for name, tc := range map[string]struct {
		site site
		got  string
	}{
		"a refused connection": {func(*http.Request) (int, error) { return 0, errors.New("connection refused") }, `Get "https://web.example.com/": connection refused`},
		"no answer at all":     {func(r *http.Request) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }, "no answer"},
		"another status":       {func(*http.Request) (int, error) { return 418, nil }, "I'm a teapot"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := probed(newFake(), tc.site, state.Probe{Path: "/", Status: 200})
				var wrong *ProbeError
				require.ErrorAs(t, p.Verify(t.Context(), "web", "https://web.example.com"), &wrong)
				require.Equal(t, tc.got, wrong.Got)
			})
		})
	}
}

func TestVerify_withoutProbesAsksNobody(t *testing.T) {
	p := probed(newFake(), func(*http.Request) (int, error) { t.Error("asked"); return 0, nil })
	require.NoError(t, p.Verify(t.Context(), "web", ""))
	p = probed(newFake(), nil, state.Probe{Path: "/", Status: 200})
	require.EqualError(t, p.Verify(t.Context(), "web", ""), `service "web" has no URL to verify`)
}

func TestVerify_endsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(stop) })
		p := probed(newFake(), func(*http.Request) (int, error) { return 500, nil }, state.Probe{Path: "/", Status: 200})
		require.ErrorIs(t, p.Verify(ctx, "web", "https://web.example.com"), stop)
	})
}

// The resolvers of few machines know names under localhost, and a redirect followed would
// verify another page.
func TestWebClient_dialsLocalhostItselfAndFollowsNoRedirect(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "web.localhost", strings.Split(r.Host, ":")[0])
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	res, err := webClient().Get("http://web.localhost:" + port)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusFound, res.StatusCode)
}
