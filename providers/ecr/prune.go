package ecr

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apron-deploy/apron/reconcile/pattern"
)

// PruneOptions say what may go.
type PruneOptions struct {
	// Unused is how long nobody may have pulled or pushed an image for it to go.
	Unused time.Duration
	// Keep is how many of the newest images stay whatever their age.
	Keep int
	Now  time.Time
	// Deployed are the digests that services run, and which ones.
	Deployed map[string][]string
	// Released are the digests that release records can be rolled back to, and which.
	Released map[string][]string
	// Unread are the releases whose record cannot be read: which image they need is not known.
	Unread []string
}

// Fate is what becomes of one image.
type Fate struct {
	Stored
	Delete bool
	Why    string // it stays, or goes
}

// builtTag is a tag that apron pushes images under: of what it built, or copied.
var builtTag = pattern.Lazy(`^src-(?:[0-9a-f]{20}|[0-9a-f]{12})$`)

// Prune decides what becomes of each image. Only what apron pushed goes, and of that only
// what nothing names or runs: an image with a tag besides its src- tags stays, because a
// release is not rubbish. What an index holds was pushed with it, without a tag, and goes
// with it: see [PruneOptions.Along].
func Prune(images []Stored, o PruneOptions) []Fate {
	fates := make([]Fate, len(images))
	built := 0
	for i, s := range images {
		why := ""
		if isBuilt(s) {
			built++
		}
		switch used := latest(s.PushedAt, s.PulledAt); {
		case len(o.Deployed[s.Digest]) > 0:
			why = "runs as " + strings.Join(o.Deployed[s.Digest], ", ")
		case len(s.Tags) == 0:
			why = "has no tag, and goes only with an index that holds it"
		case !isBuilt(s):
			why = "was not pushed by apron"
		case named(s) != "":
			why = "is named " + named(s)
		case len(o.Released[s.Digest]) > 0:
			why = "can be rolled back to: " + strings.Join(o.Released[s.Digest], ", ")
		case built <= o.Keep:
			why = fmt.Sprintf("is one of the newest %d", o.Keep)
		case o.Now.Sub(used) < o.Unused:
			why = "was used on " + used.UTC().Format(time.DateOnly)
		case len(o.Unread) > 0:
			why = fmt.Sprintf("may be what %s can be rolled back to: that record cannot be read", strings.Join(o.Unread, ", "))
		}
		fates[i] = Fate{Stored: s, Delete: why == "", Why: why}
		if why == "" {
			fates[i].Why = "not used since " + latest(s.PushedAt, s.PulledAt).UTC().Format(time.DateOnly)
		}
	}
	return fates
}

// Along reports whether an image may go with an index that holds it and goes.
func (o PruneOptions) Along(s Stored) bool {
	return len(s.Tags)+len(o.Deployed[s.Digest])+len(o.Released[s.Digest]) == 0 && o.Now.Sub(s.PulledAt) >= o.Unused
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// isBuilt reports whether apron pushed an image under a tag.
func isBuilt(s Stored) bool { return slices.ContainsFunc(s.Tags, builtTag().MatchString) }

// named is the first tag that is not a source's, or "".
func named(s Stored) string {
	for _, t := range s.Tags {
		if !builtTag().MatchString(t) {
			return t
		}
	}
	return ""
}
