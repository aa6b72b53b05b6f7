// Command apron deploys a container service to AWS from one manifest: it plans against
// what is live, applies the plan, verifies the result and says what happened.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/sandbox/runner"
)

func main() {
	runner.Init() // takes over, and does not return, in a process that is to become a container
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	a.helper = strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == credentialHelper
	os.Exit(a.run(context.Background(), os.Args[1:]))
}

// run runs one command and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, stop := signalContext(ctx)
	defer stop()
	a.enter()
	if a.helper {
		return a.help(ctx, args)
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if err != nil && code != exitChanges && !errors.Is(err, errLeft) && !shown(err) {
		a.report(err)
	}
	if err := a.leave(code, err); err != nil {
		a.report(err)
		code = max(code, exitError)
	}
	a.close()
	return code
}

// help answers as a credential helper. Docker shows what a helper prints to stdout when it
// fails.
func (a *app) help(ctx context.Context, args []string) int {
	err := a.credential(ctx, args)
	if err != nil {
		fmt.Fprintln(a.out, err)
	}
	a.close()
	return exitCode(ctx, err)
}

// errInterrupted is why a context ends on a signal.
type errInterrupted struct{ signal os.Signal }

func (e errInterrupted) Error() string { return fmt.Sprintf("interrupted (%s)", e.signal) }

// signalContext ends ctx on the first interrupt and kills the process on the second. A closed
// terminal is an interrupt, too, unless nohup says that it is not.
func signalContext(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one has its usual effect
			cancel(errInterrupted{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "apron",
		Short: "Deploy a container service to AWS from one manifest",
		Long: "apron plans what a manifest asks against what is live on AWS, applies the plan,\n" +
			"verifies the result, and says what happened. There is no state file.\n\n" +
			"Try it without an account: apron apply --sandbox --yes",
		RunE:          group,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.prepare(cmd)
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, command: cmd.CommandPath()}
	})
	a.globalFlags(root)
	root.AddCommand(
		a.planCommand(),
		a.verifyCommand(),
		a.showCommand(),
		a.applyCommand(),
		a.destroyCommand(),
		a.driftCommand(),
		a.historyCommand(),
		a.promoteCommand(),
		a.rollbackCommand(),
		a.statusCommand(),
		a.redeployCommand(),
		a.pauseCommand(),
		a.resumeCommand(),
		a.logsCommand(),
		a.metricsCommand(),
		a.validateCommand(),
		a.renderCommand(),
		a.schemaCommand(),
		a.setCommand(),
		a.initCommand(),
		a.importCommand(),
		a.sandboxCommand(),
		a.imagesCommand(),
		a.buildCommand(),
		a.pushCommand(),
		a.runCommand(),
		a.loginCommand(),
		a.secretsCommand(),
		a.unlockCommand(),
		a.docsCommand(),
		a.versionCommand(),
	)
	wrapArgs(root)
	return root
}

// group is what a command does that only holds others: it says what they are. A name that
// is none of theirs is a wrong use.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	err := fmt.Errorf("%q is not a command of %s", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(like, " or "))
	}
	return &usageError{err: err, command: cmd.CommandPath()}
}

// wrapArgs makes every complaint about arguments a usage error, for the exit code.
func wrapArgs(cmd *cobra.Command) {
	check := cmd.Args
	switch {
	case check == nil && cmd.HasSubCommands():
		check = cobra.ArbitraryArgs // group looks at them
	case check == nil:
		check = cobra.NoArgs
	}
	cmd.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{err: err, command: c.CommandPath()}
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}
