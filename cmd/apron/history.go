package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/records"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/render"
)

func (a *app) historyCommand() *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the releases: when, who, commit, image, what changed, result",
		Long: "history lists what apply, promote, rollback and destroy have recorded beside the\n" +
			"service's images. ECR keeps the last 200 records of a repository.",
		Example: "  apron history\n  apron history show 42",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(cmd, args)
			}
			if limit < 1 {
				return &usageError{err: fmt.Errorf("--limit %d: must be at least 1", limit), command: cmd.CommandPath()}
			}
			return a.runHistory(cmd.Context(), limit)
		},
	}
	a.registerOnly(cmd)
	cmd.Flags().IntVar(&limit, "limit", limit, "how many to list")
	show := &cobra.Command{
		Use:   "show RELEASE",
		Short: "Show everything that is kept of a release",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := releaseNumber(args[0])
			if err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return a.showRelease(cmd.Context(), n)
		},
	}
	a.registerOnly(show)
	cmd.AddCommand(show)
	return cmd
}

func releaseNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not the number of a release: apron history lists them", text)
	}
	return n, nil
}

// noReleaseError says that there is no such release.
type noReleaseError struct {
	place records.Place
	which string
}

var _ error = (*noReleaseError)(nil)

func (e *noReleaseError) Error() string {
	return fmt.Sprintf("%s of %s is not recorded in repository %q", e.which, e.place.Service, e.place.Repository)
}

// Hint says where to look.
func (e *noReleaseError) Hint() string { return "apron history lists what is" }

func (a *app) runHistory(ctx context.Context, limit int) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(applyFlags{})
	if len(s.specs) > 1 && render.Format(a.format) == render.JSON {
		return &usageError{err: errors.New("a list of the releases of one service is written as JSON: " + s.nameOne()), command: "apron history"}
	}
	if len(s.specs) == 1 {
		if err := s.recorded(); err != nil {
			return err
		}
	}
	for i, spec := range s.specs {
		if spec.Image.InPlace {
			a.say("apron: note: %v", &unrecordedError{spec.Service})
			continue
		}
		place := records.PlaceOf(spec)
		numbers, err := w.records.Numbers(ctx, place)
		if err != nil {
			return interruptible(ctx, err)
		}
		shown := numbers[:min(limit, len(numbers))]
		list, err := s.readRecords(ctx, w, place, shown)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if len(s.specs) > 1 && render.Format(a.format) == render.Text {
			fmt.Fprintln(a.out, spec.Service)
		}
		if err := a.write(render.NewHistory(place.Service, place.Repository, list, len(numbers)-len(shown))); err != nil {
			return err
		}
	}
	return nil
}

// readRecords reads records and says which of them cannot be read.
func (s *session) readRecords(ctx context.Context, w wiring, place records.Place, numbers []int) ([]release.Record, error) {
	list, damaged, err := w.records.Read(ctx, place, numbers)
	if err != nil {
		return nil, interruptible(ctx, err)
	}
	for _, d := range damaged {
		s.a.warn("the release record %s cannot be read: %v", d.Tag, d.Err)
	}
	return list, nil
}

func (a *app) showRelease(ctx context.Context, n int) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	place, err := s.onlyPlace("apron history show")
	if err == nil {
		err = s.recorded()
	}
	if err != nil {
		return err
	}
	list, err := s.readRecords(ctx, s.wire(applyFlags{}), place, []int{n})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &noReleaseError{place, fmt.Sprintf("release %d", n)}
	}
	return a.write(render.NewRecord(list[0]))
}

// onlyPlace is where the records of the one service of the run are.
func (s *session) onlyPlace(command string) (records.Place, error) {
	if n := len(s.specs) + len(s.out); n > 1 {
		return records.Place{}, &usageError{err: fmt.Errorf("the manifests hold %d services, and this is about one: %s", n, s.nameOne()), command: command}
	}
	return records.PlaceOf(s.specs[0]), nil
}

// nameOne says how one service of the run is chosen.
func (s *session) nameOne() string {
	var names []string
	for _, spec := range s.specs {
		names = append(names, spec.Service)
	}
	for _, o := range s.out {
		names = append(names, o.service)
	}
	return "name it with --only (" + strings.Join(names, ", ") + ")"
}
