package main

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

// usable says why an engine cannot be used here, or nil.
func usable(ctx context.Context, name string) error {
	dir, err := os.MkdirTemp("", "apron-engine") // short, for the paths of sockets
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := runner.Detect(ctx, runner.Options{Dir: dir, Prefer: name, Label: "apron-test"})
	if err != nil {
		return err
	}
	return e.Close(ctx)
}

// needs skips a test where an engine cannot be used, which fails it instead where
// APRON_TEST_ENGINES=required.
func needs(t *testing.T, engine string) {
	t.Helper()
	err := usable(t.Context(), engine)
	if err != nil && os.Getenv("APRON_TEST_ENGINES") == "required" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// TestEngines runs the story of a rollover with every way to run containers. Docker and
// podman may be absent.
func TestEngines(t *testing.T) {
	for _, engine := range []string{"docker", "podman", "namespaces", "process"} {
		t.Run(engine, func(t *testing.T) {
			needs(t, engine)
			vars := map[string]string{"APRON_SANDBOX_ENGINE": engine}
			if engine == "docker" {
				vars["APRON_BUILDER"] = "docker"
			}
			runScripts(t, "testdata/engines", vars)
		})
	}
}

// storyEngine runs the containers of the other stories: what a machine without an engine
// would take, where that works, because it is the quickest that isolates.
func storyEngine() string {
	if runtime.GOOS == "linux" && usable(context.Background(), "namespaces") == nil {
		return "namespaces"
	}
	return ""
}
