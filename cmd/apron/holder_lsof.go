package main

import "strings"

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
