package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

var update = flag.Bool("update", false, "write what is seen into golden files and scripts")

// built are the programs that the tests run: apron itself, as a user would build it, and
// the services that it deploys.
var built struct{ apron, app, tiny string }

// inProcessEngine runs the containers of sandboxes in the tests' own process: the
// quickest there is.
const inProcessEngine = "process"

func TestMain(m *testing.M) {
	runner.Init()
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("8") // these tests wait more than they compute
	}
	os.Exit(withPrograms(m.Run))
}

func withPrograms(run func() int) int {
	dir, err := os.MkdirTemp("", "apron-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.apron, built.app, built.tiny = filepath.Join(dir, "bin", "apron"), filepath.Join(dir, "app"), filepath.Join(dir, "tiny")
	for program, source := range map[string]string{built.apron: ".", built.app: "./testdata/app", built.tiny: "./testdata/tiny"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", source, err, out)
			return 1
		}
	}
	return run()
}
