package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/providers/secretsmanager"
	"github.com/apron-deploy/apron/reconcile/state"
)

// defaultPort is App Runner's.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
const defaultPort = 8080

func (a *app) runCommand() *cobra.Command {
	o := applyFlags{timeout: 1, parallelism: 1} // are not asked for
	var port int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the container on this machine the way App Runner would",
		Long: "run builds the image and starts it with the manifest's variables, secrets, PORT, CPU and\n" +
			"memory, shows its output, and requests its health check as App Runner would. Ctrl-C\n" +
			"ends it. Nothing is pushed or deployed. Secrets that are references are read from AWS.",
		Example: "  apron run\n  apron run --port 8001",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runLocally(cmd.Context(), o, port)
		},
	}
	o.registerBuilder(a, cmd)
	cmd.Flags().IntVar(&port, "port", -1, "port of this machine; 0 for any (default the manifest's)")
	return cmd
}

func (a *app) runLocally(ctx context.Context, o applyFlags, port int) error {
	set, d, err := a.single()
	if err != nil {
		return err
	}
	inside := defaultPort
	if d.Spec.Port != nil {
		inside = *d.Spec.Port
	}
	if port < 0 {
		port = inside
	}
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return &usageError{err: fmt.Errorf("port %d: %w%s; choose another with --port", port, err, holder(port)), command: "apron run"}
	}
	defer l.Close()
	url := "http://" + l.Addr().String()
	env, err := a.variables(ctx, d, url, inside)
	if err != nil {
		return err
	}
	img, tag, done, err := a.build(ctx, set, d, o)
	if err != nil {
		return err
	}
	defer done()
	dir, err := os.MkdirTemp("", "apron-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engine, err := runner.Detect(ctx, runner.Options{Dir: dir, Prefer: a.sandbox.engine, Label: "apron-run-" + strconv.Itoa(os.Getpid())})
	if err != nil {
		return err
	}
	defer engine.Close(context.WithoutCancel(ctx))
	var lines sync.Mutex
	spec := runner.Spec{ID: d.Spec.Service, Image: img, Ref: d.Spec.Image.Repository + ":" + tag, Env: env, Port: inside,
		Output: func(line string) {
			lines.Lock()
			defer lines.Unlock()
			fmt.Fprintln(a.out, line)
		}}
	if d.Spec.Command != nil {
		spec.Command = strings.Fields(*d.Spec.Command)
	}
	if d.Spec.CPU != nil {
		spec.CPUUnits = *d.Spec.CPU
	}
	if d.Spec.Memory != nil {
		spec.MemoryMiB = *d.Spec.Memory
	}
	i, err := engine.Start(ctx, spec)
	if err != nil {
		return interruptible(ctx, err)
	}
	a.say("apron: %s runs with %s", spec.Ref, engine.Describe())
	a.say("apron: %s", url)
	go forward(l, i)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.watchHealth(ctx, d.Spec, i)
	}()
	select {
	case <-ctx.Done():
		a.say("apron: stopping")
		err = i.Stop(context.WithoutCancel(ctx), stopGrace)
	case <-i.Done():
		err = ended(i.Exit())
	}
	<-watched
	return err
}

// stopGrace is how long an application has to end after SIGTERM.
// https://docs.aws.amazon.com/apprunner/latest/dg/develop.html
const stopGrace = 10 * time.Second

// ended is what it means that a container has ended by itself.
func ended(x runner.Exit) error {
	switch {
	case x.Err != nil:
		return x.Err
	case x.OOM:
		return errors.New("the container was killed because it used more memory than the manifest gives it")
	}
	return fmt.Errorf("the container stopped with exit code %d: App Runner would start it again, and give up a deployment", x.Code)
}

// variables is what App Runner would put into the container.
func (a *app) variables(ctx context.Context, d *manifest.Document, url string, port int) ([]string, error) {
	env := []string{"PORT=" + strconv.Itoa(port)}
	for _, name := range slices.Sorted(maps.Keys(d.Spec.Env)) {
		v := d.Spec.Env[name]
		value := v.Value
		if v.Template != "" {
			text, known := state.Expand(v.Template, func(service string) (string, bool) { return url, service == d.Spec.Service })
			switch {
			case known:
				value = text
			case v.Omit:
				a.say("apron: note: env.%s is left out: the service that it names does not run here", name)
				continue
			}
		}
		env = append(env, name+"="+value)
	}
	values, err := a.secretValues(ctx, d)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		a.out.Hide(values[name])
		a.err.Hide(values[name])
		env = append(env, name+"="+values[name])
	}
	return env, nil
}

// secretValues reads what the secrets of a manifest hold, from this machine's environment
// or from AWS.
func (a *app) secretValues(ctx context.Context, d *manifest.Document) (map[string]string, error) {
	values := map[string]string{}
	var w *wiring
	for _, key := range slices.Sorted(maps.Keys(d.Spec.Secrets)) {
		ref := d.Spec.Secrets[key]
		if ref.Source == state.FromEnv {
			if !ref.Set {
				return nil, fmt.Errorf("secrets.%s: %s is not set", key, ref.Name)
			}
			values[key] = ref.Value.Reveal()
			continue
		}
		if w == nil {
			s, err := a.open(ctx, false)
			if err != nil {
				return nil, err
			}
			wired := s.wire(applyFlags{})
			w = &wired
		}
		value, err := w.value(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("secrets.%s: %w", key, err)
		}
		values[key] = value
	}
	return values, nil
}

// value reads what a reference to AWS stands for.
func (w *wiring) value(ctx context.Context, ref state.SecretRef) (string, error) {
	if ref.Source == state.FromSSM {
		found, err := w.ssm.Values(ctx, []string{ref.Name})
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("parameter %s does not exist", ref.Name)
		}
		return strings.Join(found, ""), err
	}
	found, err := w.secrets.Values(ctx, []secretsmanager.Value{{Name: ref.Name, Stage: ref.Stage, Version: ref.Version}})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("secret %s does not exist", ref.Name)
	case ref.Key == "":
		return found[0], nil
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(found[0]), &fields); err != nil {
		return "", fmt.Errorf("secret %s is not JSON, and has no key %s", ref.Name, ref.Key)
	}
	v, ok := fields[ref.Key]
	if !ok {
		return "", fmt.Errorf("secret %s has no key %s", ref.Name, ref.Key)
	}
	return fmt.Sprint(v), nil
}

// forward passes connections to the container until l is closed.
func forward(l net.Listener, i runner.Instance) {
	for {
		outside, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer outside.Close()
			inside, err := i.Dial(context.Background())
			if err != nil {
				return // nothing listens there yet: whoever connected sees that
			}
			defer inside.Close()
			go func() {
				_, _ = io.Copy(inside, outside)
				if c, ok := inside.(*net.TCPConn); ok {
					_ = c.CloseWrite()
				}
			}()
			_, _ = io.Copy(outside, inside)
		}()
	}
}
