package main

import (
	"context"
	"os/exec"
	"strconv"
)

// listening says which process listens on a TCP port, in parentheses, or "": lsof, which macOS
// comes with, names those of this user.
func listening(ctx context.Context, port int) string {
	out, err := exec.CommandContext(ctx, "/usr/sbin/lsof", "-nP", "-iTCP:"+strconv.Itoa(port), "-sTCP:LISTEN", "-Fpc").Output()
	if err != nil {
		return "" // also where nobody of this user listens
	}
	return listener(string(out))
}
