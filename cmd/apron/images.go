package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apron-deploy/apron/providers/ecr"
	"github.com/apron-deploy/apron/reconcile"
	"github.com/apron-deploy/apron/reconcile/apply"
	"github.com/apron-deploy/apron/reconcile/plan"
	"github.com/apron-deploy/apron/reconcile/release"
	"github.com/apron-deploy/apron/reconcile/state"
)

func (a *app) imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images of the repository: tags, size, age, and where they run",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(cmd, args)
			}
			return a.runImages(cmd.Context())
		},
	}
	var o applyFlags
	var unused, keep int
	prune := &cobra.Command{
		Use:   "prune",
		Short: "Delete images that apron pushed and nobody uses any more",
		Long: "prune deletes images with a src- tag and no other that no service of this account and\n" +
			"Region runs, that no release is kept of which could be rolled back to, and that nobody\n" +
			"pulled or pushed for a while. What an index holds goes with it. It shows them first, says\n" +
			"what it could not check, and asks; then it looks once more, while it holds the locks of all\n" +
			"services with an image there. What ECR's lifecycle rules delete by themselves needs no\n" +
			"prune. Where a release's record cannot be read, nothing goes.",
		Example: "  apron images prune --unused 30 --keep 5",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unused < 1 || keep < 0 {
				return &usageError{err: fmt.Errorf("--unused must be at least 1 and --keep at least 0"), command: cmd.CommandPath()}
			}
			return a.runPrune(cmd.Context(), o, unused, keep)
		},
	}
	o.lock.register(prune)
	a.registerOnly(cmd)
	a.registerOnly(prune)
	prune.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	prune.Flags().IntVar(&unused, "unused", 30, "days without a pull or push after which an image may go")
	prune.Flags().IntVar(&keep, "keep", 5, "how many of the newest stay whatever their age")
	o.parallelism = 4
	cmd.AddCommand(prune)
	return cmd
}

// repositoryImages are the images of one repository, and which services run each.
type repositoryImages struct {
	name     string
	images   []ecr.Stored
	deployed map[string][]string // digest → services
	released map[string][]string // digest → releases whose record is kept: "web 42"
	unread   []string            // releases whose record cannot be read
	services []string            // that have an image in it, as far as manifests and records say
}

// repositories reads the repositories of the manifests, each once.
func (s *session) repositories(ctx context.Context, w wiring) ([]repositoryImages, error) {
	running, err := w.apprunner.Deployed(ctx)
	if err != nil {
		return nil, err
	}
	var all []repositoryImages
	for _, spec := range s.specs {
		name := spec.Image.Repository
		if spec.Image.InPlace {
			s.a.say("apron: note: %s: image.from is where it runs from (copy: false), and its repository is not apron's to look after", spec.Service)
			continue
		}
		if i := slices.IndexFunc(all, func(r repositoryImages) bool { return r.name == name }); i >= 0 {
			all[i].add(spec.Service)
			continue
		}
		images, err := w.registry.Inventory(ctx, name)
		if err != nil {
			return nil, err
		}
		r := repositoryImages{name: name, deployed: map[string][]string{}}
		r.add(spec.Service)
		var tags []string
		for _, i := range images {
			if len(i.Tags) > 0 && !slices.ContainsFunc(i.Tags, func(t string) bool { return !release.IsTag(t) }) {
				tags = append(tags, i.Tags...)
				for _, t := range i.Tags {
					if service, _, ok := release.ParseTag(t); ok {
						r.add(service)
					}
				}
				continue // a record, which is no image
			}
			r.images = append(r.images, i)
		}
		images = r.images
		if r.released, r.unread, err = s.revertible(ctx, w, name, tags); err != nil {
			return nil, err
		}
		for _, i := range images {
			for _, id := range append([]string{"@" + i.Digest}, prefixed(":", i.Tags)...) {
				r.deployed[i.Digest] = append(r.deployed[i.Digest], running[name+id]...)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

func (r *repositoryImages) add(service string) {
	if !slices.Contains(r.services, service) {
		r.services = append(r.services, service)
	}
}

// revertible says which releases an image can be rolled back to with, and of which that is
// not known.
func (s *session) revertible(ctx context.Context, w wiring, repository string, tags []string) (of map[string][]string, unread []string, err error) {
	kept, damaged, err := w.records.Tagged(ctx, repository, tags)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range damaged {
		service, number, _ := release.ParseTag(d.Tag)
		unread = append(unread, fmt.Sprintf("%s %d", service, number))
		s.a.warn("%s: the release record %s cannot be read: %v", ecr.Repository(repository), d.Tag, d.Err)
	}
	slices.SortFunc(kept, func(a, b release.Record) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Number, b.Number))
	})
	of = map[string][]string{}
	for _, k := range kept {
		if d := k.Image.Digest; d != "" && k.Result == release.Succeeded && k.Kind != release.Destroy {
			of[d] = append(of[d], fmt.Sprintf("%s %d", k.Service, k.Number))
		}
	}
	return of, unread, nil
}

func prefixed(prefix string, all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = prefix + s
	}
	return out
}

// storedImage is one image as images shows it.
type storedImage struct {
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Tags       []string `json:"tags"`
	Bytes      int64    `json:"bytes"`
	PushedAt   string   `json:"pushed_at"`           // RFC 3339
	PulledAt   string   `json:"pulled_at,omitempty"` // RFC 3339; absent when never
	Deployed   []string `json:"deployed"`            // services that run it
	Releases   []string `json:"releases"`            // that have succeeded with it: "web 42"
}

