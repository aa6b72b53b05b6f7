package main

import (
	"fmt"
	"strings"
)

// listener says which process lsof -Fpc names first, in parentheses, or "".
// https://github.com/lsof-org/lsof/blob/master/docs/manpage.md#output-for-other-programs
func listener(fields string) string {
	var pid, name string
	for line := range strings.Lines(fields) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "p") && pid == "":
			pid = line[1:]
		case strings.HasPrefix(line, "c") && pid != "" && name == "":
			name = line[1:]
		}
	}
	if pid == "" {
		return ""
	}
	return heldBy(pid, name)
}

// heldBy is what is said of the process that listens on a port.
func heldBy(pid, name string) string {
	return fmt.Sprintf(" (process %s, %s, listens there)", pid, name)
}
