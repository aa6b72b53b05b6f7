package runner

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// invocation is how the CLI is called to run one container.
type invocation struct {
	args []string
	env  []string // added to the CLI's own environment
	file string   // an env file to be removed once it was read; "" for none
}

// invocation turns a spec into a call of the CLI's run.
func (c *cli) invocation(s Spec, ref string) (*invocation, error) {
	cfg, err := s.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	vars, err := newEnviron(s.Env)
	if err != nil {
		return nil, err
	}
	own, file, err := vars.forCLI()
	if err != nil {
		return nil, err
	}
	in := &invocation{args: []string{
		"run", "--name", c.containerName(s.ID), "--label", labelKey + "=" + c.label,
		"--publish", "127.0.0.1::" + strconv.Itoa(s.Port),
		"--pull", "never", "--sig-proxy=false", "--no-healthcheck", "--log-driver", "none", "--stop-timeout", "0",
	}}
	in.add(c.flags...)
	if cfg.Architecture != "" && c.platform != "" && platformOf(cfg) != c.platform {
		in.add("--platform", platformOf(cfg)) // some versions find no other image without
	}
	if c.limits && s.CPUUnits > 0 {
		in.add("--cpus", strconv.FormatFloat(float64(s.CPUUnits)/1024, 'f', 3, 64))
	}
	if c.limits && s.MemoryMiB > 0 {
		m := strconv.Itoa(s.MemoryMiB) + "m"
		in.add("--memory", m, "--memory-swap", m)
	}
	for _, k := range c.unset {
		if !hasKey(cfg.Config.Env, k) {
			in.add("--unsetenv", k)
		}
	}
	for _, k := range own {
		in.add("--env", k)
		in.env = append(in.env, k+"="+vars.values[k])
	}
	if len(file) > 0 {
		if in.file, err = c.envFile(file); err != nil {
			return nil, err
		}
		in.add("--env-file", in.file)
	}
	if len(s.Command) > 0 {
		in.add("--entrypoint", s.Command[0], ref)
		in.add(s.Command[1:]...)
	} else {
		in.add(ref)
	}
	return in, nil
}

func (in *invocation) add(args ...string) { in.args = append(in.args, args...) }

func (in *invocation) close() {
	if in.file != "" {
		os.Remove(in.file)
	}
}

// envFile writes variables where only we and the CLI read them.
func (c *cli) envFile(vars []string) (string, error) {
	f, err := os.CreateTemp(c.dir, "env-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(strings.Join(vars, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func hasKey(env []string, key string) bool {
	for _, kv := range env {
		if strings.HasPrefix(kv, key+"=") {
			return true
		}
	}
	return false
}

// containerName is a name that no other sandbox takes.
func (c *cli) containerName(id string) string { return c.prefix + nameOf(id) }
