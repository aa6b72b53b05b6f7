package main

import (
	"context"
	"os/exec"
)

// listening says which process listens on a TCP port, in parentheses, or "".
func listening(ctx context.Context, port int) string {
	table, err := exec.CommandContext(ctx, "netstat", "-ano", "-p", "TCP").Output()
	pid := owner(string(table), port)
	if err != nil || pid == "" {
		return ""
	}
	name, _ := exec.CommandContext(ctx, "tasklist", "/FI", "PID eq "+pid, "/FO", "CSV", "/NH").Output() // it may have ended
	return heldBy(pid, titled(string(name)))
}
