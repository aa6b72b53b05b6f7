package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apprunner/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/apprunner"
	"github.com/apron-deploy/apron/providers/logs"
	"github.com/apron-deploy/apron/reconcile/render"
	"github.com/apron-deploy/apron/reconcile/state"
)

// logFlags are what logs shows.
type logFlags struct {
	follow     bool
	since      string
	filter     string
	group      string // app, service or both; empty is the default
	deployment string // an operation's id, or latest
}

// latest stands for the last deployment.
const latest = "latest"

func (a *app) logsCommand() *cobra.Command {
	var f logFlags
	cmd := &cobra.Command{
		Use:   "logs [DEPLOYMENT]",
		Short: "Show what the application and App Runner say, in order of time",
		Long: "logs joins the application's log group with App Runner's own of the service: events, and\n" +
			"what each deployment did. With --deployment it shows one deployment, the last or the\n" +
			"one with that id, as status prints it. Secrets are masked. Ctrl-C ends --follow.\n" +
			"See also: apron docs logs",
		Example: "  apron logs -f\n  apron logs --since 2h --filter '?ERROR ?Traceback'\n  apron logs --deployment\n  apron logs --group app --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.take(args); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.runLogs(cmd.Context(), f)
		},
	}
	// As everywhere else -f follows a log, so that here a manifest has no short flag.
	cmd.Flags().StringArrayVar(&a.files, "file", nil, "manifest, or a directory of them; may be repeated (default deploy.yaml)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on showing what comes, until interrupted")
	cmd.Flags().StringVar(&f.since, "since", "", "how far back: a duration such as 15m or 2d, or a time as RFC 3339 (default 15m; with --deployment its start)")
	cmd.Flags().StringVar(&f.filter, "filter", "", "filter pattern of CloudWatch Logs: words that a line must have, ?WORD for any of several")
	cmd.Flags().StringVar(&f.group, "group", "", "app, service or both (default both; with --deployment service)")
	cmd.Flags().StringVar(&f.deployment, "deployment", "", "what one deployment did: the last, or the one with this id")
	cmd.Flags().Lookup("deployment").NoOptDefVal = latest
	_ = cmd.RegisterFlagCompletionFunc("group", cobra.FixedCompletions([]string{"app", "service", "both"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// take completes the flags with the argument, and finds what is wrong with them.
func (f *logFlags) take(args []string) error {
	switch {
	case len(args) == 1 && f.deployment != latest:
		return fmt.Errorf("%q: only --deployment takes an id; -f follows here, and a manifest is named by --file", args[0])
	case len(args) == 1:
		f.deployment = args[0]
	}
	if f.group == "" {
		f.group = "both"
		if f.deployment != "" {
			f.group = "service"
		}
	}
	switch f.group {
	case "app", "service", "both":
	default:
		return fmt.Errorf("--group %q is none of app, service, both", f.group)
	}
	_, err := sinceTime(f.since, time.Now())
	return err
}

// defaultSince is how far back logs and metrics go unless they are told.
const defaultSince = 15 * time.Minute

// sinceTime reads a point in time: RFC 3339, a day, or a duration before now, in which d
// are days.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(-defaultSince), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil && d > 0 {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since %q is neither a duration such as 15m or 2d nor a time such as 2026-11-26T12:00:00Z", text)
}

func (a *app) runLogs(ctx context.Context, f logFlags) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{})
	live, err := s.services(ctx, w)
	if err != nil {
		return err
	}
	client := cloudwatchlogs.NewFromConfig(s.cfg)
	q, owners, err := s.logQuery(ctx, w, logs.New(client), live, f)
	if err != nil {
		return interruptible(ctx, err)
	}
	if f.group != "service" {
		a.warnUnlearned(s.learn(ctx, w, live))
	}
	out := render.NewLogs(a.out, render.LogOptions{Format: render.Format(a.format), Color: a.colorOut, Named: len(s.specs) > 1})
	shown := 0
	emit := func(l logs.Line) error {
		a.wrote = true
		shown++
		return out.Write(render.LogLine{Time: l.At, Service: owners[l.Source.Group], Source: l.Source.Name, Stream: l.Stream, ID: l.ID, Message: l.Text})
	}
	reader := logs.NewReader(client)
	if !f.follow {
		missing, err := reader.Read(ctx, q, emit)
		if err != nil {
			return interruptible(ctx, err)
		}
		a.sayMissing(missing, owners, live)
		if shown == 0 {
			a.say("apron: note: there is no line since %s; look further back with --since", q.Since.UTC().Format(time.RFC3339))
		}
		return nil
	}
	err = reader.Follow(ctx, q, s.look(), func(missing []logs.Source) { a.sayMissing(missing, owners, live) }, emit)
	var interrupted errInterrupted
	if errors.As(context.Cause(ctx), &interrupted) {
		return errLeft
	}
	return err
}

