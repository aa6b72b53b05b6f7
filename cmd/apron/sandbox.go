package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/manifest"
	"github.com/apron-deploy/apron/providers/sandbox"
	"github.com/apron-deploy/apron/reconcile/render"
)

// sandboxFlags say whether and how the sandbox is used.
type sandboxFlags struct {
	on     bool
	speed  float64
	engine string
}

// What the sandbox presents when the manifest names none.
const (
	sandboxAccount = "123456789012"
	sandboxRegion  = "us-east-1"
)

// sandboxDir is where the sandbox of a manifest keeps its state.
func sandboxDir(manifestDir string) string { return filepath.Join(manifestDir, ".apron") }

// startSandbox returns the sandbox beside a manifest, and starts it if it does not run.
func (a *app) startSandbox(ctx context.Context, dir, account, region string) (sandbox.Info, error) {
	if account == "" {
		account = sandboxAccount
	}
	if region == "" {
		region = sandboxRegion
	}
	return sandbox.Start(ctx, sandbox.StartOptions{Dir: sandboxDir(dir), Account: account, Region: region,
		Speed: a.sandbox.speed, Engine: a.sandbox.engine})
}

func (a *app) sandboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "The AWS of this machine: start, stop, status, env, console, scenario, clock, reset",
		Long:  "The sandbox is a server on this machine that speaks AWS's wire protocols and really\nruns containers. --sandbox on any command uses it. See apron docs sandbox.",
		RunE:  group,
	}
	add := func(use, short string, run func(ctx context.Context, dir string) error) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), sandboxDir(a.manifestDir()))
		}})
	}
	add("start", "Start it in the background", a.sandboxStart)
	add("stop", "Stop it and its containers; its state stays", func(ctx context.Context, dir string) error {
		said := "stopped"
		if err := sandbox.Stop(ctx, dir); errors.Is(err, sandbox.ErrNotRunning) {
			said = "not running"
		} else if err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out, said)
		return err
	})
	add("status", "Say whether it runs, and how", a.sandboxStatus)
	add("reset", "Forget everything in it", func(ctx context.Context, dir string) error {
		if err := sandbox.Reset(ctx, dir); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out, "reset")
		return err
	})
	add("env", "Print the variables with which AWS's own tools use it", func(ctx context.Context, dir string) error {
		state, err := sandbox.Status(ctx, dir)
		if err != nil {
			return err
		}
		if !state.Running {
			return sandbox.ErrNotRunning
		}
		for _, v := range sandbox.Env(state.Info) {
			name, value, _ := strings.Cut(v, "=")
			if _, err := fmt.Fprintf(a.out, "export %s=%s\n", name, value); err != nil {
				return err
			}
		}
		return nil
	})
	add("console", "Print the address of its page for people", func(ctx context.Context, dir string) error {
		state, err := sandbox.Status(ctx, dir)
		if err != nil {
			return err
		}
		if !state.Running {
			return sandbox.ErrNotRunning
		}
		_, err = fmt.Fprintln(a.out, state.Info.Console())
		return err
	})
	cmd.AddCommand(a.scenarioCommand(), a.clockCommand())
	var dir string
	serve := &cobra.Command{Use: "serve", Hidden: true, RunE: func(cmd *cobra.Command, _ []string) error {
		return sandbox.Serve(cmd.Context(), sandbox.ServeOptions{Dir: dir, Log: os.Stderr})
	}}
	serve.Flags().StringVar(&dir, "dir", "", "directory that start prepared")
	cmd.AddCommand(serve)
	return cmd
}

// manifestDir is the directory of the manifest, which need not be readable: stopping a
// sandbox must work with a manifest that is broken.
func (a *app) manifestDir() string {
	if len(a.files) == 0 {
		return "."
	}
	if info, err := os.Stat(a.files[0]); err == nil && info.IsDir() {
		return a.files[0]
	}
	return filepath.Dir(a.files[0])
}

func (a *app) sandboxStart(ctx context.Context, _ string) error {
	a.sandbox.on = true
	set, err := a.load()
	if err != nil {
		return err
	}
	info, err := a.connect(ctx, set.Documents[0].Spec.Dir, account(set), region(a.region, set))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, info.Endpoint())
	return err
}

func account(set *manifest.Set) string { return set.Documents[0].Spec.Account }

func region(flag string, set *manifest.Set) string {
	if flag != "" {
		return flag
	}
	return set.Documents[0].Spec.Region
}

func (a *app) sandboxStatus(ctx context.Context, dir string) error {
	state, err := sandbox.Status(ctx, dir)
	if err != nil {
		return err
	}
	if render.Format(a.format) == render.JSON {
		return a.encode(struct {
			Running  bool   `json:"running"`
			Endpoint string `json:"endpoint,omitempty"`
			sandbox.Health
		}{state.Running, state.Info.Endpoint(), state.Health})
	}
	h := state.Health
	if !state.Running {
		_, err := fmt.Fprintln(a.out, "not running")
		return err
	}
	return columns(a.out, [][]string{
		{"endpoint", state.Info.Endpoint()},
		{"account", h.Account + ", " + h.Region},
		{"engine", h.Isolation},
		{"process", fmt.Sprintf("%d, up %s", h.Pid, time.Duration(h.Uptime*float64(time.Second)).Round(time.Second))},
	})
}
