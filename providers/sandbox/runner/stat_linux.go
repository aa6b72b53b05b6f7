package runner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// clockTicks is the unit of times in /proc per second, on every Linux that Go runs on.
const clockTicks = 100

// processStats adds up a process and its descendants, for where no control group
// counts them. CPU time of a child that nobody waited for is lost.
func processStats(pid int) (Stats, error) {
	s, err := oneProcess(pid)
	if err != nil {
		return Stats{}, err
	}
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for child := range strings.FieldsSeq(string(b)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				continue
			}
			if c, err := processStats(n); err == nil { // else it has just ended
				s.CPUSeconds += c.CPUSeconds
				s.MemoryBytes += c.MemoryBytes
			}
		}
	}
	return s, nil
}

// oneProcess reads what a process and the children that it waited for have used.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func oneProcess(pid int) (s Stats, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	_, after, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	f := strings.Fields(after) // from field 3 on
	if len(f) < 15 {
		return s, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	for _, ticks := range f[11:15] { // utime, stime, cutime, cstime
		n, e := strconv.ParseInt(ticks, 10, 64)
		err = errors.Join(err, e)
		s.CPUSeconds += float64(n) / clockTicks
	}
	b, e := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err = errors.Join(err, e); err != nil {
		return s, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "RssAnon:" || f[0] == "RssShmem:") {
			n, e := strconv.ParseInt(f[1], 10, 64)
			err = errors.Join(err, e)
			s.MemoryBytes += n << 10
		}
	}
	return s, err
}