// look is the pause between two looks at logs.
func (s *session) look() time.Duration {
	if s.a.sandbox.on {
		return 500 * time.Millisecond // there is no quota to share
	}
	return 2 * time.Second
}

// logQuery says where the lines are, and whose each log group is.
func (s *session) logQuery(ctx context.Context, w wiring, groups *logs.Provider, live state.Live, f logFlags) (logs.Query, map[string]string, error) {
	since, err := sinceTime(f.since, time.Now())
	if err != nil {
		return logs.Query{}, nil, err
	}
	q, owners := logs.Query{Since: since, Pattern: f.filter}, map[string]string{}
	for _, spec := range s.specs {
		service := live[serviceAddress(spec)]
		detail, exists := service.Detail.(apprunner.Live)
		id := detail.ID
		if !exists {
			last, err := groups.Last(ctx, spec.Service)
			if err != nil {
				return q, nil, err
			}
			if last == "" || f.deployment != "" {
				return q, nil, &absentError{spec.Service}
			}
			s.a.say("apron: note: service %s does not exist: these are the logs that its last one left", spec.Service)
			id = last
		}
		own := []logs.Source{{}}
		if f.deployment != "" {
			op, found, err := s.deployment(ctx, w, service, f.deployment)
			if err != nil {
				return q, nil, err
			}
			if !found {
				continue
			}
			own = []logs.Source{{Prefix: logs.Deployment(aws.ToString(op.Id))}, {Prefix: "events"}}
			if f.since == "" {
				q.Since = aws.ToTime(op.StartedAt)
			}
			if op.EndedAt != nil && !f.follow {
				q.Until = op.EndedAt.Add(time.Second)
			}
		}
		if f.group != "app" {
			for _, o := range own {
				q.Sources = append(q.Sources, logs.Source{Name: logs.Service, Group: logs.Group(spec.Service, id, logs.Service), Prefix: o.Prefix})
			}
		}
		if f.group != "service" {
			q.Sources = append(q.Sources, logs.Source{Name: logs.Application, Group: logs.Group(spec.Service, id, logs.Application)})
		}
		for _, kind := range []string{logs.Service, logs.Application} {
			owners[logs.Group(spec.Service, id, kind)] = spec.Service
		}
	}
	if len(q.Sources) == 0 {
		return q, nil, fmt.Errorf("no service of the manifest has a deployment %s: `apron status` lists the last ones", f.deployment)
	}
	return q, owners, nil
}

// deployment finds an operation by its id, with or without its dashes, or the last one
// that rolled something out.
func (s *session) deployment(ctx context.Context, w wiring, service state.Observed, id string) (types.OperationSummary, bool, error) {
	if id != latest {
		if plain := strings.ReplaceAll(id, "-", ""); len(plain) == 32 {
			id = strings.Join([]string{plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]}, "-")
		}
		return w.apprunner.Operation(ctx, service.ID, id)
	}
	for _, op := range service.Detail.(apprunner.Live).Operations {
		if apprunner.RollsOut(op.Type) {
			return op, true, nil
		}
	}
	return types.OperationSummary{}, false, nil
}

// absentError says that there is no service.
type absentError struct{ service string }

func (e *absentError) Error() string {
	return fmt.Sprintf("service %q does not exist", e.service)
}
func (e *absentError) Hint() string { return "make it with `apron apply`" }

// sayMissing says what it means that a log group does not exist.
func (a *app) sayMissing(missing []logs.Source, owners map[string]string, live state.Live) {
	for _, s := range missing {
		service := owners[s.Group]
		switch {
		case s.Name == logs.Application && live[apprunner.Service(service)].Phase == state.Busy:
			a.say("apron: note: %s has no application log yet: App Runner makes it when the first container prints something", service)
		case s.Name == logs.Application:
			a.say("apron: note: %s has no application log: no container of it has ever printed a line. If a deployment failed, the container "+
				"never started: look at the image, its entrypoint and architecture, and at `apron logs --deployment`", service)
		case s.Prefix == "" || s.Prefix == "events":
			a.say("apron: note: %s has no log of App Runner's own: nothing has happened to it yet, or the group was deleted", service)
		}
	}
}
