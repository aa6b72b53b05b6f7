package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// holder says who listens on a TCP port, in parentheses, or "": the container that publishes
// it, which is behind a process of root's, or else the process.
func holder(ctx context.Context, port int) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, engine := range []string{"docker", "podman"} {
		out, err := exec.CommandContext(ctx, engine, "ps", "--filter", "publish="+strconv.Itoa(port), "--format", "{{.Names}} {{.Image}}").Output()
		if name, image, ok := strings.Cut(strings.TrimSpace(string(out)), " "); err == nil && ok {
			return fmt.Sprintf(" (container %s of %s, from %s, listens there)", name, engine, strings.TrimSpace(image))
		}
	}
	return listening(ctx, port)
}

// heldBy is what is said of the process that listens on a port.
func heldBy(pid, name string) string {
	if name == "" {
		return fmt.Sprintf(" (process %s listens there)", pid)
	}
	return fmt.Sprintf(" (process %s, %s, listens there)", pid, name)
}
