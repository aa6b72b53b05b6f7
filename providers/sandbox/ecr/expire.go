package ecr

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/lifecycle"
)

// evaluateEvery is the time within which ECR acts on a lifecycle policy.
const evaluateEvery = 24 * time.Hour

// evaluate applies the repository's lifecycle policy and drops referrers whose subject
// is gone. The members of a list stay as long as the list, and referrers as long as
// their subject: rules do not see them.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
func (s *Service) evaluate(r *repository) error {
	now := s.now()
	r.EvaluatedAt = now
	for _, d := range slices.Sorted(maps.Keys(r.Images)) {
		if !r.Images[d].OrphanedAt.IsZero() && len(r.listsThat(d)) == 0 {
			r.remove(d, now)
		}
	}
	if r.Lifecycle != nil {
		p, err := lifecycle.Parse(r.Lifecycle.Text)
		if err != nil {
			return err
		}
		r.Lifecycle.EvaluatedAt = now
		for _, d := range p.Apply(r.candidates(), now) {
			if d.Action == lifecycle.Transition {
				r.Images[d.Digest].ArchivedAt = now
				continue
			}
			r.remove(d.Digest, now)
		}
	}
	return s.disk.save(r)
}

func (r *repository) candidates() []lifecycle.Image {
	bound := map[string]bool{}
	for _, i := range r.Images {
		for _, m := range i.Members {
			bound[m] = true
		}
		if i.Subject != "" && r.Images[i.Subject] != nil {
			bound[i.Digest] = true
		}
	}
	tags := r.tagsOf()
	var free []lifecycle.Image
	for _, i := range r.Images {
		if !bound[i.Digest] {
			free = append(free, lifecycle.Image{
				Digest: i.Digest, Tags: tags[i.Digest],
				PushedAt: i.PushedAt, PulledAt: i.PulledAt, ArchivedAt: i.ArchivedAt,
			})
		}
	}
	slices.SortFunc(free, func(a, b lifecycle.Image) int { return cmp.Compare(a.Digest, b.Digest) })
	return free
}
