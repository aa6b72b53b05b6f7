package lock

import "os"

// running reports whether there is a process: Windows opens no other.
func running(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release()
	return true
}
