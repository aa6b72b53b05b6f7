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
// the service that it deploys.
var built struct{ apron, app string }

// inProcessEngine runs the containers of sandboxes in the tests' own process: the
// quickest there is.
const inProcessEngine = ""

func TestMain(m *testing.M) {
	runner.Init()
	flag.Parse()
	os.Exit(withPrograms(m.Run))
}

func withPrograms(run func() int) int {
	dir, err := os.MkdirTemp("", "apron-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.apron, built.app = filepath.Join(dir, "bin", "apron"), filepath.Join(dir, "app")
	for program, source := range map[string]string{built.apron: ".", built.app: "./testdata/app"} {
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", source, err, out)
			return 1
		}
	}
	return run()
}
