package mapped

import (
	"errors"
	"runtime/debug"
)

// ErrGone says that a file was cut short while it was read in place.
var ErrGone = errors.New("the file was cut short while it was read")

// Guard calls use, which reads what [Read] returned, and returns its error, or [ErrGone]
// where the bytes are not there any more.
func Guard(use func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of this goroutine
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // of a fault, and no other panic of the runtime's
			err = ErrGone
		default:
			panic(r)
		}
	}()
	return use()
}
