package runner

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C in our console from the child: we decide when it ends.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
