package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// findCgroups looks where control groups with memory and CPU limits can be made:
// below our own, or with version 2, where groups have either processes or children,
// beside it.
func findCgroups(prefix string) (*cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	ours := placed(string(mounts), string(own))
	c := &cgroups{prefix: prefix}
	memory, cpu := ours["memory"], ours["cpu"]
	if memory.dir == "" || cpu.dir == "" {
		dir, err := beside(ours[""], prefix)
		if err != nil {
			return nil, err
		}
		c.in = []hierarchy{{dir: dir, controllers: []string{""}}}
		return c, nil
	}
	for _, k := range []string{"memory", "cpu", "cpuacct"} {
		h, ok := ours[k]
		if !ok {
			return nil, fmt.Errorf("control groups: no %s controller", k)
		}
		if i := slices.IndexFunc(c.in, func(x hierarchy) bool { return x.dir == h.dir }); i >= 0 {
			c.in[i].controllers = append(c.in[i].controllers, k)
			continue
		}
		if err := unix.Access(h.dir, unix.W_OK); err != nil {
			return nil, fmt.Errorf("control groups: %s: %w", h.dir, err)
		}
		c.in = append(c.in, hierarchy{dir: h.dir, controllers: []string{k}})
	}
	return c, nil
}

// place is where a hierarchy is mounted and our own group in it.
type place struct{ mount, dir string }

// placed finds our group of each controller, "" being version 2, from the contents of
// /proc/self/mountinfo and /proc/self/cgroup.
func placed(mounts, own string) map[string]place {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		for k := range strings.SplitSeq(f[1], ",") {
			paths[k] = f[2]
		}
	}
	all := map[string]place{}
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		var controllers []string
		switch g[0] {
		case "cgroup2":
			controllers = []string{""}
		case "cgroup":
			controllers = strings.Split(g[2], ",")
		}
		for _, k := range controllers {
			path, ok := paths[k]
			rel, err := filepath.Rel(f[3], path)
			if ok && err == nil && !strings.HasPrefix(path, "/..") && rel != ".." && !strings.HasPrefix(rel, "../") {
				all[k] = place{mount: f[4], dir: filepath.Join(f[4], rel)}
			}
		}
	}
	return all
}

// beside finds the nearest group of version 2, from our own upwards, in which one with
// limits can be made.
func beside(own place, prefix string) (string, error) {
	if own.dir == "" {
		return "", errors.New("control groups: no memory and cpu controllers")
	}
	var why error
	for dir := own.dir; ; dir = filepath.Dir(dir) {
		err := offers(dir, prefix)
		if err == nil {
			return dir, nil
		}
		if why == nil || dir != own.dir {
			why = err
		}
		if dir == own.mount || len(dir) <= len(own.mount) {
			return "", fmt.Errorf("control groups: %w", why)
		}
	}
}

// offers tries to make a group with limits in a folder.
func offers(dir, prefix string) error {
	if err := unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	control := filepath.Join(dir, "cgroup.subtree_control")
	b, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	for _, k := range []string{"memory", "cpu"} {
		if !slices.Contains(strings.Fields(string(b)), k) {
			if err := os.WriteFile(control, []byte("+"+k), 0); err != nil {
				return err
			}
		}
	}
	probe := filepath.Join(dir, prefix+"probe")
	if err := os.Mkdir(probe, 0o755); err != nil {
		return err
	}
	_, noMemory := os.Stat(filepath.Join(probe, "memory.max"))
	_, noCPU := os.Stat(filepath.Join(probe, "cpu.max"))
	return errors.Join(noMemory, noCPU, os.Remove(probe))
}
