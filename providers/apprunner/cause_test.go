package apprunner

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/awsapi"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/state"
)

func TestCause(t *testing.T) {
	for name, tc := range map[string]struct {
		service, output []string
		started         bool
		cause           string
	}{
		"the health path answers something else": {
			service: []string{"[AppRunner] Health check failed on protocol `HTTP`[Path: '/health'], [Port: '8000']. Check your configured port number. For more information, see the application logs."},
			started: true, cause: "the health check GET /health on port 8000 did not answer 2xx; the application's log says neither what it answered nor where it listens"},
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
			started: true, cause: "the health check GET / on port 80 did not answer 2xx; the application's log says neither what it answered nor where it listens"},
		"a secret without the key": {
			service: []string{`[AppRunner] Failed to deploy your application image. Reason: secret K: secret arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/openai-PNVdcN: its value has no key "nokey"`},
			started: true, cause: "a secret does not have the key that is asked of it"},
		"a secret without the key, in the words of ECS": {
			service: []string{"ResourceInitializationError: unable to retrieve secret from asm: retrieved secret from Secrets Manager did not contain json key nokey"},
			cause:   "a secret does not have the key that is asked of it"},
		"the role itself": {
			service: []string{"[AppRunner] Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."},
			cause:   "App Runner could not use the access role"},
		"the container exits by a signal": {
			service: []string{"[AppRunner] Your application stopped or failed to start. See logs for more information.  Container exit code: 139"},
			started: true, cause: "the container stopped with exit code 139: a memory violation (SIGSEGV)"},
		"the health path, as newer lines write it": {
			service: []string{"[AppRunner] Health check failed on protocol `HTTP` [Path: '/up'], [Port: '3000']."},
			started: true, cause: "the health check GET /up on port 3000 did not answer 2xx; the application's log says neither what it answered nor where it listens"},
		"a variable is missing, in the words of a library": {
			output:  []string{"Error: Missing required environment variable: DATABASE_URL"},
			started: true, cause: "the application needs the environment variable DATABASE_URL"},
		"a variable is missing, quoted": {
			output:  []string{`required environment variable "API_KEY" is not set`},
			started: true, cause: "the application needs the environment variable API_KEY"},
		"some variable is missing, and which is not said": {
			output:  []string{"missing environment variables in the configuration"},
			started: true, cause: ""},
		"what the application says is not taken from App Runner's log": {
			service: []string{"[AppRunner] exec format error"},
			output:  []string{"started"}, started: true, cause: ""},
		"the image is not there": {
			service: []string{"[AppRunner] Failed to pull your application image. Reason: ECR image doesn't exist."},
			cause:   "the image is not in the repository"},
		"the image has another platform": {
			service: []string{"[AppRunner] Deployment with ID : 0123 failed. Failure reason : Failed to copy the image from ECR"},
			cause:   "App Runner could not copy the image: it has no linux/amd64 part, or the access role may not read it"},
		"a secret is not found": {
			service: []string{"[AppRunner] Failed to deploy your application image. Reason: secret KEY: ParameterNotFound"},
			cause:   "a secret could not be read"},
		"a parameter may not be read": {
			service: []string{"[AppRunner] Parameter /apron/web/KEY: access denied for the instance role"},
			cause:   "a secret could not be read"},
		"a secret cannot be retrieved": {
			service: []string{"[AppRunner] ResourceInitializationError: unable to retrieve secret from asm"},
			cause:   "a secret could not be read"},
		"an image whose name speaks of secrets": {
			service: []string{
				"[AppRunner] Pulling image 123456789012.dkr.ecr.us-east-1.amazonaws.com/secret-santa:src-1 from ECR repository.",
				"[AppRunner] Failed to pull your application image. Reason: Invalid Access Role in AuthenticationConfiguration."},
			cause: "App Runner could not use the access role"},
		"no logs at all": {cause: "the container never started"},
		"an application that says nothing": {
			service: []string{"[AppRunner] Deployment started."}, started: true, cause: "the new version's container never started, or ended without a word"},
		"logs that say nothing": {
			service: []string{"[AppRunner] Deployment started."}, output: []string{"started"}, started: true, cause: ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := told(tc.service, tc.output, tc.started).find()
			require.Equal(t, tc.cause, got.cause)
			require.NotEmpty(t, got.fix)
		})
	}
}

// told is the evidence of logs whose lines come a second apart, without a manifest.
func told(service, output []string, logged bool) *evidence {
	start := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	lines := func(all []string) (made []logLine) {
		for i, l := range all {
			made = append(made, logLine{start.Add(time.Duration(i) * time.Second), l})
		}
		return made
	}
	return &evidence{service: lines(service), output: lines(output), absent: !logged && len(output) == 0, silent: logged && len(output) == 0,
		place: func(string) string { return "" }, lookup: func() []state.Check { return nil }}
}

func TestFailures_areTheFirstOnes(t *testing.T) {
	lines := []string{"[AppRunner] Deployment started.", "[AppRunner] Container exit code: 1"}
	for range 20 {
		lines = append(lines, "[AppRunner] Deployment failed.")
	}
	got := failures(told(lines, nil, true).service)
	require.Len(t, got, evidenceLines)
	require.Equal(t, "Container exit code: 1", got[0])
	require.Empty(t, failures(told(lines[:1], nil, true).service))
}

