package image

import (
	"cmp"
	"errors"
	"os"
	"syscall"
)

// SpaceError says that layers cannot be kept on this machine until they are pushed.
type SpaceError struct {
	Dir string // where they are kept
	err error
}

var _ error = (*SpaceError)(nil)

func (e *SpaceError) Error() string {
	return "the disk with " + e.Dir + ", where layers are kept until they are pushed, is full; nothing was tagged"
}

// Hint says what to do about it.
func (*SpaceError) Hint() string {
	return "free some space, or name a directory on another disk by TMPDIR"
}

// Unwrap returns what the system said.
func (e *SpaceError) Unwrap() error { return e.err }

// space tells a disk that is full, or a quota that is used up, from all else that fails.
func (p *Provider) space(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &SpaceError{Dir: cmp.Or(p.o.Temp, os.TempDir()), err: err}
	}
	return err
}
