//go:build !linux

package runner

import (
	"context"
	"fmt"
	"runtime"
)

// Init is for Linux, where this executable also runs inside the namespaces it makes.
func Init() {}

func openers() []opener {
	return []opener{{"docker", openDocker}, {"podman", openPodman}, {"process", openProcess}}
}

// openProcess refuses: images are for Linux.
func openProcess(context.Context, Options) (Engine, error) {
	return nil, fmt.Errorf("an image's program is for Linux, and cannot run on %s by itself", runtime.GOOS)
}
