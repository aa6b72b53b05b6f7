package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listening says which process listens on a TCP port, in parentheses, or "": the port's
// socket is found in /proc/net/tcp, and who has it open in /proc/PID/fd.
// https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
func listening(_ context.Context, port int) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			const local, status, inode, listens = 1, 3, 9, "0A"
			columns := strings.Fields(lines.Text())
			if len(columns) <= inode || columns[status] != listens {
				continue
			}
			_, hex, _ := strings.Cut(columns[local], ":")
			if n, err := strconv.ParseInt(hex, 16, 32); err == nil && int(n) == port {
				sockets["socket:["+columns[inode]+"]"] = true
			}
		}
		_ = f.Close() // was only read
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // those of other users cannot be seen
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && sockets[to] {
			pid := strings.Split(file, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm") // it may have ended
			return heldBy(pid, strings.TrimSpace(string(name)))
		}
	}
	if len(sockets) > 0 {
		return " (a process of another user listens there)"
	}
	return ""
}
