package sandbox

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detached makes a process that outlives the console and its signals.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		HideWindow:    true,
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS,
	}
}
