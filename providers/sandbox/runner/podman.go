package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// openPodman returns the podman engine if it really runs a container.
func openPodman(ctx context.Context, o Options) (Engine, error) {
	path, err := exec.LookPath("podman")
	if err != nil {
		return nil, errors.New("no podman command in PATH")
	}
	if host := os.Getenv("CONTAINER_HOST"); host != "" {
		if err := reachable("podman", host); err != nil {
			return nil, err
		}
	}
	c := newCLI("podman", path, o)
	quick, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer in %s", answerTimeout))
	defer cancel()
	info, err := c.run(quick, "info", "--format", "{{.Version.Version}} {{.Version.OsArch}} {{.Host.Security.Rootless}} {{.Host.CgroupsVersion}}")
	if err != nil {
		return nil, err
	}
	f := strings.Fields(info)
	if len(f) != 4 {
		return nil, fmt.Errorf("podman info: unexpected answer %q", info)
	}
	c.platform = f[1]
	c.flags = []string{"--http-proxy=false"}
	c.guessOOM = f[3] == "v1" // there its monitor often misses the kernel's word
	help, err := c.run(quick, "run", "--help")
	if err != nil {
		return nil, err
	}
	if strings.Contains(help, "--unsetenv ") {
		c.unset = []string{"container", "TERM"}
	}
	c.stats = c.podmanStats
	if err := c.prove(ctx); err != nil {
		return nil, err
	}
	who := "as root"
	if f[2] == "true" {
		who = "rootless"
	}
	c.describe = fmt.Sprintf("podman %s, %s: one container per instance with podman's own isolation and network; %s",
		f[0], who, c.limited())
	return c, nil
}

func (c *cli) podmanStats(ctx context.Context, id string) (Stats, error) {
	out, err := c.run(ctx, "stats", "--no-stream", "--format", "json", id)
	if err != nil {
		return Stats{}, err
	}
	var all []struct {
		CPU    string `json:"cpu_time"`  // a Go duration: 44.7ms
		Memory string `json:"mem_usage"` // 1.614MB / 536.9MB
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return Stats{}, fmt.Errorf("podman stats: %w", err)
	}
	if len(all) != 1 {
		return Stats{}, fmt.Errorf("podman stats: %d answers for one container", len(all))
	}
	cpu, err := time.ParseDuration(all[0].CPU)
	if err != nil {
		return Stats{}, fmt.Errorf("podman stats: %w", err)
	}
	used, _, _ := strings.Cut(all[0].Memory, " ")
	mem, err := parseSize(used)
	if err != nil {
		return Stats{}, fmt.Errorf("podman stats: %w", err)
	}
	return Stats{CPUSeconds: cpu.Seconds(), MemoryBytes: mem}, nil
}

// parseSize reads a size with a decimal unit, as podman writes it.
func parseSize(s string) (int64, error) {
	number := strings.TrimRight(s, "kKMGTB")
	factor, ok := map[string]float64{"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[s[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	return int64(n * factor), nil
}
