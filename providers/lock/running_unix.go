//go:build unix

package lock

import (
	"errors"
	"syscall"
)

// running reports whether there is a process: one that may not be signalled is one.
func running(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
