package runner

import (
	"os"
	"sync/atomic"
	"syscall"
)

// initialised says that this program's main called Init, so that it can be started
// again as a part of an instance.
var initialised atomic.Bool

// Init must be called first in main and in TestMain: if this process is one that the
// namespaces engine started from its own executable, Init takes over and never
// returns. Otherwise it does nothing.
func Init() {
	if len(os.Args) == 1 {
		switch os.Args[0] {
		case keeperName:
			syscall.Exit(keep()) // os.Exit would wait a second under the race detector
		case appName:
			syscall.Exit(become())
		}
	}
	initialised.Store(true)
}

func openers() []opener {
	return []opener{{"docker", openDocker}, {"podman", openPodman}, {"namespaces", openNamespaces}, {"process", openProcess}}
}
