//go:build !linux && !darwin && !freebsd

package mapped

// Read returns what is in a file. It must not be written to, nor used after done.
func Read(name string) (data []byte, done func(), err error) { return read(name) }
