//go:build linux || darwin || freebsd

package mapped

import (
	"os"

	"golang.org/x/sys/unix"
)

// Read returns what is in a file. It must not be written to, nor used after done.
func Read(name string) (data []byte, done func(), err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 || !info.Mode().IsRegular() || int64(int(info.Size())) != info.Size() {
		return read(name)
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil { // not every file system can
		return read(name)
	}
	return data, func() { _ = unix.Munmap(data) }, nil
}
