package main

import (
	"strconv"
	"strings"
)

// owner finds in what netstat -ano prints on Windows the process that listens on a TCP port,
// or "". A listener has no foreign address; how its state is called depends on the language.
// https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/netstat
func owner(table string, port int) string {
	for line := range strings.Lines(table) {
		columns := strings.Fields(line)
		const local, foreign, pid = 1, 2, 4
		if len(columns) == pid+1 && strings.HasSuffix(columns[local], ":"+strconv.Itoa(port)) && strings.HasSuffix(columns[foreign], ":0") {
			return columns[pid]
		}
	}
	return ""
}

// titled is the name of the one process that tasklist /FO CSV /NH prints, or "".
func titled(csv string) string {
	name, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(csv), `"`), `","`)
	if !ok {
		return ""
	}
	return name
}
