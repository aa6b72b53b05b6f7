package lifecycle

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Apply returns what the policy does to the images at the time now, in order of
// priority and then of age. Images that no rule may take, such as the members of a
// manifest list, are not to be passed in.
func (p *Policy) Apply(images []Image, now time.Time) []Decision {
	settled := make(map[string]bool, len(images)) // taken, or an earlier rule's business
	var decisions []Decision
	for _, r := range p.Rules {
		found := r.Selection.find(images)
		for _, i := range r.Selection.take(found, now) {
			if !settled[i.Digest] {
				decisions = append(decisions, Decision{i.Digest, r.Priority, r.Action})
			}
		}
		for _, i := range found {
			settled[i.Digest] = true
		}
	}
	return decisions
}

// find returns the images that meet the selection's tags and storage, oldest first.
func (s Selection) find(images []Image) []Image {
	var found []Image
	for _, i := range images {
		if i.ArchivedAt.IsZero() != s.Archived && s.matches(i.Tags) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b Image) int {
		return cmp.Or(s.since(a).Compare(s.since(b)), cmp.Compare(a.Digest, b.Digest))
	})
	return found
}

func (s Selection) matches(tags []string) bool {
	switch s.TagStatus {
	case Any:
		return true
	case Untagged:
		return len(tags) == 0
	default:
		return len(tags) > 0 && !slices.ContainsFunc(s.Patterns, func(p string) bool {
			return !slices.ContainsFunc(tags, func(t string) bool { return Match(p, t) })
		})
	}
}

// take returns those of the found images, oldest first, that are too many or too old.
func (s Selection) take(found []Image, now time.Time) []Image {
	if s.CountType == MoreThan {
		return found[:max(0, len(found)-s.CountNumber)]
	}
	limit := now.Add(-time.Duration(s.CountNumber) * day)
	n := 0
	for n < len(found) && s.since(found[n]).Before(limit) {
		n++
	}
	return found[:n]
}

// since is the moment that a selection's count starts from. An image that was never
// pulled counts from its push.
func (s Selection) since(i Image) time.Time {
	switch {
	case s.CountType == SincePulled && !i.PulledAt.IsZero():
		return i.PulledAt
	case s.CountType == SinceTransitioned:
		return i.ArchivedAt
	default:
		return i.PushedAt
	}
}

// Match reports whether the whole text meets the pattern, in which a star stands for
// any characters, none included.
func Match(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, head)
	if !ok || !star {
		return ok && text == ""
	}
	for {
		if Match(rest, text) {
			return true
		}
		if text == "" {
			return false
		}
		text = text[1:]
	}
}
