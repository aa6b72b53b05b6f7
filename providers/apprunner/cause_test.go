package apprunner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCause(t *testing.T) {
	for name, tc := range map[string]struct {
		service, output []string
		started         bool
		cause           string
	}{
		"the health path answers something else": {
			service: []string{"[AppRunner] Health check failed on protocol `HTTP`[Path: '/health'], [Port: '8000']. Check your configured port number. For more information, see the application logs."},
			started: true, cause: "the health check GET /health on port 8000 did not answer 2xx"},
		"nothing listens": {
			service: []string{"[AppRunner] Health check failed on protocol `TCP`[Port: '8080']. Check your configured port number."},
			started: true, cause: "nothing listens on port 8080"},
		"the container exits": {
			service: []string{"[AppRunner] Your application stopped or failed to start. See logs for more information.  Container exit code: 3"},
			started: true, cause: "the container stopped with exit code 3"},
		"a variable is missing, and the application says so": {
			service: []string{"[AppRunner] Your application stopped or failed to start. See logs for more information.  Container exit code: 1"},
			output:  []string{"Traceback (most recent call last):", "KeyError: 'CLERK_JWKS_URL'"},
			started: true, cause: "the application needs the environment variable CLERK_JWKS_URL"},
		"the wrong CPU": {
			service: []string{"[AppRunner] Health check failed on protocol `TCP`[Port: '8080']."},
			output:  []string{"exec /bin/sh: exec format error"},
			started: true, cause: "the image is built for another CPU: App Runner runs linux/amd64 only"},
		"a health failure is not blamed on the role": {
			service: []string{
				"[AppRunner] Health check failed on protocol `HTTP`[Path: '/'], [Port: '80'].",
				"[AppRunner] Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."},
			started: true, cause: "the health check GET / on port 80 did not answer 2xx"},
		"the role itself": {
			service: []string{"[AppRunner] Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."},
			cause:   "App Runner could not use the access role"},
		"no logs at all": {cause: "the container never started"},
		"logs that say nothing": {
			service: []string{"[AppRunner] Deployment started."}, started: true, cause: ""},
	} {
		t.Run(name, func(t *testing.T) {
			cause, fix := cause(tc.service, tc.output, tc.started)
			require.Equal(t, tc.cause, cause)
			require.NotEmpty(t, fix)
		})
	}
}

func TestClean_takesOutWhatSteersATerminal(t *testing.T) {
	require.Equal(t, "a b[31mred", clean("a\tb\x1b[31mred\x07"))
}

func TestServiceURL(t *testing.T) {
	for host, want := range map[string]string{
		"abc.us-east-1.awsapprunner.com": "https://abc.us-east-1.awsapprunner.com",
		"web.localhost:4566":             "http://web.localhost:4566",
		"web.localhost.example.com":      "https://web.localhost.example.com",
		"":                               "",
	} {
		require.Equal(t, want, serviceURL(host))
	}
}
