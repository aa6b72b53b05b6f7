package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/sandbox/runner"
	"github.com/apron-deploy/apron/reconcile/state"
)

// The port, the CPU units and the memory in MiB that App Runner takes where nothing is said.
// https://docs.aws.amazon.com/apprunner/latest/api/API_ImageConfiguration.html
// https://docs.aws.amazon.com/apprunner/latest/api/API_InstanceConfiguration.html
const (
	defaultPort   = 8080
	defaultCPU    = 1024
	defaultMemory = 2048
)

func (a *app) runCommand() *cobra.Command {
	var o builderFlags
	var port int
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the container on this machine the way App Runner would",
		Long: "run builds the image, or takes the one that image.from names, and starts it with the\n" +
			"manifest's variables, secrets, PORT, CPU and memory, shows its output, and requests its\n" +
			"health check as App Runner would. Ctrl-C ends it. Nothing is pushed or deployed. Secrets\n" +
			"that are references are read from AWS, as are those that are not set on this machine.",
		Example: "  apron run\n  apron run --port 8001",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runLocally(cmd.Context(), o, port)
		},
	}
	o.registerBuilder(a, cmd)
	a.registerOnly(cmd)
	cmd.Flags().IntVar(&port, "port", -1, "port of this machine; 0 for any (default the manifest's)")
	return cmd
}

func (a *app) runLocally(ctx context.Context, o builderFlags, port int) error {
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
		return &usageError{err: fmt.Errorf("port %d: %w%s; choose another with --port", port, err, holder(ctx, port)), command: "apron run"}
	}
	defer l.Close()
	url := "http://" + l.Addr().String()
	env, err := a.variables(ctx, d, url, inside)
	if err != nil {
		return err
	}
	img, ref, done, err := a.runnable(ctx, set, d, o)
	if err != nil {
		return err
	}
	defer done()
	engine, end, err := a.engine(ctx, runLabel(l))
	if err != nil {
		return err
	}
	defer end()
	var lines sync.Mutex
	spec := localSpec(d.Spec, img, ref, env, inside, func(line string) {
		lines.Lock()
		defer lines.Unlock()
		fmt.Fprintln(a.out, line)
	})
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
		a.say("apron: stopping; once more ends it at once")
		grace, done := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
		defer done()
		if err = i.Stop(grace, stopGrace); grace.Err() != nil {
			err = nil // as asked
		}
	case <-i.Done():
		err = ended(i.Exit())
	}
	<-watched
	return err
}

// runLabel marks the container that is behind a port of this machine. Whoever gets the port
// next knows by it what a run that was killed has left.
func runLabel(l net.Listener) string {
	host, _ := os.Hostname() // of several machines with one engine
	return fmt.Sprintf("apron-run-%s-%d", host, l.Addr().(*net.TCPAddr).Port)
}

// engine is what runs containers on this machine, until it is ended. A label is taken over
// from whoever had it before; without one, nobody's is.
func (a *app) engine(ctx context.Context, label string) (e runner.Engine, end func(), err error) {
	dir, err := os.MkdirTemp("", "apron-run-")
	if err != nil {
		return nil, nil, err
	}
	e, err = runner.Detect(ctx, runner.Options{Dir: dir, Prefer: a.sandbox.engine, Label: cmp.Or(label, filepath.Base(dir))})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return e, func() {
		_ = errors.Join(e.Close(context.WithoutCancel(ctx)), os.RemoveAll(dir)) // what is left is the temporary directory's
	}, nil
}

// localSpec is an instance as App Runner would start it.
func localSpec(spec state.Spec, img v1.Image, ref string, env []string, port int, output func(string)) runner.Spec {
	s := runner.Spec{ID: spec.Service, Image: img, Ref: ref, Env: env, Port: port, Output: output,
		CPUUnits: cmp.Or(value(spec.CPU), defaultCPU), MemoryMiB: cmp.Or(value(spec.Memory), defaultMemory)}
	if spec.Command != nil {
		s.Command = strings.Fields(*spec.Command)
	}
	return s
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
