package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/sandbox"
)

func (a *app) scenarioCommand() *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "scenario [NAME]",
		Short: "Rehearse an accident; none ends it, and without a name they are listed",
		Long: "scenario makes the sandbox behave as App Runner does when something goes wrong, until\n" +
			"it is told none. The tag apron-sandbox of a service, with a scenario's name, does the\n" +
			"same for that service alone.",
		Example: "  apron sandbox scenario health-fails --service shop\n  apron sandbox scenario none",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				var rows [][]string
				for _, one := range sandbox.Scenarios() {
					rows = append(rows, one[:])
				}
				return columns(a.out, rows)
			}
			if err := sandbox.Rehearse(cmd.Context(), sandboxDir(a.manifestDir()), args[0], service); err != nil {
				return err
			}
			of := "every service"
			if service != "" {
				of = "service " + service
			}
			_, err := fmt.Fprintf(a.out, "%s rehearses %s\n", of, args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only this service (default all)")
	return cmd
}

func (a *app) clockCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "clock DURATION",
		Short:   "Turn its clock forward: waits of AWS that are under way get shorter",
		Example: "  apron sandbox clock 30m",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := time.ParseDuration(strings.TrimPrefix(args[0], "+"))
			if err != nil || by <= 0 {
				return &usageError{err: fmt.Errorf("%q is not a time to turn forward by, such as 30m", args[0]), command: cmd.CommandPath()}
			}
			now, err := sandbox.TurnClock(cmd.Context(), sandboxDir(a.manifestDir()), by)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, now.UTC().Format(time.RFC3339))
			return err
		},
	}
}
