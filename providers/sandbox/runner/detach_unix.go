//go:build unix

package runner

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C in our terminal from the child: we decide when it ends.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
