//go:build unix

package sandbox

import "syscall"

// detached makes a process that outlives the terminal and its signals.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
