package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// period is the one in microseconds over which the kernel shares out CPU time.
const period = 100_000

// hierarchy is a tree of control groups in which we may make some. Version 2 has one
// for all controllers, version 1 one for each or a few.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
type hierarchy struct {
	dir         string
	controllers []string // "" alone for version 2
}

// cgroups makes one control group per instance, in each hierarchy.
type cgroups struct {
	in     []hierarchy
	prefix string // begins their names
}

// group is the control group of one instance, in each hierarchy.
type group struct {
	in   []hierarchy       // its folders
	dirs map[string]string // the same by controller
}

// of is the folder that has a controller's files.
func (g *group) of(controller string) string {
	if dir, ok := g.dirs[""]; ok {
		return dir
	}
	return g.dirs[controller]
}

// version2 says which names the files have.
func (g *group) version2() bool { return g.dirs[""] != "" }

// create makes a group with limits; 0 is no limit.
func (c *cgroups) create(name string, cpuUnits, memoryMiB int) (*group, error) {
	g := &group{dirs: map[string]string{}}
	for _, h := range c.in {
		dir := filepath.Join(h.dir, c.prefix+name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(err, g.remove(context.Background()))
		}
		g.in = append(g.in, hierarchy{dir: dir, controllers: h.controllers})
		for _, k := range h.controllers {
			g.dirs[k] = dir
		}
	}
	if err := g.limit(cpuUnits, memoryMiB); err != nil {
		return nil, errors.Join(err, g.remove(context.Background()))
	}
	return g, nil
}

// note writes down where a group is about to be, for the next sandbox: started from
// another session it would look elsewhere.
func (c *cgroups) note(file, name string) error {
	var dirs []string
	for _, h := range c.in {
		dirs = append(dirs, filepath.Join(h.dir, c.prefix+name))
	}
	return os.WriteFile(file, []byte(strings.Join(dirs, "\n")), 0o600)
}

// removeNoted removes what notes tell of, as far as their names begin with prefix.
func removeNoted(ctx context.Context, prefix, pattern string) error {
	files, err := filepath.Glob(pattern)
	errs := []error{err}
	for _, f := range files {
		b, err := os.ReadFile(f)
		errs = append(errs, err)
		for dir := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == '\n' }) {
			if strings.HasPrefix(filepath.Base(dir), prefix) {
				errs = append(errs, removeGroup(ctx, dir))
			}
		}
	}
	return errors.Join(errs...)
}

func (g *group) limit(cpuUnits, memoryMiB int) error {
	var err error
	set := func(controller, file, value string) {
		err = errors.Join(err, os.WriteFile(filepath.Join(g.of(controller), file), []byte(value), 0))
	}
	if cpuUnits > 0 {
		quota := max(cpuUnits*period/1024, 1000) // the least that the kernel takes
		if g.version2() {
			set("cpu", "cpu.max", fmt.Sprint(quota, " ", period))
		} else {
			set("cpu", "cpu.cfs_period_us", strconv.Itoa(period))
			set("cpu", "cpu.cfs_quota_us", strconv.Itoa(quota))
		}
	}
	if memoryMiB > 0 {
		bytes := strconv.FormatInt(int64(min(memoryMiB, math.MaxInt32))<<20, 10)
		swap := "memory.memsw.limit_in_bytes"
		if g.version2() {
			set("memory", "memory.max", bytes)
			bytes, swap = "0", "memory.swap.max"
		} else {
			set("memory", "memory.limit_in_bytes", bytes)
		}
		if _, missing := os.Stat(filepath.Join(g.of("memory"), swap)); missing == nil { // not every kernel counts swap
			set("memory", swap, bytes)
		}
	}
	return err
}

// controllers are those of each hierarchy, as mount takes them.
func (g *group) controllers() []string {
	var all []string
	for _, h := range g.in {
		all = append(all, strings.Join(h.controllers, ","))
	}
	return all
}

// doors opens the files through which a process joins the group by writing 0.
func (g *group) doors() ([]*os.File, error) {
	var files []*os.File
	for _, h := range g.in {
		f, err := os.OpenFile(filepath.Join(h.dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// killedForMemory says whether the kernel has killed any process of the group for its
// limit.
func (g *group) killedForMemory() bool {
	file := "memory.oom_control"
	if g.version2() {
		file = "memory.events"
	}
	n, err := g.field("memory", file, "oom_kill")
	return err == nil && n > 0
}

// stats leaves out what the kernel only caches of files.
func (g *group) stats() (s Stats, err error) {
	var cpu, used, cache int64
	scale := 1e9
	if g.version2() {
		scale = 1e6
		cpu, err = g.field("cpu", "cpu.stat", "usage_usec")
	} else {
		cpu, err = g.number("cpuacct", "cpuacct.usage")
	}
	if err != nil {
		return s, err
	}
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if g.version2() {
		usage, inactive = "memory.current", "inactive_file"
	}
	if used, err = g.number("memory", usage); err != nil {
		return s, err
	}
	if cache, err = g.field("memory", "memory.stat", inactive); err != nil {
		return s, err
	}
	return Stats{CPUSeconds: float64(cpu) / scale, MemoryBytes: max(used-cache, 0)}, nil
}

func (g *group) number(controller, file string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.of(controller), file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// field reads one number of a file whose lines are a name and a number.
func (g *group) field(controller, file, name string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(g.of(controller), file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, " "); ok && k == name {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// remove kills what is in the group and removes it.
func (g *group) remove(ctx context.Context) error {
	var errs []error
	for _, h := range g.in {
		errs = append(errs, removeGroup(ctx, h.dir))
	}
	return errors.Join(errs...)
}

// clean removes the groups that an earlier sandbox left.
func (c *cgroups) clean(ctx context.Context) error {
	var errs []error
	for _, h := range c.in {
		left, err := filepath.Glob(filepath.Join(h.dir, c.prefix+"*"))
		errs = append(errs, err)
		for _, dir := range left {
			errs = append(errs, removeGroup(ctx, dir))
		}
	}
	return errors.Join(errs...)
}

// removeGroup kills and removes until the group is gone: the kernel takes a moment to
// be done with a process.
func removeGroup(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != syscall.EBUSY {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, pid := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		select {
		case <-ctx.Done():
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		case <-t.C:
		}
	}
}
