package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// drifting is a view with a change whose new value is text.
func drifting(text string) *render.Drift {
	addr := state.Address{Target: "apprunner", Kind: "service", Name: "web"}
	was := state.Resource{Address: addr, Fields: []state.Field{{Path: "env.A", Value: "old"}}}
	is := state.Resource{Address: addr, Fields: []state.Field{{Path: "env.A", Value: text}}}
	v := render.NewDrift(render.Header{}, nil)
	v.Add("web", release.Recent{}, plan.Drifted([]state.Resource{was}, nil, state.Live{addr: {Resource: is}}), 1)
	return v
}

func notifying(t *testing.T, status int) (*app, *bytes.Buffer, *[]string, string) {
	t.Helper()
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		bodies = append(bodies, string(body))
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	var out bytes.Buffer
	return newApp(nil, &out, &out), &out, &bodies, server.URL + "/hook-4711"
}

func TestNotify_tellsBoth(t *testing.T) {
	a, out, bodies, url := notifying(t, http.StatusOK)
	a.out.Hide("hush-4711")
	err := a.notify(t.Context(), notifyFlags{webhook: url, slack: url}, drifting("hush-4711 <!channel> & ``` *x*"))
	require.NoError(t, err)
	a.close()
	require.Empty(t, out.String())
	require.Len(t, *bodies, 2)
	for _, b := range *bodies {
		require.True(t, json.Valid([]byte(b)), b)
		require.NotContains(t, b, "hush-4711")
	}
	require.Contains(t, (*bodies)[0], `"kind": "drift"`)
	var slack struct{ Text string }
	require.NoError(t, json.Unmarshal([]byte((*bodies)[1]), &slack))
	golden(t, "slack.txt", slack.Text)
	require.Equal(t, 2, strings.Count(slack.Text, "```"), "foreign text ends no code")
	require.Contains(t, slack.Text, "&lt;!channel&gt; &amp;")
}

func TestNotify_failsAndNamesNoTarget(t *testing.T) {
	a, _, _, url := notifying(t, http.StatusForbidden)
	err := a.notify(t.Context(), notifyFlags{webhook: url, slack: "http://127.0.0.1:1/hook-4711"}, drifting("x"))
	require.ErrorContains(t, err, "the webhook was not told: it answered 403 Forbidden")
	require.ErrorContains(t, err, "Slack was not told: ")
	require.NotContains(t, err.Error(), "hook-4711")
	require.Equal(t, exitError, exitCode(t.Context(), err))
}

func TestNotifyFlags_check(t *testing.T) {
	for _, target := range []string{"hooks.example.com/x", "file:///etc/passwd", "https://", "::"} {
		err := (&notifyFlags{webhook: target}).check()
		require.Error(t, err, target)
		require.NotRegexp(t, "hooks.example|passwd", err.Error())
	}
	require.NoError(t, (&notifyFlags{webhook: "https://example.com/x", slack: "http://localhost/y"}).check())
}

func TestSlackText_isCut(t *testing.T) {
	v := drifting("x")
	for range 200 {
		v.Services = append(v.Services, v.Services[0])
	}
	text := slackText(v)
	require.Less(t, len(text), slackMax+200)
	require.Contains(t, text, "and more: apron drift shows it")
}
