package lock

import (
	"os"
	"strconv"
	"strings"
)

// machine is this boot of the machine, and the namespace in which process ids count.
func machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
}

// started is when a process began, in clock ticks since boot, or "".
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func started(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The program's name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const state, starttime = 0, 19 // fields 3 and 22 of the line
	if len(fields) <= starttime {
		return ""
	}
	if fields[state] == "Z" { // it has ended, and nobody has asked how
		return "ended"
	}
	return fields[starttime]
}
