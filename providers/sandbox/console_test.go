package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"
)

func TestConsole_givesItsPageForTheTokenOnly(t *testing.T) {
	s := serve(t)
	page := s.Endpoint() + "/_apron/console"
	for token, want := range map[string]int{"": 403, "?token=wrong": 403, "?token=" + s.Info().Token: 200} {
		code, body := send(t, http.MethodGet, page+token, "", nil)
		require.Equal(t, want, code)
		require.NotContains(t, body, s.Info().SecretKey)
	}
	require.Equal(t, page+"?token="+s.Info().Token, s.Info().Console())
	for _, host := range []string{"evil.example", "console.localhost"} {
		code, _ := send(t, http.MethodGet, page+"?token="+s.Info().Token, host, nil)
		require.NotEqual(t, 200, code, "a name that somebody else may own")
	}
	code, body := send(t, http.MethodGet, page+"/console.js", "", nil)
	require.Equal(t, 200, code)
	require.NotContains(t, body, "innerHTML", "what services log is text")
}

func TestConsole_givesDataToItsOwnPageOnly(t *testing.T) {
	s := serve(t)
	_, err := sts.NewFromConfig(config(s)).GetCallerIdentity(t.Context(), nil)
	require.NoError(t, err)
	overview := s.Endpoint() + "/_apron/console/overview"
	token := http.Header{"X-Apron-Token": {s.Info().Token}}
	code, _ := send(t, http.MethodGet, overview, "", nil)
	require.Equal(t, 403, code)
	code, _ = send(t, http.MethodGet, overview, "", http.Header{"X-Apron-Token": token["X-Apron-Token"], "Origin": {"http://evil.example"}})
	require.Equal(t, 403, code)
	code, body := send(t, http.MethodGet, overview, "", http.Header{"X-Apron-Token": token["X-Apron-Token"], "Origin": {s.Endpoint()}})
	require.Equal(t, 200, code)
	var got struct {
		Facts     struct{ Account string }
		Instances []any
		Calls     []struct{ Service, Operation string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, account, got.Facts.Account)
	require.NotNil(t, got.Instances)
	require.Equal(t, "GetCallerIdentity", got.Calls[0].Operation)

	call := s.Endpoint() + "/_apron/console/call/"
	code, body = send(t, http.MethodPost, call+"apprunner/ListServices", "", token)
	require.Equal(t, 200, code, body)
	require.Contains(t, body, "ServiceSummaryList")
	for _, path := range []string{"apprunner/DeleteService", "ssm/GetParameter", "apprunner/Nothing"} {
		code, body = send(t, http.MethodPost, call+path, "", token)
		require.Equal(t, 404, code, path)
		require.Contains(t, body, "UnknownOperationException")
	}
	code, body = send(t, http.MethodPost, call+"apprunner/DescribeService", "", token)
	require.Equal(t, 400, code)
	require.True(t, strings.Contains(body, `"code"`), body)
}
