package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

var errClosed = errors.New("the engine is closed")

const (
	// labelKey marks containers as a sandbox's; its value says whose.
	labelKey = "apron.sandbox"
	// cleanupTimeout bounds what must be done after the caller's context ended.
	cleanupTimeout = 30 * time.Second
)

// cli is an engine that is driven by its command line: docker or podman.
type cli struct {
	name, path string
	env        []string // of the CLI process itself
	dir        string
	label      string
	repo       string // names the images that this sandbox loaded
	prefix     string // begins the names of its containers
	platform   string // the engine's own, os/arch
	describe   string
	limits     bool     // --cpus and --memory work
	guessOOM   bool     // the engine does not tell what was killed for its memory limit
	flags      []string // further flags of run
	unset      []string // variables that the engine would add
	stats      func(ctx context.Context, name string) (Stats, error)

	loads   loads
	mu      sync.Mutex
	running map[*container]struct{}
	closed  bool
	wg      sync.WaitGroup
}

func newCLI(name, path string, o Options) *cli {
	mark := o.mark()
	return &cli{
		name: name, path: path, env: os.Environ(), dir: filepath.Join(o.Dir, name), label: o.label(),
		repo:    "localhost/apron-sandbox-" + mark,
		prefix:  "apron-" + mark + "-",
		running: map[*container]struct{}{},
	}
}

func (c *cli) Name() string     { return c.name }
func (c *cli) Describe() string { return c.describe }

// command prepares one call of the CLI, apart from our terminal's signals.
func (c *cli) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.path, args...)
	cmd.Env = c.env
	// podman's conmon notes an out-of-memory kill in a file of the folder it starts in.
	if _, err := os.Stat(c.dir); err == nil && filepath.IsAbs(c.dir) {
		cmd.Dir = c.dir
	}
	cmd.WaitDelay = time.Second
	detach(cmd)
	return cmd
}

// run calls the CLI and returns its output. Its error text becomes the error.
func (c *cli) run(ctx context.Context, args ...string) (string, error) {
	return c.output(ctx, c.command(ctx, args...))
}

func (c *cli) output(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s %s: %w", c.name, cmd.Args[1], context.Cause(ctx))
	}
	if text := lastLine(msg.String()); text != "" {
		err = errors.New(text)
	}
	return "", fmt.Errorf("%s %s: %w", c.name, cmd.Args[1], err)
}

// tail keeps the last line that tells something.
type tail struct{ line string }

func (t *tail) add(line string) {
	line = strings.TrimSpace(line)
	if line != "" && !strings.HasPrefix(line, "Run 'docker") && !strings.HasPrefix(line, "See 'docker") {
		t.line = line
	}
}

func (t *tail) String() string {
	s := strings.TrimPrefix(t.line, "docker: ")
	s = strings.TrimPrefix(s, "Error response from daemon: ")
	return strings.TrimSuffix(strings.TrimPrefix(s, "Error: "), ".")
}

// lastLine is where CLIs say what went wrong, after their warnings.
func lastLine(s string) string {
	var t tail
	for line := range strings.Lines(s) {
		t.add(line)
	}
	return t.String()
}

// inspected is what both CLIs tell of a container.
type inspected struct {
	State struct {
		Status    string
		Running   bool
		OOMKilled bool
		ExitCode  int
		Error     string
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostIp, HostPort string }
	}
}

// started says whether the container's process was ever executed.
func (i inspected) started() bool {
	switch i.State.Status {
	case "created", "configured", "initialized":
		return false
	}
	return true
}

func (c *cli) inspect(ctx context.Context, id string) (inspected, error) {
	var i inspected
	out, err := c.run(ctx, "container", "inspect", "--format", `{"State":{{json .State}},"NetworkSettings":{{json .NetworkSettings}}}`, id)
	if err != nil {
		return i, err
	}
	if err := json.Unmarshal([]byte(out), &i); err != nil {
		return i, fmt.Errorf("%s inspect: %w", c.name, err)
	}
	return i, nil
}

// gone says that there is no such container; an error, that nobody knows.
func (c *cli) gone(ctx context.Context, name string) (bool, error) {
	ids, err := c.run(ctx, "container", "ls", "--all", "--quiet", "--filter", "name=^"+name+"$")
	return ids == "", err
}

func (c *cli) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// removeAll deletes the containers that a filter finds. It asks again after an error,
// since a container may be on its way out already.
func (c *cli) removeAll(ctx context.Context, filter string) error {
	for {
		ids, err := c.run(ctx, "container", "ls", "--all", "--quiet", "--no-trunc", "--filter", filter)
		if err != nil || ids == "" {
			return err
		}
		_, err = c.run(ctx, append([]string{"container", "rm", "--force", "--volumes"}, strings.Fields(ids)...)...)
		if err == nil {
			return nil
		}
		t := time.NewTimer(200 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// clean removes whatever bears this sandbox's label.
func (c *cli) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	if err := c.removeAll(ctx, "label="+labelKey+"="+c.label); err != nil {
		return err
	}
	tags, err := c.run(ctx, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference="+c.repo)
	if err != nil || tags == "" {
		return err
	}
	_, err = c.run(ctx, append([]string{"image", "rm"}, strings.Fields(tags)...)...)
	return err
}

// Close implements [Engine].
func (c *cli) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.clean(ctx)
	c.mu.Lock()
	for i := range c.running {
		if err != nil { // the engine is gone or stuck: at least its clients end
			i.cancel()
		}
	}
	c.mu.Unlock()
	c.wg.Wait()
	return errors.Join(err, os.RemoveAll(c.dir))
}
