package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// answerTimeout is how long an engine may take to say that it is there.
const answerTimeout = 20 * time.Second

// openDocker returns the docker engine if its daemon is on this machine and really
// runs a container.
func openDocker(ctx context.Context, o Options) (Engine, error) {
	path, err := exec.LookPath("docker")
	if err != nil {
		return nil, errors.New("no docker command in PATH")
	}
	c := newCLI("docker", path, o)
	quick, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer in %s", answerTimeout))
	defer cancel()
	if v, err := c.run(quick, "--version"); err != nil {
		return nil, err
	} else if strings.Contains(v, "podman") {
		return nil, errors.New("the docker command here is podman's")
	}
	host, err := c.run(quick, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err != nil {
		return nil, err
	}
	if err := reachable("docker", host); err != nil {
		return nil, err
	}
	version, err := c.run(quick, "version", "--format", "{{.Server.Version}} {{.Server.Os}} {{.Server.Arch}}")
	if err != nil {
		return nil, err
	}
	f := strings.Fields(version)
	if len(f) != 3 {
		return nil, fmt.Errorf("docker version: unexpected answer %q", version)
	}
	if f[1] != "linux" {
		return nil, fmt.Errorf("the daemon runs %s containers: switch it to Linux containers", f[1])
	}
	if err := c.sameMachine(quick); err != nil {
		return nil, err
	}
	c.platform = f[1] + "/" + f[2]
	c.pin(host)
	c.stats = dockerStats(host)
	if err := c.prove(ctx); err != nil {
		return nil, err
	}
	c.describe = fmt.Sprintf("docker %s at %s: one container per instance with Docker's own isolation and network; %s",
		f[0], host, c.limited())
	return c, nil
}

// reachable refuses an engine on another machine: the ports that it publishes on
// loopback are there, not here.
func reachable(name, host string) error {
	u, err := url.Parse(host)
	if err != nil {
		return fmt.Errorf("%s host: %w", name, err)
	}
	switch u.Scheme {
	case "unix", "npipe", "":
		return nil
	}
	h := u.Hostname()
	if ip := net.ParseIP(h); h == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is on another machine (%s://%s): the ports that it publishes cannot be reached here", name, u.Scheme, h)
}

// sameMachine refuses a daemon whose socket was mounted into the container that we are
// in: it publishes ports on the host's loopback, not on ours.
func (c *cli) sameMachine(ctx context.Context) error {
	if _, err := os.Stat("/.dockerenv"); err != nil {
		return nil
	}
	daemon, err := c.run(ctx, "info", "--format", "{{.Name}}")
	if err != nil {
		return err
	}
	if self, err := os.Hostname(); err != nil || self == daemon {
		return err
	}
	return fmt.Errorf("the daemon (%s) is outside of the container that this runs in: the ports that it publishes cannot be reached here", daemon)
}

// pin keeps to the daemon that was found, and leaves out the user's configuration:
// its proxy settings would be put into every container's environment. A daemon behind
// TLS needs that configuration.
func (c *cli) pin(host string) {
	if !strings.HasPrefix(host, "unix:") && !strings.HasPrefix(host, "npipe:") {
		return
	}
	keep := make([]string, 0, len(c.env)+2)
	for _, kv := range c.env {
		if k, _, _ := strings.Cut(kv, "="); k != "DOCKER_CONTEXT" && k != "DOCKER_DEFAULT_PLATFORM" {
			keep = append(keep, kv)
		}
	}
	c.env = append(keep, "DOCKER_HOST="+host, "DOCKER_CONFIG="+filepath.Join(c.dir, "config"))
}

// dockerStats reads the daemon's API, since the CLI tells no CPU time but a share.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerStats
func dockerStats(host string) func(context.Context, string) (Stats, error) {
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return func(context.Context, string) (Stats, error) {
			return Stats{}, fmt.Errorf("docker at %s: statistics are read over a unix socket only", host)
		}
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", u.Path)
		},
	}}
	return func(ctx context.Context, id string) (Stats, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/"+id+"/stats?stream=false&one-shot=true", nil)
		if err != nil {
			return Stats{}, err
		}
		res, err := client.Do(req)
		if err != nil {
			return Stats{}, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return Stats{}, fmt.Errorf("docker: statistics: %s", res.Status)
		}
		var body struct {
			CPU struct {
				Usage struct {
					Total int64 `json:"total_usage"`
				} `json:"cpu_usage"`
			} `json:"cpu_stats"`
			Memory struct {
				Usage int64            `json:"usage"`
				Stats map[string]int64 `json:"stats"`
			} `json:"memory_stats"`
		}
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
			return Stats{}, fmt.Errorf("docker: statistics: %w", err)
		}
		cache, ok := body.Memory.Stats["total_inactive_file"] // cgroup v1
		if !ok {
			cache = body.Memory.Stats["inactive_file"]
		}
		return Stats{
			CPUSeconds:  float64(body.CPU.Usage.Total) / 1e9,
			MemoryBytes: max(body.Memory.Usage-cache, 0),
		}, nil
	}
}
