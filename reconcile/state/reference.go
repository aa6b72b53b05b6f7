package state

import "strings"

// Untagged is an image's reference without its tag and its digest. A colon before the last
// slash is that of a port.
// https://github.com/distribution/reference/blob/main/reference.go
func Untagged(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		return reference[:i]
	}
	return reference
}
