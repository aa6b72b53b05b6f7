package runner

import (
	"bufio"
	"io"
)

// maxLine bounds one line of output; the rest comes as further lines.
const maxLine = 64 << 10

// lines hands r to out line by line until its end. A read error ends it too: the
// writers are gone, which is all that output can tell.
func lines(r io.Reader, out func(string)) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		part, err := in.ReadSlice('\n')
		if n := len(part); n > 0 && part[n-1] == '\n' {
			part = part[:n-1]
			out(string(part))
		} else if n > 0 {
			out(string(part))
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
