package ecr

import (
	"fmt"
	"slices"
	"strings"
	"time"
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
}

// Fate is what becomes of one image.
type Fate struct {
	Stored
	Delete bool
	Why    string // it stays, or goes
}

// builtPrefix begins the tag of every image that apron pushed.
const builtPrefix = "src-"

// Prune decides what becomes of each image. Only what apron pushed goes, and of that only
// what nothing names or runs: an image with a tag besides its src- tags stays, because a
// release is not rubbish. What a kept index holds stays with it.
func Prune(images []Stored, o PruneOptions) []Fate {
	fates := make([]Fate, len(images))
	built := 0
	held := map[string]bool{} // by an index that stays
	for i, s := range images {
		why := ""
		if isBuilt(s) {
			built++
		}
		switch used := latest(s.PushedAt, s.PulledAt); {
		case len(o.Deployed[s.Digest]) > 0:
			why = "runs as " + strings.Join(o.Deployed[s.Digest], ", ")
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
		}
		fates[i] = Fate{Stored: s, Delete: why == "", Why: why}
		if why == "" {
			fates[i].Why = "not used since " + latest(s.PushedAt, s.PulledAt).UTC().Format(time.DateOnly)
			continue
		}
		for _, m := range s.Members {
			held[m] = true
		}
	}
	for i := range fates {
		if v := &fates[i]; v.Delete && held[v.Digest] {
			v.Delete, v.Why = false, "belongs to an index that stays"
		}
	}
	return fates
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// isBuilt reports whether apron pushed an image: then it has a src- tag.
func isBuilt(s Stored) bool {
	return slices.ContainsFunc(s.Tags, func(t string) bool { return strings.HasPrefix(t, builtPrefix) })
}

// named is the first tag that is not a source's, or "".
func named(s Stored) string {
	for _, t := range s.Tags {
		if !strings.HasPrefix(t, builtPrefix) {
			return t
		}
	}
	return ""
}
