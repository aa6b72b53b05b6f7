package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// TestLeftovers_ofReleasesThatDidNotSucceed has an apply, a rollback and a destroy fail, and
// one destroy interrupted. Each is recorded as that, and nobody else is blamed for it.
func TestLeftovers_ofReleasesThatDidNotSucceed(t *testing.T) {
	t.Parallel()
	c, w, run := unversioned(t)
	refusing := func(call, code string) func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fault = func(int) sandbox.Fault {
			if w.calls[len(w.calls)-1] != call {
				return sandbox.Fault{}
			}
			return sandbox.Fault{When: sandbox.Before, Err: wire.Errorf(code, "not now")}
		}
		return func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = nil
		}
	}
	left := func(differs ...string) {
		t.Helper()
		out := run(exitChanges, "drift")
		for _, text := range differs {
			require.Regexp(t, text, out)
		}
		require.NotContains(t, out, "# drift")
		require.NotContains(t, out, "Drift:")
		require.NotContains(t, run(exitOK, "plan"), "drift")
	}
	run(exitOK, "apply", "--yes")

	// An apply whose rollout is rolled back, but not the permission.
	c.replace("app/Dockerfile", "HEALTH=200", "HEALTH=500")
	c.replace("deploy.yaml", "cpu: 256", "permissions: [\"s3:GetObject arn:aws:s3:::bucket/*\"]\ncpu: 256")
	run(exitFailed, "apply", "--yes")
	require.Regexp(t, `(?m)^2 .* failed$`, run(exitOK, "history"))
	left(`\+ permission\S+ .* # pending: left by release 2, which failed`, `Left by a release that did not succeed: 1 setting changed\.`)
	c.replace("app/Dockerfile", "HEALTH=500", "HEALTH=200 OTHER=1")
	run(exitOK, "apply", "--yes")
	require.Contains(t, run(exitOK, "drift"), "No drift.")

	// A rollback that may not deploy, and so takes no permission away.
	allow := refusing("apprunner UpdateService", "AccessDeniedException")
	require.Contains(t, run(exitCredentials, "rollback", "--yes"), "not now")
	allow()
	require.Regexp(t, `(?m)^4 .* rollback to 1: failed$`, run(exitOK, "history"))
	require.Contains(t, run(exitOK, "history", "show", "4"), "not now")

	// A destroy that may not delete the roles.
	require.Contains(t, run(exitOK, "apply", "--yes"), "No changes.")
	allow = refusing("iam DeleteRole", "UnmodifiableEntity")
	require.Contains(t, run(exitError, "destroy", "--yes"), "not now")
	allow()
	require.Regexp(t, `(?m)^5 .* destroy: failed$`, run(exitOK, "history"))
	left(`- apprunner/service/shop\n +# it is gone: deleted by release 5, a destroy that failed`)
	run(exitOK, "apply", "--yes")

	// One that is interrupted once the service is being deleted.
	ctx, cancel := context.WithCancelCause(t.Context())
	deleted := false
	w.held(func(call string) {
		switch {
		case call == "apprunner DeleteService":
			deleted = true
		case deleted && strings.HasPrefix(call, "apprunner "): // which asks how it goes
			cancel(errInterrupted{os.Interrupt})
		}
	})
	code, out := w.run(ctx, "destroy", "--yes")
	require.Equal(t, exitInterrupted, code, out)
	w.held(nil)
	run(exitOK, "status", "--wait")
	require.Regexp(t, `(?m)^7 .* destroy: interrupted$`, run(exitOK, "history"))
	left(`- apprunner/service/shop\n +# it is gone: deleted by release 7, a destroy that was interrupted`)
	run(exitOK, "destroy", "--yes")
	require.Regexp(t, `(?m)^8 .* destroy: succeeded$`, run(exitOK, "history"))
}
