package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks the file, or tells that another has it. The system unlocks it when the
// file is closed, or the process ends.
func tryLock(f *os.File) (locked bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
