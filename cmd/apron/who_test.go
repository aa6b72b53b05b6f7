package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/clock"
	"github.com/apron-deploy/apron/providers/sandbox/cloudtrail"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// TestExplain_who has two services, of which apron has changed one since the other's last
// release, and a hand after that; events appear with CloudTrail's delay.
func TestExplain_who(t *testing.T) {
	t.Parallel()
	service := func(name, more string) string {
		return "version: 1\nservice: " + name + "\nregion: us-east-1\nimage: {repository: shop, build: {context: app}}\nhealth: {path: /health}\n" + more
	}
	c := newCheckout(t, service("back", "")+"---\n"+service("front", "cpu: 256\nmemory: 512\n"), built.app)
	hands := clock.New(1000)
	w := newWorldOf(t, c, sandbox.Options{Dir: filepath.Join(t.TempDir(), "state"), Clock: hands, Engine: inProcessEngine, TrailDelay: cloudtrail.DefaultDelay})
	run := func(code int, args ...string) string {
		t.Helper()
		got, out := w.run(t.Context(), args...)
		require.Equal(t, code, got, out)
		return out
	}
	later := func() { require.NoError(t, hands.Turn(cloudtrail.DefaultDelay+time.Minute)) }
	byHand := func(cpu, memory string) {
		require.NoError(t, resizeByHand(t.Context(), w.config(), "front", cpu, memory))
	}

	run(exitOK, "apply", "--yes")
	c.replace("deploy.yaml", "cpu: 256\nmemory: 512", "cpu: 512\nmemory: 1024")
	run(exitOK, "apply", "--yes")
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	run(exitFailed, "apply", "--yes", "--only", "front")
	c.replace("app/Dockerfile", "HEALTH=500", "HEALTH=200")

	byHand("1024", "2048")
	for _, args := range [][]string{{"drift", "--explain=who"}, {"plan", "--explain=who"}} {
		code, out := w.run(t.Context(), args...)
		require.Contains(t, []int{exitOK, exitChanges}, code, out)
		require.Contains(t, out, "# who changed it is not yet in CloudTrail", "the delay")
		require.NotContains(t, out, "UpdateService by")
	}
	later()
	byHand("1024", "3072") // which is not there yet
	out := run(exitChanges, "drift", "--explain=who")
	require.Equal(t, 1, strings.Count(out, "UpdateService by arn:aws:iam::123456789012:user/sandbox, "), "apron's own calls are no drift\n%s", out)
	require.Regexp(t, `# calls since 20\d\d-\d\d-\d\d \d\d:\d\d UTC may be missing, which CloudTrail shows up to 15 minutes late`, out)
	require.Contains(t, run(exitChanges, "drift", "--explain=who", "--json"), `"call": "UpdateService"`)

	w.mu.Lock()
	w.fault = func(int) sandbox.Fault {
		if w.calls[len(w.calls)-1] != "cloudtrail LookupEvents" {
			return sandbox.Fault{}
		}
		return sandbox.Fault{When: sandbox.Before, Err: wire.Errorf("AccessDeniedException", "User is not authorized to perform: cloudtrail:LookupEvents")}
	}
	w.mu.Unlock()
	out = run(exitChanges, "drift", "--explain=who")
	require.Contains(t, out, "warning: who changed what is live cannot be said: look up UpdateService in CloudTrail: ")
	require.Contains(t, out, "cpu:    512 → 1024 # drift", "what differs is told all the same")
}