func (a *app) runImages(ctx context.Context) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	repositories, err := s.repositories(ctx, s.wire(applyFlags{}))
	if err != nil {
		return interruptible(ctx, err)
	}
	all := []storedImage{}
	for _, r := range repositories {
		for _, i := range r.images {
			line := storedImage{Repository: r.name, Digest: i.Digest, Tags: i.Tags, Bytes: i.Bytes, PushedAt: i.PushedAt.UTC().Format(time.RFC3339),
				Deployed: append([]string{}, r.deployed[i.Digest]...), Releases: append([]string{}, r.released[i.Digest]...)}
			if !i.PulledAt.IsZero() {
				line.PulledAt = i.PulledAt.UTC().Format(time.RFC3339)
			}
			all = append(all, line)
		}
	}
	return list(a, "images", all, []string{"REPOSITORY", "DIGEST", "SIZE", "PUSHED", "PULLED", "DEPLOYED", "RELEASES", "TAGS"}, func(i storedImage) []string {
		return []string{i.Repository, shortDigest(i.Digest), fmt.Sprintf("%.1f MB", float64(i.Bytes)/1e6), day(i.PushedAt), day(i.PulledAt),
			dash(strings.Join(i.Deployed, " ")), dash(strings.Join(i.Releases, ", ")), dash(strings.Join(i.Tags, " "))}
	})
}

// shortDigest is how much of a digest people read.
func shortDigest(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex[:min(12, len(hex))]
}

// day is the date of an RFC 3339 time.
func day(t string) string { return dash(t[:min(len(t), len(time.DateOnly))]) }

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) runPrune(ctx context.Context, flags applyFlags, unused, keep int) error {
	s, err := a.open(ctx, false)
	if err != nil {
		return err
	}
	w := s.wire(flags)
	p, err := replannable(ctx, func(ctx context.Context) (planned, error) {
		repositories, err := s.repositories(ctx, w)
		if err != nil {
			return planned{}, interruptible(ctx, err)
		}
		p := planned{plan: &plan.Plan{}, facts: facts{live: state.Live{}}, part: true, verb: "prune", typed: "images prune", twice: true}
		for _, r := range repositories {
			p.locks = append(p.locks, r.services...)
			s.prunable(p.plan, r, ecr.PruneOptions{Unused: time.Duration(unused) * 24 * time.Hour, Keep: keep, Now: time.Now(), Deployed: r.deployed, Released: r.released, Unread: r.unread})
		}
		indexesFirst(p.plan.Actions)
		return p, nil
	})
	if err != nil {
		return err
	}
	w.all = reconcile.Providers{pruner{w.registry}}
	return s.execute(ctx, w, p, flags)
}

// prunable plans what goes of a repository, and notes why the rest stays.
func (s *session) prunable(p *plan.Plan, r repositoryImages, o ecr.PruneOptions) {
	p.Notes = append(p.Notes, state.Note{Target: ecr.Repository(r.name), Text: "not checked: " + unseen(s.cfg.Region)})
	for _, f := range ecr.Prune(r.images, o) {
		addr := state.Address{Target: "ecr", Kind: "image", Name: r.name + "@" + shortDigest(f.Digest)}
		if !f.Delete {
			p.Notes = append(p.Notes, state.Note{Target: addr, Text: "stays: " + f.Why})
			continue
		}
		have := state.Observed{Resource: state.Resource{Address: addr, Detail: stored{r, f.Stored, o}}, ID: f.Digest}
		along := ""
		if f.Index {
			along = ", with what it holds and nothing else needs"
		}
		p.Actions = append(p.Actions, plan.Action{ID: plan.ID("delete " + addr.String()), Op: plan.Delete, Target: addr, Have: have,
			Reason: fmt.Sprintf("%s, %.1f MB, %s%s", strings.Join(f.Tags, " "), float64(f.Bytes)/1e6, f.Why, along)})
	}
}

// unseen is what a prune knows nothing of.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html
func unseen(region string) string {
	return fmt.Sprintf("which of these images App Runner runs outside of this account in %s, and what else has a use for them, such as ECS, EKS or Lambda: "+
		"only their pulls are seen, which ECR notes up to a day late", region)
}

// stored is the detail of an image that is to go.
type stored struct {
	of repositoryImages
	ecr.Stored
	o ecr.PruneOptions
}

// indexesFirst makes all else of a repository wait for its indexes: what one of them holds ECR
// does not delete.
func indexesFirst(actions []plan.Action) {
	for _, index := range actions {
		of := index.Have.Detail.(stored)
		if !of.Index {
			continue
		}
		for i := range actions {
			if d := actions[i].Have.Detail.(stored); !d.Index && d.of.name == of.of.name {
				actions[i].Needs = append(actions[i].Needs, index.ID)
			}
		}
	}
}

// pruner deletes images: the one thing that the provider of images never does.
type pruner struct{ registry *ecr.Provider }

var _ reconcile.Provider = pruner{}

func (pruner) Types() []string { return []string{"ecr/image"} }

func (pruner) Observe(context.Context, reconcile.Query) (state.Live, []state.Note, error) {
	return nil, nil, nil
}

func (p pruner) Execute(ctx context.Context, a plan.Action, env apply.Env) (state.Outcome, error) {
	d := a.Have.Detail.(stored)
	if !d.Index {
		return state.Outcome{}, p.registry.Remove(ctx, d.of.name, d.Stored)
	}
	along, err := p.registry.RemoveIndex(ctx, d.of.name, d.Stored, func(digest string) (ecr.Stored, bool) {
		i := slices.IndexFunc(d.of.images, func(s ecr.Stored) bool { return s.Digest == digest })
		if i < 0 {
			return ecr.Stored{}, false
		}
		return d.of.images[i], d.o.Along(d.of.images[i])
	})
	for _, digest := range along {
		env.Progress(apply.Progress{Line: "deleted with it: " + digest, Source: "ecr"})
	}
	return state.Outcome{}, err
}
