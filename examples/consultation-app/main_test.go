package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func service(t *testing.T, log io.Writer) *httptest.Server {
	env := map[string]string{
		"NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": "pk_test_shown",
		"CLERK_SECRET_KEY":                  "sk_test_hidden", "CLERK_JWKS_URL": "https://hidden.example/jwks",
	}
	s := settingsFrom(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	server := httptest.NewServer(routes(s, slog.New(slog.NewJSONHandler(log, nil))))
	t.Cleanup(server.Close)
	return server
}

func fetch(t *testing.T, method, url, body string) (int, string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestService_answers(t *testing.T) {
	url := service(t, io.Discard).URL
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/health", "", 200, `{"status":"healthy"}`},
		{"GET", "/", "", 200, "pk_test_shown"},
		{"GET", "/nowhere", "", 404, ""},
		{"POST", "/api/consultation", `{"patient_name":"Ada","date_of_visit":"2025-01-02","notes":"A cough."}`, 200, "Listen to the chest"},
		{"POST", "/api/consultation", `{"notes":"A cough."}`, 422, "missing: patient_name, date_of_visit"},
		{"POST", "/api/consultation", `no JSON`, 400, "send JSON"},
	} {
		status, text := fetch(t, tc.method, url+tc.path, tc.body)
		if status != tc.status || !strings.Contains(text, tc.want) {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, status, text)
		}
	}
}

func TestService_showsNoSecret(t *testing.T) {
	var log strings.Builder
	url := service(t, &log).URL
	_, text := fetch(t, "GET", url, "")
	if strings.Contains(text+log.String(), "hidden") {
		t.Error("a secret is shown")
	}
	if !strings.Contains(text, "<dd>set</dd>") || !strings.Contains(text, "<dd>not set</dd>") {
		t.Error("the page does not say which secrets are set")
	}
}