// The lines of earlier operations, and those of other streams, are no evidence.
func TestExplain_readsTheEndOfWhatThisOperationLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded, types.OperationStatusRollbackSucceeded}
		f.says["service"] = []string{"[AppRunner] Health check failed on protocol `TCP` [Port: '8000']."}
		f.says["application"] = []string{"KeyError: 'OLD'"}
		require.Error(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}))

		f.says["service"] = []string{"[AppRunner] Your application stopped or failed to start.  Container exit code: 7"}
		f.says["application"] = nil
		for i := range 40 {
			f.says["application"] = append(f.says["application"], fmt.Sprint("line ", i))
		}
		f.events["service"] = append(f.events["service"], logtypes.FilteredLogEvent{LogStreamName: aws.String("events"),
			Timestamp: aws.Int64(time.Now().Add(time.Hour).UnixMilli()), Message: aws.String("Service update failed.")})
		var failed *OperationError
		require.ErrorAs(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), &failed)
		require.Equal(t, "the container stopped with exit code 7", failed.Cause)
		require.Equal(t, []string{"Your application stopped or failed to start.  Container exit code: 7"}, failed.Evidence)
		require.Len(t, failed.Output, outputLines)
		require.Equal(t, "line 39", failed.Output[outputLines-1])

		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
		f.says["service"], f.says["application"] = nil, nil
		require.ErrorAs(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), &failed)
		require.Equal(t, "the new version's container never started, or ended without a word", failed.Cause)
		require.Empty(t, failed.Output)
	})
}

// What the image exposes counts where the application's log says nothing.
func TestCause_looksAtWhatTheImageExposes(t *testing.T) {
	e := told([]string{"[AppRunner] Health check failed on protocol `TCP` [Port: '8000']."}, []string{"hello"}, true)
	e.lookup = func() []state.Check {
		return []state.Check{{Path: "port", Verdict: state.Unchecked, Text: "the image exposes 3000, and port is 8000", Fix: "set port: 3000"}}
	}
	e.place = func(path string) string { return "deploy.yaml:7" }
	got := e.find()
	require.Equal(t, "probably nothing listens on port 8000: the image exposes 3000, and port is 8000", got.cause)
	require.Equal(t, "set port: 3000 (deploy.yaml:7)", got.fix)
}

// How applications say where they listen, and what they answer.
func TestCause_hearsApplications(t *testing.T) {
	for line, want := range map[string]socket{
		"INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)":    {"8000", false},
		" * Running on http://127.0.0.1:5000":                                        {"5000", true},
		"   - Local:        http://localhost:3000":                                   {"3000", false},
		"Server listening on port 4000":                                              {"4000", false},
		"listening on [::]:8080":                                                     {"8080", false},
		"Listening on 9000":                                                          {"9000", false},
		"Tomcat started on port(s): 8081 (http)":                                     {"8081", false},
		"[2026-11-01 08:00:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:80 (1)": {"80", false},
	} {
		e := told(nil, []string{line}, true)
		require.Equal(t, []socket{want}, e.heard(), line)
	}
	for _, line := range []string{"connected to db.internal:5432", "2026-11-01 08:00:00 ready", "started in 12:30"} {
		require.Empty(t, told(nil, []string{line}, true).heard(), line)
	}
	for line, want := range map[string]int{
		`INFO:     169.254.1.1:42376 - "GET /health HTTP/1.1" 404 Not Found`:     404,
		`10.0.0.1 - - [01/Nov/2026] "GET /health HTTP/1.1" 503 12 "-" "Envoy"`:   503,
		"GET /health 500 3.214 ms - 12":                                          500,
		`[GIN] 2026/11/01 - 08:00:00 | 401 |  12.1µs | 10.0.0.1 | GET "/health"`: 401,
		`{"method":"GET","path":"/health","status":502}`:                         502,
		`{"status": 302, "url": "/health"}`:                                      302,
		"GET /health 200":                                                        0,
		"GET /healthy 500":                                                       0,
	} {
		require.Equal(t, want, told(nil, []string{line}, true).answered("/health"), line)
	}
}

// Instances of the version that still serves go on logging: theirs are no evidence.
func TestExplain_leavesOutWhatTheOldVersionLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := running(t)
		log := func(stream, text string, after time.Duration) {
			f.events["application"] = append(f.events["application"], logtypes.FilteredLogEvent{LogStreamName: &stream,
				Timestamp: aws.Int64(time.Now().Add(after).UnixMilli()), Message: &text})
		}
		log("instance/old", "listening on :9999", 0)
		require.NoError(t, awsapi.Sleep(t.Context(), time.Hour))
		f.ends = []types.OperationStatus{types.OperationStatusRollbackSucceeded}
		f.says["service"] = []string{"[AppRunner] Health check failed on protocol `TCP` [Port: '8000']."}
		log("instance/old", "still listening on :9999", time.Minute)
		log("instance/new", "listening on :3000", time.Minute)
		var failed *OperationError
		require.ErrorAs(t, converge(t.Context(), t, p, plain(bigger), plan.Options{}), &failed)
		require.Equal(t, []string{"listening on :3000"}, failed.Output)
		require.Contains(t, failed.Cause, "the application listens on 3000")
	})
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
